package certificate

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestRenewal(t *testing.T) {
	due := born.Add(60 * day)
	end := born.Add(90 * day)
	const message = "Renewing certificate as renewal was scheduled at 2027-01-11 06:00:00 +0000 UTC"
	expired := "Certificate expired on Wed, 10 Feb 2027 06:00:00 UTC"
	disabled := func(crt *cmv1.Certificate) {
		crt.Spec.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyDisabled}
	}
	tests := []struct {
		name   string
		change func(*cmv1.Certificate)
		now    time.Time
		want   func(*Plan)
	}{
		{"not due", nil, due.Add(-time.Second), func(p *Plan) { p.Until = due }},
		{"due", nil, due, func(p *Plan) {
			p.Do, p.Confirm, p.Until = GenerateKey{Spec: p256, Begins: true}, []plan.Confirm{self, target("s7")}, end
			p.Status.Conditions = append(p.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "Renewing", message, due))
		}},
		{"expired", nil, end, func(p *Plan) {
			p.Do, p.Confirm = GenerateKey{Spec: p256, Begins: true}, []plan.Confirm{self, target("s7")}
			p.Status.Conditions = []cmv1.CertificateCondition{
				readyIs(cmmeta.ConditionFalse, "Expired", expired, end),
				issuingIs(cmmeta.ConditionTrue, "Renewing", message, end),
			}
		}},
		{"disabled", disabled, due, func(p *Plan) { p.Status.RenewalTime, p.Until = nil, end }},
		{"disabled and expired", disabled, end.Add(day), func(p *Plan) {
			p.Status.RenewalTime = nil
			p.Status.Conditions = []cmv1.CertificateCondition{readyIs(cmmeta.ConditionFalse, "Expired", expired, end.Add(day))}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			if test.change != nil {
				test.change(c.Object)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, c.Next(test.now))
		})
	}
}

func TestRenewalTime(t *testing.T) {
	leaf := pki.LeafFacts{NotBefore: now, NotAfter: now.Add(90*day + 500*time.Millisecond)}
	before := func(d time.Duration) func(*cmv1.CertificateSpec) {
		return func(s *cmv1.CertificateSpec) { s.RenewBefore = &metav1.Duration{Duration: d} }
	}
	tests := []struct {
		name   string
		spec   func(*cmv1.CertificateSpec)
		issuer time.Time
		want   time.Time
	}{
		{"a third", nil, time.Time{}, now.Add(60 * day)},
		{"renewBefore", before(10 * day), time.Time{}, now.Add(80 * day)},
		{"renewBefore longer than the life", before(91 * day), time.Time{}, now.Add(60 * day)},
		{"percentage", func(s *cmv1.CertificateSpec) { s.RenewBeforePercentage = ptr.To(int32(10)) }, time.Time{}, now.Add(81 * day)},
		{"early, issuer lives on", before(80 * day), now.Add(91 * day), now.Add(10 * day)},
		{"early, issuer ends with it", before(80 * day), leaf.NotAfter, now.Add(45 * day)},
		{"early, issuer ends before it", before(80 * day), now.Add(day), now.Add(45 * day)},
		{"late, issuer ends before it", before(10 * day), now.Add(day), now.Add(80 * day)},
		{"disabled", func(s *cmv1.CertificateSpec) {
			s.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyDisabled}
		}, time.Time{}, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			crt := newCertificate()
			if test.spec != nil {
				test.spec(&crt.Spec)
			}
			if got := renewalTime(crt, &facts.Secret{Leaf: &leaf, IssuerNotAfter: test.issuer}); !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestOutlivesIssuer has a certificate that ends after its issuer's: it is
// ready, in upstream's words.
func TestOutlivesIssuer(t *testing.T) {
	c := issuedState()
	issuer := ca(born, born.Add(30*day))
	c.Secret = secretFor(c, firstRequest(c.Object), key(1), func(s *corev1.Secret) { s.Data["ca.crt"] = pki.EncodeChain(issuer) })
	want := Plan{Status: *c.Object.Status.DeepCopy(), Until: born.Add(60 * day)}
	samePlan(t, want, c.Next(now))
}

// TestSelfSignedIsNoIssuer holds that a certificate that is its own issuer is
// renewed when the spec says.
func TestSelfSignedIsNoIssuer(t *testing.T) {
	cert := ca(born, born.Add(90*day))
	data := pki.EncodeChain(cert)
	facts := facts.OfSecret(&corev1.Secret{Data: map[string][]byte{"tls.crt": data, "ca.crt": data}}, pki.Limits{})
	if !facts.IssuerNotAfter.IsZero() {
		t.Errorf("its issuer ends at %s", facts.IssuerNotAfter)
	}
	crt := newCertificate(func(crt *cmv1.Certificate) { crt.Spec.RenewBefore = &metav1.Duration{Duration: 80 * day} })
	if got, want := renewalTime(crt, facts), born.Add(10*day); !got.Equal(want) {
		t.Errorf("renewal at %s, want %s", got, want)
	}
}

func TestTrim(t *testing.T) {
	c := issuedState()
	c.Object.Status.Revision = ptr.To(3)
	crt := c.Object
	current := firstRequest(crt)
	current.Name, current.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] = "web-3", "3"
	next := newRequest(crt, key(2), 4, failedAt(now, "no"))
	gone := newRequest(crt, key(1), 1)
	gone.Name, gone.DeletionTimestamp = "web-0", at(now)
	foreign := newRequest(crt, key(1), 9)
	delete(foreign.Annotations, cmv1.CertificateRequestRevisionAnnotationKey)
	c.Requests = factsOf(next, newRequest(crt, key(1), 2), gone, current, foreign, newRequest(crt, key(1), 1))
	tests := []struct {
		name  string
		state func(*State)
		want  []string
	}{
		{"one is kept", func(*State) {}, []string{"web-1", "web-2"}},
		{"two are kept", func(c *State) { c.Object.Spec.RevisionHistoryLimit = ptr.To(int32(2)) }, []string{"web-1"}},
		{"all are kept", func(c *State) { c.Object.Spec.RevisionHistoryLimit = ptr.To(int32(3)) }, nil},
		{"not ready", func(c *State) {
			c.Secret.Leaf.NotAfter = now
			c.Object.Spec.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyDisabled}
		}, nil},
		{"no revision", func(c *State) { c.Object.Status.Revision = nil }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := c
			c.Object = crt.DeepCopy()
			facts, leaf := *c.Secret, *c.Secret.Leaf
			facts.Leaf, c.Secret = &leaf, &facts
			test.state(&c)
			p := c.Next(now)
			want := Plan{Status: p.Status, Until: p.Until}
			var got []string
			if test.want != nil {
				trimmed := p.Do.(DeleteRevisions)
				want.Do, want.Confirm, want.Persist = trimmed, []plan.Confirm{self}, plan.Before
				for _, r := range trimmed.Requests {
					got = append(got, r.Name)
				}
			}
			samePlan(t, want, p)
			samePlan(t, test.want, got)
		})
	}
}
