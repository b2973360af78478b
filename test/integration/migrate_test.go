package integration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/test/harness"
)

// TestMigrateCheck: the command lists what everleaf would write, and writes nothing.
func TestMigrateCheck(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+"---\n"+harness.CertificateManifest("www", "selfsigned", "www.example.com"))
	out, errs, status := everleafOn(t, cluster, ns, "migrate", "check")
	// Other tests have ClusterIssuers too.
	_, found, _ := strings.Cut(out, "\n")
	want := `
everleaf would write something for:

KIND         NAMESPACE   NAME  WHY
Certificate  NS  www   it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "NS", ns), found); diff != "" || status != 0 || errs != "" {
		t.Errorf("exit status %d, %s-want +got:\n%s", status, errs, diff)
	}
	wantError(t, cluster, ns, `there is no migrate "plan"; there is: check`, "migrate", "plan")
	wantError(t, cluster, ns, `--output: must be json, yaml or nothing, not "html"`, "migrate", "check", "-o", "html")
}
