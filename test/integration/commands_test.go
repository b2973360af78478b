package integration

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/statuspage"
	"github.com/everleaf/everleaf/test/harness"
)

// everleafOn runs a command on a cluster, in a namespace.
func everleafOn(t *testing.T, cluster *harness.Cluster, namespace string, args ...string) (out, errs string, status int) {
	t.Helper()
	return runEverleaf(t, append(args, "--kubeconfig="+cluster.KubeconfigPath(), "-n", namespace)...)
}

// wantOutput fails the test if a command does not print what is wanted, and succeed.
func wantOutput(t *testing.T, cluster *harness.Cluster, namespace, want string, args ...string) {
	t.Helper()
	out, errs, status := everleafOn(t, cluster, namespace, args...)
	if out != want || errs != "" || status != 0 {
		t.Errorf("%s: exit status %d\n%s-want +got:\n%s", strings.Join(args, " "), status, errs, cmp.Diff(want, out))
	}
}

// wantError fails the test if a command does not fail as is wanted.
func wantError(t *testing.T, cluster *harness.Cluster, namespace, want string, args ...string) {
	t.Helper()
	out, errs, status := everleafOn(t, cluster, namespace, args...)
	if status != 1 || errs != "everleaf: "+want+"\n" || out != "" {
		t.Errorf("%s: exit status %d, %q\ngot  %swant everleaf: %s", strings.Join(args, " "), status, out, errs, want)
	}
}

const commandsIssuer = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: selfsigned}\nspec: {selfSigned: {}}\n"

// varyingValues are those that differ from one run to the next.
var varyingValues = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|([0-9a-f]{2}){15,20}\b`)

// TestStatusAndRenew: a certificate is issued, looked at, and renewed by name, by label
// and by --all, waiting for it or not.
func TestStatusAndRenew(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+"---\n"+harness.CertificateManifest("www", "selfsigned", "www.example.com", "example.com"))
	wantError(t, cluster, ns, `there is no Certificate "api" in namespace "`+ns+`"; -n selects another namespace`, "status", "certificate", "api")

	// Without controllers nothing is there yet.
	out, errs, status := everleafOn(t, cluster, ns, "status", "certificate", "www")
	if want := `Name: www
Namespace: ` + ns + `
Created at: X
Conditions:
  No Conditions set
DNS Names:
- www.example.com
- example.com
Events:  <none>
Issuer:
  Name: selfsigned
  Kind: Issuer
  Conditions:
    No Conditions set
  Events:  <none>
error when finding Secret "www-tls": secrets "www-tls" not found
Not Before: <none>
Not After: <none>
Renewal Time: <none>
No CertificateRequest found for this Certificate
`; status != 0 || varyingValues.ReplaceAllString(out, "X") != want {
		t.Errorf("exit status %d: %s\n-want +got:\n%s", status, errs, cmp.Diff(want, varyingValues.ReplaceAllString(out, "X")))
	}
	wantOutput(t, cluster, ns, "Manually triggered issuance of Certificate "+ns+"/www\n", "renew", "www")
	crt := &cmv1.Certificate{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "www"}, crt); err != nil {
		t.Fatal(err)
	}
	if got := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing); got == nil || got.Status != "True" || got.Reason != "ManuallyTriggered" ||
		got.Message != "Certificate re-issuance manually triggered" || got.ObservedGeneration != crt.Generation || got.LastTransitionTime == nil {
		t.Errorf("renew set %+v", got)
	}

	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = ns }})
	cluster.Ready(t, ns, "www", 20*time.Second)
	wantOutput(t, cluster, ns, "Manually triggered issuance of Certificate "+ns+"/www\nCertificate "+ns+"/www has been issued: revision 2\n", "renew", "www", "--wait")
	wantOutput(t, cluster, ns, "Manually triggered issuance of Certificate "+ns+"/www\nCertificate "+ns+"/www has been issued: revision 3\n", "renew", "--all", "--wait")
	if _, errs, status := everleafOn(t, cluster, ns, "renew", "-l", "app=web"); status != 0 || errs != "No Certificates found in "+ns+" namespace.\n" {
		t.Errorf("renew -l app=web: exit status %d: %s", status, errs)
	}
	if _, errs, status := everleafOn(t, cluster, ns, "renew", "-l", "app=no-such-app", "-A"); status != 0 || errs != "No Certificates found\n" {
		t.Errorf("renew -A: exit status %d: %s", status, errs)
	}

	out, errs, status = everleafOn(t, cluster, ns, "status", "certificate", "www")
	for _, want := range []string{
		"(?m)^  Ready: True, Reason: Ready, Message: Certificate is up to date and has not expired$",
		"(?m)^Events:\n  Type    Reason   Age +From +Message\n  ----    ------   ---- +---- +-------\n  Normal  Issuing  .*The certificate has been successfully issued$",
		"(?m)^Issuer:\n  Name: selfsigned\n  Kind: Issuer\n  Conditions:\n    Ready: True, Reason: IsReady, Message: \n  Events:  <none>$",
		"(?m)^Secret:\n  Name: www-tls\n  Issuer Country: \n", "(?m)^  Key Usage: Digital Signature, Key Encipherment$",
		"(?m)^  Public Key Algorithm: (RSA|ECDSA)$", "(?m)^  Serial Number: [0-9a-f]+$",
		`(?m)^Not Before: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nNot After: \S+Z\nRenewal Time: \S+Z\nNo CertificateRequest found for this Certificate$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) || status != 0 {
			t.Errorf("exit status %d: %s\nno match for %s in\n%s", status, errs, want, out)
		}
	}
	out, errs, _ = everleafOn(t, cluster, ns, "status", "certificate", "www", "-o", "json")
	page := statuspage.Page{}
	if err := json.Unmarshal([]byte(out), &page); err != nil || page.Secret.Name != "www-tls" || page.Issuer.Conditions[0].Reason != "IsReady" {
		t.Errorf("-o json: %v: %s\n%s", err, errs, out)
	}
	if out, _, _ = everleafOn(t, cluster, ns, "status", "certificate", "www", "-o", "yaml"); !strings.Contains(out, "\nsecret:\n") {
		t.Errorf("-o yaml:\n%s", out)
	}
	if out, _, _ = runEverleaf(t, "__complete", "renew", "--kubeconfig="+cluster.KubeconfigPath(), "-n", ns, ""); out != "www\n:4\n" {
		t.Errorf("completion: %s", out)
	}
}

