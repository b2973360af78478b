package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
kind: Certificate
metadata: {name: plain}
spec: {secretName: plain, dnsNames: [a.example.com], issuerRef: {name: plain}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: with-keystore}
spec:
  secretName: with-keystore
  dnsNames: [a.example.com]
  issuerRef: {name: plain}
  keystores: {pkcs12: {create: true, passwordSecretRef: {name: password, key: password}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: plain}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: with-issuer, annotations: {cert-manager.io/cluster-issuer: letsencrypt}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: with-tls-acme, annotations: {kubernetes.io/tls-acme: "true"}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
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
		list := exec.Command("sh", "-c", block)
		list.Env = append(os.Environ(), "KUBECONFIG="+cp.KubeconfigPath(), "PATH="+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
		out, err := list.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", block, err, out)
		}
		for line := range strings.SplitSeq(string(out), "\n") {
			words := strings.Fields(line)
			if at := slices.Index(words, namespace); at >= 0 {
				got = append(got, words[at+1])
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"with-http01", "with-issuer", "with-keystore", "with-tls-acme", "with-vault"}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}
