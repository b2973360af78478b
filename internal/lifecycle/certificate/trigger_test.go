package certificate

import (
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestTriggers breaks an issued certificate in each way in which it can be
// broken: the plan begins an issuance, says why in both conditions, and asks
// for a key. Each case keeps the faults of those after it, so the first in the
// chain must win.
func TestTriggers(t *testing.T) {
	otherKey := func(s *corev1.Secret) { s.Data["tls.key"] = must(pki.EncodeKey(key(2), pki.PKCS8)) }
	with := func(change ...func(*corev1.Secret)) func(*State) {
		return func(c *State) { c.Secret = secretFor(*c, firstRequest(c.Object), key(1), change...) }
	}
	noLeaf := func(s *cmv1.CertificateStatus) { s.NotBefore, s.NotAfter, s.RenewalTime = nil, nil, nil }
	tests := []struct {
		name            string
		state           func(*State)
		reason, message string
		status          func(*cmv1.CertificateStatus)
	}{
		{
			"no Secret", func(c *State) { c.Secret = nil },
			"DoesNotExist", "Issuing certificate as Secret does not exist", noLeaf,
		},
		{
			"no data", with(func(s *corev1.Secret) { s.Data = nil }),
			"MissingData", "Issuing certificate as Secret does not contain any data", noLeaf,
		},
		{
			"no key", with(func(s *corev1.Secret) { delete(s.Data, "tls.key") }),
			"MissingData", "Issuing certificate as Secret does not contain a private key", nil,
		},
		{
			"empty key", with(func(s *corev1.Secret) { s.Data["tls.key"] = []byte{} }),
			"MissingData", "Issuing certificate as Secret does not contain a private key", nil,
		},
		{
			"no certificate", with(func(s *corev1.Secret) { delete(s.Data, "tls.crt") }),
			"MissingData", "Issuing certificate as Secret does not contain a certificate", noLeaf,
		},
		{
			"bad key", with(func(s *corev1.Secret) { s.Data["tls.key"] = []byte("x") }),
			"InvalidKeyPair", "Issuing certificate as Secret contains invalid private key data: " + pki.ErrNoPEM.Error(), nil,
		},
		{
			"bad certificate", with(func(s *corev1.Secret) { s.Data["tls.crt"] = []byte("x") }),
			"InvalidCertificate", "Issuing certificate as Secret contains an invalid certificate: " + pki.ErrNoPEM.Error(), noLeaf,
		},
		{
			"another's key", with(otherKey),
			"InvalidKeyPair", "Issuing certificate as Secret contains a private key that does not match the certificate", nil,
		},
		{
			"another issuer", func(c *State) {
				c.Object.Spec.IssuerRef = cmmeta.IssuerReference{Name: "other"}
				c.Secret.Annotations[cmv1.CertificateNameKey] = "older"
			},
			"IncorrectIssuer", `Issuing certificate as Secret was previously issued by "ClusterIssuer.cert-manager.io/ca"`, nil,
		},
		{
			"another issuer, by its name alone", func(c *State) {
				c.Object.Spec.IssuerRef = cmmeta.IssuerReference{Name: "other"}
				delete(c.Secret.Annotations, cmv1.IssuerKindAnnotationKey)
				delete(c.Secret.Annotations, cmv1.IssuerGroupAnnotationKey)
			},
			"IncorrectIssuer", `Issuing certificate as Secret was previously issued by "Issuer.cert-manager.io/ca"`, nil,
		},
		{
			"another Certificate", func(c *State) {
				c.Secret.Annotations[cmv1.CertificateNameKey] = "older"
				c.Object.Spec.PrivateKey.Size = 384
			},
			"IncorrectCertificate", `Secret was issued for "older". If this message is not transient, you might have two conflicting Certificates pointing to the same secret.`, nil,
		},
		{
			"another key size", func(c *State) {
				c.Object.Spec.PrivateKey.Size = 384
				c.Object.Spec.DNSNames = []string{"www.example.com"}
			},
			"SecretMismatch", "Existing private key is not up to date for spec: [spec.privateKey.size]", nil,
		},
		{
			"another key algorithm", func(c *State) { c.Object.Spec.PrivateKey = nil },
			"SecretMismatch", "Existing private key is not up to date for spec: [spec.privateKey.algorithm]", nil,
		},
		{
			"request cannot be decoded", func(c *State) {
				c.Requests = factsOf(firstRequest(c.Object, func(r *cmv1.CertificateRequest) { r.Spec.Request = []byte("x") }))
			},
			"InvalidCertificateRequest", "Failed to decode current CertificateRequest: " + pki.ErrNoPEM.Error(), nil,
		},
		{
			"request for another key", func(c *State) {
				c.Requests = factsOf(newRequest(c.Object, key(2), 1))
				c.Object.Spec.DNSNames = []string{"www.example.com"}
			},
			"SecretMismatch", "Secret contains a private key that does not match the current CertificateRequest", nil,
		},
		{
			"request for other things", func(c *State) {
				c.Object.Spec.DNSNames = []string{"www.example.com"}
				c.Object.Spec.Usages = []cmv1.KeyUsage{cmv1.UsageClientAuth}
			},
			"RequestChanged", "Fields on existing CertificateRequest resource not up to date: [spec.dnsNames spec.usages]", nil,
		},
		{
			"no request, other names", func(c *State) {
				c.Requests, c.Object.Spec.DNSNames = nil, []string{"www.example.com"}
			},
			"SecretMismatch", "Issuing certificate as Existing issued Secret is not up to date for spec: [spec.dnsNames]", nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			test.state(&c)
			want := Plan{Confirm: []plan.Confirm{self, target("")}, Status: *c.Object.Status.DeepCopy()}
			want.Do = GenerateKey{Spec: KeySpecOf(&c.Object.Spec), Begins: true}
			if c.Secret != nil {
				want.Confirm[1] = target("s7")
			}
			want.Status.Conditions = []cmv1.CertificateCondition{
				readyIs(cmmeta.ConditionFalse, test.reason, test.message, now),
				issuingIs(cmmeta.ConditionTrue, test.reason, test.message, now),
			}
			if test.status != nil {
				test.status(&want.Status)
			}
			if want.Status.RenewalTime != nil {
				want.Until = want.Status.RenewalTime.Time
			}
			samePlan(t, want, c.Next(now))

			// An event says the same if it takes longer than a moment.
			c.Memory.BegunAt = now.Add(-2 * time.Second)
			want.Do, want.Confirm = Announce{}, nil
			want.Events = []plan.Event{{Reason: "Issuing", Message: test.message, Component: "cert-manager-certificates-trigger"}}
			samePlan(t, want, c.Next(now))
		})
	}
}