// TestRenewThatFails: with --wait, the message of a failure and the exit status 1 come
// from the issuance.
func TestRenewThatFails(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, harness.CertificateManifest("www", "none", "www.example.com"))
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = ns }})
	wantRenew := "Manually triggered issuance of Certificate " + ns + "/www\n"
	out, errs, status := everleafOn(t, cluster, ns, "renew", "www", "--wait", "--timeout=1s")
	if out != wantRenew || status != 1 || !strings.HasPrefix(errs, "everleaf: Certificate "+ns+"/www has not been issued in time: ") ||
		!strings.HasSuffix(errs, "; everleaf explain certificate www -n "+ns+" says why\n") {
		t.Errorf("exit status %d\n%s%s", status, out, errs)
	}
}

// TestApproveAndDeny: a verdict is written once, by whoever has the right to it.
func TestApproveAndDeny(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.BuildRequest(pki.Template{DNSNames: []string{"a.example"}}, key, pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	request := func(name string) {
		err := cluster.Create(t.Context(), &cmv1.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec:       cmv1.CertificateRequestSpec{Request: csr, IssuerRef: cmmeta.IssuerReference{Name: "external", Kind: "Issuer", Group: "cert-manager.io"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	request("one")
	request("two")
	wantOutput(t, cluster, ns, "Approved CertificateRequest '"+ns+"/one'\n", "approve", "one")
	wantOutput(t, cluster, ns, "Denied CertificateRequest '"+ns+"/two'\n", "deny", "two", "--reason=Mine", "--message=not our names")
	wantError(t, cluster, ns, "CertificateRequest is already approved", "deny", "one")
	wantError(t, cluster, ns, "CertificateRequest is already denied", "approve", "two")
	wantError(t, cluster, ns, `there is no CertificateRequest "three" in namespace "`+ns+`"; -n selects another namespace`, "approve", "three")
	for name, want := range map[string]cmv1.CertificateRequestCondition{
		"one": {Type: "Approved", Status: "True", Reason: "KubectlCertManager", Message: `manually approved by "cmctl"`},
		"two": {Type: "Denied", Status: "True", Reason: "Mine", Message: "not our names"},
	} {
		got := &cmv1.CertificateRequest{}
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, got); err != nil {
			t.Fatal(err)
		}
		c := condition.Find(got.Status.Conditions, want.Type)
		if c == nil || c.LastTransitionTime == nil {
			t.Errorf("%s: %+v", name, got.Status.Conditions)
			continue
		}
		c.LastTransitionTime = nil
		if diff := cmp.Diff(want, *c); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	// Another user may neither read nor approve.
	_, errs, status := everleafOn(t, cluster, ns, "approve", "one", "--as=nobody")
	if status != 1 || !strings.Contains(errs, `is forbidden: User "nobody" cannot get resource "certificaterequests"`) {
		t.Errorf("as another user: exit status %d: %s", status, errs)
	}
}

// TestCheckAPI: the API of the control plane works, by its admission policies.
func TestCheckAPI(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	wantOutput(t, cluster, cluster.Namespace(t), "The cert-manager API is ready\n", "check", "api", "--wait=20s", "--interval=100ms")
}
