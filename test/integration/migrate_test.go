package integration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/test/harness"
)

// TestMigrateCheck: the command lists what this version cannot serve, of all kinds, and
// writes nothing.
func TestMigrateCheck(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+`---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: vault}
spec: {vault: {server: "https://vault.example.com", path: pki/sign/web, auth: {tokenSecretRef: {name: token, key: token}}}}
---
`+harness.CertificateManifest("www", "selfsigned", "www.example.com")+"---\n"+harness.CertificateManifest("api", "vault", "api.example.com"))
	out, errs, status := everleafOn(t, cluster, ns, "migrate", "check")
	// Other tests have ClusterIssuers too.
	_, found, _ := strings.Cut(out, "\n")
	want := `
This version cannot serve, and leaves alone:

KIND         NAMESPACE   NAME   WHY
Certificate  NS  api    Issuer "vault" is of type "vault", which this version does not have: it is not issued or renewed
Issuer       NS  vault  this version has no issuers of type "vault": the requests to it stay as they are

everleaf would write something for:

KIND         NAMESPACE   NAME  WHY
Certificate  NS  www   it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "NS", ns), found); diff != "" || status != 1 || errs != "everleaf: this version cannot serve 2 of these objects\n" {
		t.Errorf("exit status %d, %s-want +got:\n%s", status, errs, diff)
	}
	wantError(t, cluster, ns, `there is no migrate "plan"; there is: check`, "migrate", "plan")
	wantError(t, cluster, ns, `--output: must be json, yaml or nothing, not "html"`, "migrate", "check", "-o", "html")
}
