package challenge

import (
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/propagation"
)

// TestTakeOverChallenges holds that what was presented is not presented again:
// the server is asked how far it is. What could not be presented is tried.
func TestTakeOverChallenges(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for _, c := range r.Challenges {
			t.Run(c.Name, func(t *testing.T) {
				want := Plan{Status: c.Status}
				switch {
				case order.ChallengeFinal(c):
				case c.Status.Presented:
					want.Step = Check
				case HasFinalizer(c):
					want.Step = Present
				default:
					want.Step = AddFinalizer
				}
				state := State{
					Object: c, Account: r.Account(t, c.Namespace, c.Spec.IssuerRef), OwnSolver: true, Slot: true,
					Propagation: propagation.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
				}
				samePlan(t, want, Next(state, r.Time))
			})
		}
	})
}
