package certificate

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// adopted is a Certificate whose Secret somebody has made before, with a pair that fits.
func adopted(certificate func(*cmv1.Certificate), change ...func(*corev1.Secret)) State {
	if certificate == nil {
		certificate = func(*cmv1.Certificate) {}
	}
	c := State{Object: newCertificate(certificate), Backoff: plan.DefaultIssuance}
	foreign := func(s *corev1.Secret) {
		s.Labels, s.Annotations, s.OwnerReferences, s.ManagedFields = nil, nil, nil, nil
	}
	c.Secret = secretFor(c, firstRequest(c.Object), key(1), append([]func(*corev1.Secret){foreign}, change...)...)
	return c
}

// TestAdoption has Secrets that nobody has issued for the Certificate: they are not issued
// again, and brought to what the spec wants by one write, if they can stay.
func TestAdoption(t *testing.T) {
	annotate := func(key, value string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Annotations = map[string]string{key: value} }
	}
	for _, test := range []struct {
		name     string
		secret   func(*corev1.Secret)
		state    func(*State)
		repaired bool
	}{
		{"a pair that fits", nil, nil, true},
		{"with the name of the Certificate", annotate(cmv1.CertificateNameKey, "web"), nil, true},
		{"of another Certificate", nil, func(c *State) { c.SecretOwnedBy = "other" }, false},
		{"in use by an issuer", nil, func(c *State) { c.SecretUsedBy = `Issuer "ca"` }, false},
		{"in use by an issuer, made by the Certificate", annotate(cmv1.CertificateNameKey, "web"), func(c *State) { c.SecretUsedBy = `Issuer "ca"` }, true},
		{"temporary, without a name", nil, func(c *State) { c.Secret.Leaf.Temporary = true }, false},
		{"to be replaced after the back-off", nil, func(c *State) {
			c.Object.Spec.DNSNames = []string{"other.example.com"}
			c.Object.Status.LastFailureTime = at(now)
		}, false},
		{"of another issuer, to be replaced after the back-off", annotate(cmv1.IssuerKindAnnotationKey, "Other"), func(c *State) {
			c.Object.Status.LastFailureTime = at(now)
		}, false},
	} {
		c := adopted(nil, func(s *corev1.Secret) {
			if test.secret != nil {
				test.secret(s)
			}
		})
		if test.state != nil {
			test.state(&c)
		}
		p := c.Next(now)
		if issuing(p.Status) {
			t.Errorf("%s: it is issued again: %+v", test.name, p.Status.Conditions)
		}
		if _, ok := p.Do.(RepairSecret); ok != test.repaired {
			t.Errorf("%s: %v", test.name, p.Do)
		}
	}
}

// TestAdoptedSecret has what an adopted Secret becomes, and that it then stays as it is.
func TestAdoptedSecret(t *testing.T) {
	for _, withBundle := range []bool{false, true} {
		c := adopted(func(crt *cmv1.Certificate) {
			withFormats("DER")(crt)
			withKeystores(true, false)(crt)
			crt.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{"team": "a"}}
		}, func(s *corev1.Secret) {
			if withBundle {
				s.Data["ca.crt"] = pki.EncodeChain(authority())
			}
		})
		c.OwnSecret, c.PasswordVersions = true, map[string]string{"pw": "7"}
		data := map[string][]byte{}
		m := materialFor(firstRequest(c.Object), pki.PKCS8)
		data["tls.crt"], data["tls.key"] = m.Chain, m.Key
		want := []string{"key.der", "keystore.p12", "tls.crt", "tls.key"}
		if withBundle {
			data["ca.crt"] = pki.EncodeChain(authority())
			want = append([]string{"ca.crt"}, append(want, "truststore.p12")...)
		}
		wanted := must(Data(&c.Object.Spec, c.Present(data), passwordsOf, data, pki.Limits{}, now))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(wanted))); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		meta := PresentMetadata(c)
		if diff := cmp.Diff(SecretMetadata{
			Labels: map[string]string{"controller.cert-manager.io/fao": "true", "team": "a"},
			Annotations: map[string]string{
				"cert-manager.io/certificate-name": "web", "cert-manager.io/common-name": "", "cert-manager.io/alt-names": "web.example.com",
				"cert-manager.io/ip-sans": "", "cert-manager.io/uri-sans": "",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: "web", UID: "web-uid", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true)}},
		}, meta); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
		c.Secret = secretFor(c, firstRequest(c.Object), key(1), func(s *corev1.Secret) {
			s.Labels, s.Annotations, s.OwnerReferences, s.Data = meta.Labels, meta.Annotations, meta.OwnerReferences, wanted
			manage(s)
		})
		c.Keystores = c.StoredKeystores(passwordsOf, nil)
		if p := c.Next(now); p.Do != nil || issuing(p.Status) {
			t.Errorf("it does not stay: %v, %+v", p.Do, p.Status.Conditions)
		}
	}
}
