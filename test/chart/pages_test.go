package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/dynamic"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// inUse are objects with and without what this version does not have, as YAML without a
// namespace. The names say which.
const inUse = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: plain}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: dns01}
spec:
  acme:
    server: https://acme.example.com/directory
    privateKeySecretRef: {name: account}
    solvers: [{dns01: {cloudflare: {apiTokenSecretRef: {name: cloudflare, key: token}}}}]
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: with-http01}
spec:
  acme:
    server: https://acme.example.com/directory
    privateKeySecretRef: {name: account}
    solvers:
    - {dns01: {cloudflare: {apiTokenSecretRef: {name: cloudflare, key: token}}}, selector: {dnsZones: [example.com]}}
    - {http01: {ingress: {ingressClassName: nginx}}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: with-vault}
spec: {vault: {server: https://vault.example.com, path: pki/sign/web, auth: {tokenSecretRef: {name: vault, key: token}}}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: with-venafi}
spec: {venafi: {zone: shop, tpp: {url: https://tpp.example.com/vedsdk, credentialsRef: {name: tpp}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: plain}
spec: {secretName: plain, dnsNames: [a.example.com], issuerRef: {name: plain}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: with-window}
spec:
  secretName: with-window
  dnsNames: [a.example.com]
  issuerRef: {name: plain}
  renewal: {policy: RenewBefore, windows: [{cron: "0 3 * * *", windowDuration: 2h}]}
`

// TestUpgradeLists runs the commands of the upgrade page that look for what this version
// does not have: they list that and nothing else.
func TestUpgradeLists(t *testing.T) {
	t.Parallel()
	cp := controlplane.Shared(t)
	namespace := controlplane.Namespace(t, cp, nil)
	kubectl := program(t, "kubectl")
	create := exec.Command(kubectl, "create", "--kubeconfig", cp.KubeconfigPath(), "--namespace", namespace, "--filename", "-")
	create.Stdin = strings.NewReader(inUse)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, section, _ := strings.Cut(file(t, root+"/docs/upgrade-from-cert-manager.md"), "\n## 1. ")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for block := range strings.SplitSeq(section, "\n\n") {
		if !strings.HasPrefix(block, "    kubectl get ") {
			continue
		}
		for line := range strings.SplitSeq(shell(t, cp, block), "\n") {
			words := strings.Fields(line)
			if at := slices.Index(words, namespace); at >= 0 {
				got = append(got, words[at+1])
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"with-venafi"}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

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
