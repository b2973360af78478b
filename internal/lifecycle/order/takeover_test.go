package order

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestTakeOverOrders holds that the Orders and Challenges that we would make
// are those that are there, down to their names.
func TestTakeOverOrders(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for _, o := range r.Orders {
			t.Run(o.Name, func(t *testing.T) {
				state := State{Object: o, Memory: &Memory{Loaded: r.Time}, Account: r.Account(t, o.Namespace, o.Spec.IssuerRef)}
				for _, q := range r.Requests {
					if metav1.IsControlledBy(o, q) {
						state.Request = q
					}
				}
				built, err := Build(state.Request, state.Account.Issuer, pki.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				want := o.DeepCopy()
				want.TypeMeta, want.Status = metav1.TypeMeta{}, acmev1.OrderStatus{}
				want.UID, want.ResourceVersion, want.Generation, want.CreationTimestamp = "", "", 0, metav1.Time{}
				samePlan(t, *want, *built)

				for _, c := range r.Challenges {
					if !metav1.IsControlledBy(c, o) {
						continue
					}
					state.Challenges = append(state.Challenges, c)
					if name := ChallengeName(o.Name, c.Spec); name != c.Name {
						t.Errorf("Challenge %s would have the name %s", c.Name, name)
					}
					if why := ChallengeProvenance(c, o, state.Account); why != "" {
						t.Errorf("Challenge %s: %s", c.Name, why)
					}
				}
				plan := state.Next(r.Time)
				wantPlan := Plan{Status: o.Status}
				if o.Status.State == acmev1.Pending {
					wantPlan.Until = r.Time.Add(orderRefresh)
					if wantPlan.Status.Reason = waitingFor(state.Challenges); wantPlan.Status.Reason == "" {
						wantPlan.Until = r.Time.Add(quiet)
					}
				}
				samePlan(t, wantPlan, plan)
			})
		}
	})
}
