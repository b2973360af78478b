package certificate

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// stateOf is what the reconciler would load for a Certificate.
func stateOf(r lifecycletest.Recorded, crt *cmv1.Certificate) State {
	c := State{Object: crt, Backoff: plan.DefaultIssuance, Orders: map[types.UID]*facts.Order{}}
	var sharing []cmv1.Certificate
	for i := range r.Certificates {
		if other := &r.Certificates[i]; other.Namespace == crt.Namespace && other.Spec.SecretName == crt.Spec.SecretName {
			sharing = append(sharing, *other)
		}
	}
	for _, s := range r.Secrets {
		switch {
		case s.Namespace == crt.Namespace && s.Name == crt.Spec.SecretName:
			c.Secret = facts.OfSecret(s, pki.Limits{})
		case metav1.IsControlledBy(s, crt) && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true":
			c.Keys = append(c.Keys, facts.OfSecret(s, pki.Limits{}))
		}
	}
	for _, q := range r.Requests {
		if metav1.IsControlledBy(q, crt) {
			c.Requests = append(c.Requests, facts.OfRequest(q, pki.Limits{}))
			c.Orders[q.UID] = facts.Newest(ordersOf(r, q))
		}
	}
	if owner := SecretOwner(sharing, c.Secret); owner != crt.Name {
		c.SecretOwnedBy = owner
	}
	c.checkKeystores(r)
	return c
}

// checkKeystores opens the keystores that cert-manager has made.
func (c *State) checkKeystores(r lifecycletest.Recorded) {
	secrets := map[string]*corev1.Secret{}
	for _, s := range r.Secrets {
		if s.Namespace == c.Object.Namespace {
			secrets[s.Name] = s
		}
	}
	s, passwords := secrets[c.Object.Spec.SecretName], map[string][]byte{}
	c.PasswordVersions = map[string]string{}
	for _, k := range Keystores(&c.Object.Spec) {
		if k.PasswordSecret != "" {
			c.PasswordVersions[k.PasswordSecret] = secrets[k.PasswordSecret].ResourceVersion
			passwords[k.Keystore] = must(k.Password(secrets[k.PasswordSecret].Data))
		} else {
			passwords[k.Keystore] = must(k.Password(nil))
		}
	}
	if len(passwords) > 0 {
		c.Keystores = c.CheckedKeystores(Material{s.Data["tls.crt"], s.Data["tls.key"], s.Data["ca.crt"]}, passwords, s.Data, nil, pki.Limits{})
	}
}

func ordersOf(r lifecycletest.Recorded, q *cmv1.CertificateRequest) []*facts.Order {
	var orders []*facts.Order
	for _, o := range r.Orders {
		if metav1.IsControlledBy(o, q) {
			orders = append(orders, facts.OfOrder(o, pki.Limits{}))
		}
	}
	return orders
}

// TestTakeOverCertificates holds that nothing is issued again, made or deleted
// for any Certificate that cert-manager has left behind, and that no status is
// written: only what still waits two minutes later says what for, and one with a
// temporary certificate, which cert-manager calls ready, is not.
func TestTakeOverCertificates(t *testing.T) {
	const noIssuer = `; waiting: Referenced "Issuer" not found: issuer.cert-manager.io "does-not-exist" not found`
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for i := range r.Certificates {
			crt := &r.Certificates[i]
			t.Run(crt.Name, func(t *testing.T) {
				want := Plan{Status: *crt.Status.DeepCopy()}
				if at := crt.Status.RenewalTime; at != nil {
					want.Until = at.Time
				}
				if failed := crt.Status.LastFailureTime; failed != nil {
					want.Until = failed.Add(time.Hour)
				}
				waits := map[string]string{
					"no-issuer": noIssuer, "temporary": noIssuer,
					"external":   `; waiting: Bar.example.com "foo" has not answered CertificateRequest "external-1"`,
					"unapproved": `; waiting: CertificateRequest "unapproved-1" has to be approved`,
				}[crt.Name]
				if waits != "" {
					want.Until = plan.Earliest(want.Until, r.Time.Add(2*time.Minute))
				}
				if crt.Name == "dup-b" {
					want.Until = r.Time.Add(ownerRecheck)
				}
				c := stateOf(r, crt)
				c.Started = r.Time
				notReady := func(since time.Time) {
					if crt.Name == "temporary" {
						*condition.Find(want.Status.Conditions, cmv1.CertificateConditionReady) = readyIs(cmmeta.ConditionFalse, "IncorrectIssuer", temporarySecret, since)
					}
				}
				notReady(r.Time)
				samePlan(t, want, c.Next(r.Time))
				if waits == "" {
					return
				}

				issuing := condition.Find(want.Status.Conditions, cmv1.CertificateConditionIssuing)
				issuing.Message += waits
				notReady(r.Time.Add(2 * time.Minute))
				want.Until = time.Time{}
				if at := crt.Status.RenewalTime; at != nil {
					want.Until = at.Time
				}
				samePlan(t, want, c.Next(r.Time.Add(2*time.Minute)))
			})
		}
	})
}

// TestInheritedWaits has issuances that wait for an approval, and whether the
// status says so at once.
func TestInheritedWaits(t *testing.T) {
	tests := []struct {
		name  string
		state func(*State)
		told  bool
	}{
		{"begun by another process", func(*State) {}, false},
		{"begun by another process, two minutes ago", func(c *State) { c.Started = now.Add(-2 * time.Minute) }, true},
		{"begun in the second in which this process started", func(c *State) { c.Started = now.Add(time.Second - 1) }, true},
		{"begun since this process started", func(c *State) { c.Started = now.Add(-time.Minute) }, true},
		{"requested by this process", func(c *State) { c.Memory.Request = c.Requests[0].UID }, true},
		{"said before", func(c *State) { c.Object.Status.Conditions[0].Message += "; waiting: no issuer" }, true},
		{"not begun", func(c *State) { c.Object.Status.Conditions = nil }, true},
	}
	for _, test := range tests {
		c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Started: now.Add(time.Second), Keys: []*facts.Secret{nextKey("web-k", key(1))}}
		c.Object.Status = begun("web-k")
		c.Requests = factsOf(newRequest(c.Object, key(1), 1))
		test.state(&c)
		p := c.Next(now)
		message := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing).Message
		if told := strings.HasSuffix(message, `; waiting: CertificateRequest "web-1" has to be approved`); told != test.told || told == p.Until.Equal(c.Started.Add(2*time.Minute)) {
			t.Errorf("%s: %q, until %s", test.name, message, p.Until)
		}
	}
}
