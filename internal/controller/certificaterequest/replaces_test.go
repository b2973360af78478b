package certificaterequest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestReplaces holds that an Order names the certificate that it replaces, if the same
// issuer has issued that, and that its name does not depend on it.
func TestReplaces(t *testing.T) {
	names := map[string]bool{}
	issued := func(change ...func(*facts.Secret)) *facts.Secret {
		s := &facts.Secret{
			Annotations: map[string]string{cmv1.IssuerNameAnnotationKey: "i", cmv1.IssuerKindAnnotationKey: cmv1.IssuerKind},
			Leaf:        &pki.LeafFacts{CertID: "a.b"},
		}
		for _, f := range change {
			f(s)
		}
		return s
	}
	annotation := func(key, value string) func(*facts.Secret) {
		return func(s *facts.Secret) { s.Annotations[key] = value }
	}
	for name, test := range map[string]struct {
		secret *facts.Secret
		off    bool
		source acmev1.ACMERenewalInformationSource
		want   string
	}{
		"the issuer's":       {secret: issued(), want: "a.b"},
		"the gate is off":    {secret: issued(), off: true},
		"no advice is taken": {secret: issued(), source: acmev1.RenewalInformationSourceNone},
		"no Secret":          {},
		"no certificate":     {secret: issued(func(s *facts.Secret) { s.Leaf = nil })},
		"temporary":          {secret: issued(func(s *facts.Secret) { s.Leaf.Temporary = true })},
		"another issuer's":   {secret: issued(annotation(cmv1.IssuerNameAnnotationKey, "j"))},
		"a ClusterIssuer's":  {secret: issued(annotation(cmv1.IssuerKindAnnotationKey, cmv1.ClusterIssuerKind))},
		"of unknown origin":  {secret: issued(func(s *facts.Secret) { s.Annotations = nil })},
		"a foreign group's":  {secret: issued(annotation(cmv1.IssuerGroupAnnotationKey, "example.com"))},
		"of the same, spelt": {secret: issued(annotation(cmv1.IssuerGroupAnnotationKey, "cert-manager.io")), want: "a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRequest(t)
			crt := &cmv1.Certificate{
				ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web", UID: "web-uid"}, Spec: cmv1.CertificateSpec{SecretName: "web-tls"},
			}
			l := newLab(t, &signer{}, r, crt, newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{RenewalInformationSource: test.source}}))
			l.config.RenewalInformation = !test.off
			l.secrets["web-tls"] = test.secret
			l.reconcile()
			list := &acmev1.OrderList{}
			if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
				t.Fatalf("%d Orders, error %v", len(list.Items), err)
			}
			if got := list.Items[0].Spec.Replaces; got != test.want {
				t.Errorf("replaces %q, want %q", got, test.want)
			}
			names[list.Items[0].Name] = true
		})
	}
	if len(names) != 1 {
		t.Errorf("the Orders have several names: %v", names)
	}
}
