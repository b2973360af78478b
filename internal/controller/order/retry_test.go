package order

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestEventsDoNotRepeatAnAction holds that failures whose text alternates do not
// have an Order ask the server again by the events of its own status, and that
// news of the issuer does.
func TestEventsDoNotRepeatAnAction(t *testing.T) {
	issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}}
	for name, retry := range map[string]func(*started){
		"the issuer":       func(s *started) { s.Registration().Watches[0].Keys(context.Background(), issuer) },
		"account is ready": func(s *started) { s.deps.AccountReady.Publish(context.Background(), issuer) },
	} {
		t.Run(name, func(t *testing.T) {
			from := request(t, "a.example")
			object := orderFor(t, from)
			s := start(t, from, object)
			s.cache(t, from, object)
			asked := 0
			s.failWith(func(plan.Action) error {
				asked++
				return fault.New(fault.Transient, "ServerError", "text %d", asked%2)
			})
			result := reconcile.Result{}
			step := func(what string, want int, wait time.Duration) {
				t.Helper()
				for range 3 {
					result = s.reconcile(t, nil, object)
					s.cache(t, object)
				}
				if asked != want || result.RequeueAfter != wait {
					t.Errorf("%s: asked %d times, want %d, comes back after %s, want %s", what, asked, want, result.RequeueAfter, wait)
				}
			}
			step("first", 1, 200*time.Millisecond)
			s.deps.Clock.(*clocktesting.FakeClock).Step(200 * time.Millisecond)
			step("after the wait", 2, 400*time.Millisecond)
			retry(s)
			step("after news", 3, 800*time.Millisecond)
		})
	}
}
