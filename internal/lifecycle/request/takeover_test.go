package request

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
)

// TestTakeOverRequests holds that no request is touched.
func TestTakeOverRequests(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for _, q := range r.Requests {
			t.Run(q.Name, func(t *testing.T) {
				state := State{Object: q, Issuer: r.Issuer(q.Namespace, q.Spec.IssuerRef)}
				for _, o := range r.Orders {
					if metav1.IsControlledBy(o, q) {
						state.Orders = append(state.Orders, o)
					}
				}
				samePlan(t, Plan{Status: q.Status}, Next(state, r.Time))
			})
		}
	})
}
