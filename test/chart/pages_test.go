package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/dynamic"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// shell runs commands of a page with kubectl for the control plane, and returns what they
// print.
func shell(t *testing.T, cp *local.ControlPlane, commands string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", commands)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cp.KubeconfigPath(), "PATH="+filepath.Dir(program(t, "kubectl"))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
	return string(out)
}

// TestCAByHand runs the commands of the page of the webhook for an installation without the
// cainjector, twice: each time the CA of the Secret is in both configurations.
func TestCAByHand(t *testing.T) {
	t.Parallel()
	cp := controlplane.Shared(t)
	namespace := controlplane.Namespace(t, cp, nil)
	const release = "by-hand-cert-manager"
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	all := rendering{values: "cainjector: {enabled: false}", release: release, namespace: namespace}.render(t)
	kinds := []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}
	for _, kind := range kinds {
		configuration := all[kind+"/"+release+"-webhook"]
		// Nothing else of this test process is to wait for a webhook that does not run.
		at(t, configuration, "webhooks.0").(map[string]any)["rules"] = decoded(t, `[{apiGroups: [by-hand.example.com], apiVersions: [v1], operations: [CREATE], resources: [none]}]`)
		apply(t, client, configuration)
		t.Cleanup(func() { shell(t, cp, "kubectl delete "+kind+" "+release+"-webhook") })
	}
	_, section, _ := strings.Cut(file(t, root+"/docs/webhook.md"), "\n### Without the cainjector\n")
	_, commands, _ := strings.Cut(section, "\n\n    ")
	commands, _, _ = strings.Cut(commands, "\n\n")
	commands = strings.NewReplacer("-n cert-manager", "-n "+namespace, "cert-manager-webhook", release+"-webhook").Replace(commands)
	for _, ca := range []string{"first", "second"} {
		shell(t, cp, "kubectl create secret generic "+release+"-webhook-ca -n "+namespace+" --from-literal=ca.crt="+ca+" --dry-run=client -o yaml | kubectl apply -f -")
		shell(t, cp, commands)
		for _, kind := range kinds {
			got := shell(t, cp, "kubectl get "+kind+" "+release+"-webhook -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d")
			if got != ca {
				t.Errorf("the bundle of the %s is %q, want %q", kind, got, ca)
			}
		}
	}
}