// TestNoTrigger has what looks odd and is no reason to issue.
func TestNoTrigger(t *testing.T) {
	tests := []struct {
		name   string
		state  func(*State)
		status func(*cmv1.CertificateStatus)
		until  time.Time
	}{
		{name: "issued", state: func(*State) {}},
		{name: "issuer spelt out", state: func(c *State) {
			c.Object.Spec.IssuerRef.Group = "cert-manager.io"
		}},
		{name: "no issuer annotations", state: func(c *State) {
			for _, k := range []string{cmv1.IssuerNameAnnotationKey, cmv1.IssuerKindAnnotationKey, cmv1.IssuerGroupAnnotationKey} {
				delete(c.Secret.Annotations, k)
			}
			c.Secret.Managed.Annotations = slices.Sorted(maps.Keys(c.Secret.Annotations))
		}},
		{name: "request gone, name moved to the common name", state: func(c *State) {
			c.Requests, c.Object.Spec.CommonName, c.Object.Spec.DNSNames = nil, "web.example.com", nil
		}},
		{name: "usages in other words", state: func(c *State) {
			c.Object.Spec.Usages = []cmv1.KeyUsage{cmv1.UsageKeyEncipherment, cmv1.UsageSigning}
		}},
		{name: "not valid yet", state: func(c *State) {
			c.Secret.Leaf.NotBefore = now.Add(hour)
		}, status: func(s *cmv1.CertificateStatus) {
			s.NotBefore = at(now.Add(hour))
			// Two thirds of the life that the certificate has.
			s.RenewalTime = at(pki.RenewalTime(now.Add(hour), born.Add(90*day), nil, nil))
		}},
		{name: "condition of another type, status emptied", state: func(c *State) {
			c.Object.Status.Conditions = append(c.Object.Status.Conditions, cmv1.CertificateCondition{Type: "example.com/Seen", Status: cmmeta.ConditionTrue})
			c.Object.Status.NotAfter = nil
		}, status: func(s *cmv1.CertificateStatus) { s.NotAfter = at(born.Add(90 * day)) }},
		{name: "leftover name of a key", state: func(c *State) {
			c.Object.Status.NextPrivateKeySecretName = ptr.To("web-x")
		}, status: func(s *cmv1.CertificateStatus) { s.NextPrivateKeySecretName = nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			test.state(&c)
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			if test.status != nil {
				test.status(&want.Status)
			}
			want.Until = want.Status.RenewalTime.Time
			samePlan(t, want, c.Next(now))
		})
	}
}
