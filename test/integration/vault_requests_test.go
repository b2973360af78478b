package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// TestVaultRequestsOfKubernetes has the kinds of certificates.k8s.io ask for certificates
// from Vault.
func TestVaultRequestsOfKubernetes(t *testing.T) {
	l := newPodLab(t, harness.Controllers{})
	v := prepareVault(t, l.lab, vault.Shared(t))
	v.issuer(t, "web", v.withToken(t))
	name := v.ns + "-mesh"
	token := v.token(t, nil)
	v.Secret(t, local.Namespace, name, "token", token)
	v.Apply(t, "", fmt.Sprintf("{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: %s}, spec: {%s}}",
		name, v.stanza(v.ns+"/sign/web", "{tokenSecretRef: {name: "+name+"}}", "")))
	t.Cleanup(func() {
		_ = v.Delete(context.Background(), &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
	template := pki.Template{CommonName: "a.example.com", DNSNames: []string{"a.example.com"}}
	for _, signer := range []string{l.issuerSigner("web"), "clusterissuers.cert-manager.io/" + name} {
		object := l.csrLab.ask(t, csr{name: "ok-" + signer[:6], signer: signer, template: template})
		chain := l.csrLab.issued(t, object)
		if len(chain) != 2 || chain[0].Issuer.CommonName != v.ns || chain[0].DNSNames[0] != "a.example.com" {
			t.Errorf("chain of %d, issued by %s for %v", len(chain), chain[0].Issuer, chain[0].DNSNames)
		}
	}
	v.role(t, "web", map[string]any{"allow_any_name": false, "allowed_domains": "corp.example"})
	refused := l.csrLab.ask(t, csr{name: "refused", signer: l.issuerSigner("web"), template: template})
	l.csrLab.failed(t, refused, "ErrorSigning", "Vault failed to sign: ")

	// A pod asks for a certificate without saying what is in it, and Vault signs what a
	// request of the pod's key says.
	object := l.ask(t, podRequest{name: "pod", signer: "clusterissuers.cert-manager.io/" + name, signed: true, key: newKey(t), life: time.Hour})
	c := l.ended(t, object)
	want := "Referenced ClusterIssuer " + name + " is of type vault, which cannot sign for the key of a pod: use one of type ca"
	if c.Type != "Denied" || c.Reason != "UnsupportedIssuerType" || c.Message != want {
		t.Errorf("the request is %+v", c)
	}
}
