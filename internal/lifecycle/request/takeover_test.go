package request

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestTakeOverRequests holds that no request is touched.
func TestTakeOverRequests(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for _, q := range r.Requests {
			t.Run(q.Name, func(t *testing.T) {
				state := State{Object: q, Key: facts.OfRequest(q, pki.Limits{}).CSR.KeyDigest, Issuer: r.Issuer(q.Namespace, q.Spec.IssuerRef)}
				for _, o := range r.Orders {
					if metav1.IsControlledBy(o, q) {
						state.Orders = append(state.Orders, facts.OfOrder(o, pki.Limits{}))
					}
				}
				got := state.Next(r.Time)
				// The status is as it is: it does not matter who would write it.
				got.Manager = ""
				samePlan(t, Plan{Status: q.Status}, got)
			})
		}
	})
}
