package certificate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
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
	return c
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
// for any Certificate that cert-manager has left behind, and that the status
// changes only by what everleaf adds to it.
func TestTakeOverCertificates(t *testing.T) {
	const noIssuer = `; waiting: Referenced "Issuer" not found: issuer.cert-manager.io "does-not-exist" not found`
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for i := range r.Certificates {
			crt := &r.Certificates[i]
			t.Run(crt.Name, func(t *testing.T) {
				want := Plan{Status: *crt.Status.DeepCopy()}
				issuing := condition.Find(want.Status.Conditions, cmv1.CertificateConditionIssuing)
				if at := crt.Status.RenewalTime; at != nil {
					want.Until = at.Time
				}
				if failed := crt.Status.LastFailureTime; failed != nil {
					want.Until = failed.Add(time.Hour)
				}
				switch crt.Name {
				case "no-issuer", "temporary":
					issuing.Message += noIssuer
				case "external":
					issuing.Message += `; waiting: Bar.example.com "foo" has not answered CertificateRequest "external-1"`
				case "unapproved":
					issuing.Message += `; waiting: CertificateRequest "unapproved-1" has to be approved`
				case "dup-b":
					want.Until = r.Time.Add(ownerRecheck)
				}
				samePlan(t, want, stateOf(r, crt).Next(r.Time))
			})
		}
	})
}
