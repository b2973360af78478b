package challenge

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
)

// TestVisibleWakesLateSiblings holds that a Challenge whose value has become
// visible wakes a sibling that was created after its own reconcile had begun:
// the sibling has looked before and would wait for its whole patience.
func TestVisibleWakesLateSiblings(t *testing.T) {
	apex := challengeOf("apex", "ca", "order")
	s := newStage(t, acmeIssuer("ca"), apex)
	ctx := t.Context()
	queue := controller.NewQueue("challenges", controller.Backoff(1, 1))
	defer queue.ShutDown()
	if err := s.Requeue.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	loaded, err := s.Load(ctx, s.stored(t, "apex"))
	if err != nil {
		t.Fatal(err)
	}
	sibling := func(name string, change func(*acmev1.Challenge)) {
		c := challengeOf(name, "ca", "order", func(c *acmev1.Challenge) { c.Spec.DNSName = "APEX.example" }, change)
		if err := s.api.Create(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	sibling("wildcard", func(c *acmev1.Challenge) { c.Spec.Wildcard = true })
	sibling("ended", func(c *acmev1.Challenge) { c.Status.State = acmev1.Valid })
	sibling("http", func(c *acmev1.Challenge) { c.Spec.Type = acmev1.ACMEChallengeTypeHTTP01 })

	loaded.(*work).wakeSiblings(ctx)
	request, _ := queue.Get()
	if want := client.ObjectKeyFromObject(challengeOf("wildcard", "ca", "order")); request.NamespacedName != want {
		t.Errorf("woke %s, want %s", request.NamespacedName, want)
	}
	if n := queue.Len(); n != 0 {
		t.Errorf("%d others are woken", n)
	}
}
