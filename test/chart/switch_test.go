package chart

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/test/controlplane"
)

// TestSwitch changes a release from the webhook to policies: at no time nobody checks
// objects. Both are there after the first upgrade, and the webhook stops nothing when the
// second one removes it.
func TestSwitch(t *testing.T) {
	t.Parallel()
	helm, kubectl := program(t, "helm"), program(t, "kubectl")
	config := controlplane.Bare(t).KubeconfigPath()
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, append(args, "--kubeconfig", config)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	// The policy of a webhook configuration for failures, the Deployments and policies.
	state := func() []string {
		t.Helper()
		return strings.Fields(run(kubectl, "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "jsonpath={.items[*].webhooks[*].failurePolicy}") + " " +
			run(kubectl, "get", "deployments", "-n", "cert-manager", "-o", "jsonpath={.items[*].metadata.name}") + " " +
			run(kubectl, "get", "validatingadmissionpolicies", "certificates.cert-manager.io", "--ignore-not-found", "-o", "name"))
	}
	upgrade := func(values ...string) string {
		t.Helper()
		return run(helm, append([]string{"upgrade", "--install", "cert-manager", chart, "--namespace", "cert-manager", "--create-namespace", "--no-hooks", "--set", "crds.enabled=true"}, values...)...)
	}
	const policy = "validatingadmissionpolicy.admissionregistration.k8s.io/certificates.cert-manager.io"
	webhook := []string{"Fail", "Fail", "cert-manager", "cert-manager-cainjector", "cert-manager-webhook"}
	for _, step := range []struct {
		name, admission, note string
		want                  []string
	}{
		{"install", "webhook", "", webhook},
		{"a release keeps its webhook", "auto", "", webhook},
		{"both", "policies", "Run the same helm upgrade once more", []string{"Ignore", "Ignore", "cert-manager", "cert-manager-cainjector", "cert-manager-webhook", policy}},
		{"policies only", "policies", "", []string{"cert-manager", "cert-manager-cainjector", policy}},
		{"they stay", "auto", "", []string{"cert-manager", "cert-manager-cainjector", policy}},
		{"and back", "webhook", "", webhook},
	} {
		notes := upgrade("--set", "everleaf.admission="+step.admission)
		if noted := strings.Contains(notes, "once more"); noted != (step.note != "") {
			t.Errorf("%s: the notes are\n%s", step.name, notes)
		}
		if diff := cmp.Diff(step.want, state()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
