package challenge

import (
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// TestTakeOverChallenges holds that what was presented is not presented again:
// the server is asked how far it is. What could not be presented is tried.
func TestTakeOverChallenges(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		for _, c := range r.Challenges {
			t.Run(c.Name, func(t *testing.T) {
				want := Plan{Status: c.Status}
				switch {
				case order.Final(c.Status.State):
				case c.Status.Presented:
					want.Do = FetchAuthorization{URL: c.Spec.AuthorizationURL}
				case HasFinalizer(c):
					want.Do = Present{}
				default:
					want.Do = AddFinalizer{}
				}
				state := State{
					Object: c, Account: r.Account(t, c.Namespace, c.Spec.IssuerRef), OwnSolver: true, Slot: Held,
					CheckRetry: 10 * time.Second,
				}
				if order.Final(c.Status.State) || c.Status.Presented {
					state.Slot = NoSlot
				}
				samePlan(t, want, state.Next(r.Time))
			})
		}
	})
}
