package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
)

// policyAgainst refuses the Secret of a Certificate in one namespace.
const policyAgainst = `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: %[1]s}, spec: {
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}]},
  matchConditions: [{name: here, expression: "object.metadata.namespace == '%[1]s' && object.metadata.name.startsWith('forbidden')"}],
  validations: [{expression: "false", message: "no Secrets today"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: %[1]s}, spec: {policyName: %[1]s, validationActions: [Deny]}}`

// TestExplainObjects has what stops a certificate and is no matter of DNS: everleaf
// explain names the object that stops it, and the list has one line for each.
func TestExplainObjects(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, func(o *operator.Options) {
		o.Controllers = []string{"*", "-certificaterequests-approver"}
	})
	kubeconfig := harness.Kubeconfig(t, f.RESTConfig())
	explain := func(args ...string) string {
		return everleaf(t, append([]string{"explain", "-n", f.ns, "--kubeconfig", kubeconfig, "--resolver", f.quick.DNS.Addr()}, args...)...)
	}
	for _, o := range f.Apply(t, "", fmt.Sprintf(policyAgainst, f.ns)) {
		t.Cleanup(func() { _ = f.Delete(t.Context(), o) })
	}
	// The API server takes a policy up some time after it has stored it.
	harness.Eventually(t, 30*time.Second, func() error {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "forbidden-probe"}}
		if err := f.Create(t.Context(), secret, client.DryRunAll); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			return fmt.Errorf("the policy is not in force: %v", err)
		}
		return nil
	})
	proxy := f.issuer(t, "acme")
	f.registered(t, "acme")
	proxy.Fail(faultproxy.NewOrder, faultproxy.Fault{Status: 429, Type: "rateLimited", Detail: "too many new orders", RetryAfter: 3600})
	f.Apply(t, f.ns, `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: down}, spec: {acme: {server: "https://127.0.0.1:1/dir", privateKeySecretRef: {name: down}, solvers: [`+f.quick.Solver()+`]}}}
---
{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: selfsigned}, spec: {selfSigned: {}}}`)
	certificate := func(name, secret, issuer string) string {
		return fmt.Sprintf(`{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: %s}, spec: {secretName: %s, dnsNames: [%s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s}}}`,
			name, secret, name, issuer)
	}
	f.Apply(t, f.ns, strings.Join([]string{
		certificate("limited", "limited", "acme"), certificate("down", "down-tls", "down"), certificate("nowhere", "nowhere", "missing"),
		certificate("unapproved", "unapproved", "selfsigned"), certificate("forbidden", "forbidden", "selfsigned"),
	}, "\n---\n"))
	f.decide(t, f.request(t, "limited"), cmv1.CertificateRequestConditionApproved)
	causes := map[string][]string{
		"certificate limited":    {"Cause: RateLimited (Order ", "too many new orders", "It ends at 20"},
		"certificate down":       {"Cause: IssuerNotReady (Issuer ", "connection refused", "kubectl describe issuer"},
		"issuer down":            {"Cause: IssuerNotReady (Issuer ", "connection refused"},
		"certificate nowhere":    {"Cause: IssuerMissing (Issuer ", "/missing does not exist"},
		"certificate forbidden":  {"Cause: AdmissionRefuses (Certificate ", `ValidatingAdmissionPolicy "` + f.ns + `" denies it`},
		"certificate unapproved": {"Cause: NotApproved (CertificateRequest ", "everleaf approve -n " + f.ns + " unapproved-1"},
		"issuer acme":            {"Result: Healthy"},
		"certificate ghost":      {"Cause: NotFound (Certificate ", "does not exist"},
	}
	for what, says := range causes {
		f.explains(t, func() string { return explain(strings.Fields(what)...) }, says)
	}
	list := explain()
	t.Logf("%s", list)
	for name, cause := range map[string]string{
		"limited": "RateLimited", "down": "IssuerNotReady", "nowhere": "IssuerMissing", "forbidden": "AdmissionRefuses", "unapproved": "NotApproved",
	} {
		if !lineWith(list, "Certificate", name, cause) {
			t.Errorf("no line with %s and %s:\n%s", name, cause, list)
		}
	}
	if all := everleaf(t, "explain", "-A", "--kubeconfig", kubeconfig); !lineWith(all, f.ns, "limited", "RateLimited") {
		t.Errorf("-A does not have the certificate:\n%s", all)
	}
	f.replayed(t, explain("certificate", "down", "-o", "json"), "Cause: IssuerNotReady (Issuer "+f.ns+"/down)")
}

// explains waits until a command says all parts.
func (f *faultLab) explains(t *testing.T, command func() string, parts []string) {
	t.Helper()
	harness.Eventually(t, issuable, func() error {
		output := command()
		for _, part := range parts {
			if !strings.Contains(output, part) {
				return fmt.Errorf("it does not say %q:\n%s", part, output)
			}
		}
		return nil
	})
}

// replayed explains evidence from a file.
func (f *faultLab) replayed(t *testing.T, evidence, says string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "evidence.json")
	if err := os.WriteFile(file, []byte(evidence), 0o600); err != nil {
		t.Fatal(err)
	}
	if output := everleaf(t, "explain", "--from-file", file); !strings.Contains(output, says) {
		t.Errorf("from the file it is:\n%s", output)
	}
}

func lineWith(text string, words ...string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		found := true
		for _, word := range words {
			found = found && strings.Contains(line, word)
		}
		if found {
			return true
		}
	}
	return false
}

// TestExplainOwnedSecret has two Certificates that want one Secret.
func TestExplainOwnedSecret(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "one", `{secretName: shared, dnsNames: [one.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`)
	l.revision(t, "one", 1)
	l.certificate(t, "two", `{secretName: shared, dnsNames: [two.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`)
	kubeconfig := harness.Kubeconfig(t, l.RESTConfig())
	harness.Eventually(t, patience, func() error {
		output := everleaf(t, "explain", "certificate", "two", "-n", l.ns, "--kubeconfig", kubeconfig)
		if !strings.Contains(output, "Cause: SecretOwned (Secret "+l.ns+"/shared)") || !strings.Contains(output, `belongs to Certificate "one"`) {
			return fmt.Errorf("it says:\n%s", output)
		}
		return nil
	})
}
