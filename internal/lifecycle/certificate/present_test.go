package certificate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestForeignCA has a Secret with a ca.crt that the issuer has not returned, and a repair
// for another reason: it stays the entry of whoever has written it, and nothing is left to
// repair.
func TestForeignCA(t *testing.T) {
	c := issuedState()
	r := firstRequest(c.Object)
	c.Requests = factsOf(r)
	foreign := pki.EncodeChain(authority())
	c.Secret = secretFor(c, r, key(1), func(s *corev1.Secret) {
		manage(s)
		s.Data["ca.crt"] = foreign
	})
	c.Object.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}}
	if _, ok := c.Next(now).Do.(RepairSecret); !ok {
		t.Fatalf("the label is not repaired: %v", c.Next(now).Do)
	}
	m := materialFor(r, pki.PKCS1)
	data := map[string][]byte{"tls.crt": m.Chain, "tls.key": m.Key, "ca.crt": foreign}
	if diff := cmp.Diff(m, c.Present(data)); diff != "" {
		t.Errorf("the material (-want +got):\n%s", diff)
	}
	wanted := must(Data(&c.Object.Spec, c.Present(data), nil, data, pki.Limits{}, now))
	c.Secret = secretFor(c, r, key(1), func(s *corev1.Secret) {
		s.Data = wanted
		manage(s)
		s.Data["ca.crt"] = foreign
	})
	samePlan[plan.Action](t, nil, c.Next(now).Do)

	// One that the issuer has returned is part of it.
	c.Requests = factsOf(firstRequest(c.Object, withCA))
	m.CA = foreign
	if diff := cmp.Diff(m, c.Present(data)); diff != "" {
		t.Errorf("with the issuer's CA (-want +got):\n%s", diff)
	}
}
