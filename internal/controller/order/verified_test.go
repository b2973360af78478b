package order

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
)

// An Order takes a Challenge that the server has validated as valid before its status says
// so, and wakes for it. What failed stays failed.
func TestVerifiedChallenges(t *testing.T) {
	from := request(t, "a.example")
	object := orderFor(t, from)
	of := func(uid types.UID, state acmev1.State) *acmev1.Challenge {
		return &acmev1.Challenge{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: object.Namespace, Name: string(uid), UID: uid,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(object, acmev1.SchemeGroupVersion.WithKind(acmev1.OrderKind))},
			},
			Status: acmev1.ChallengeStatus{State: state},
		}
	}
	s := start(t, from, object, of("verified", acmev1.Pending), of("pending", acmev1.Pending), of("failed", acmev1.Invalid))
	s.cache(t, from, object)
	key := client.ObjectKeyFromObject(object)
	for _, uid := range []types.UID{"verified", "failed"} {
		// Nobody has loaded the Order yet: the status will say it.
		s.deps.Verified.Publish(t.Context(), controller.Verified{Challenge: uid, Order: key})
	}
	states := func() map[string]acmev1.State {
		states := map[string]acmev1.State{}
		for _, c := range s.work(t, object).Challenges {
			states[c.Name] = c.Status.State
		}
		return states
	}
	if got := states(); got["verified"] != acmev1.Pending {
		t.Errorf("an Order that was not known takes a Challenge as %q", got["verified"])
	}
	for _, uid := range []types.UID{"verified", "failed"} {
		s.deps.Verified.Publish(t.Context(), controller.Verified{Challenge: uid, Order: key})
	}
	if got := states(); got["verified"] != acmev1.Valid || got["pending"] != acmev1.Pending || got["failed"] != acmev1.Invalid {
		t.Errorf("states %v", got)
	}
}
