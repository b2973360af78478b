package order

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// pair returns two Orders of a class, with their request.
func pair(t *testing.T) (from *cmv1.CertificateRequest, first, second *acmev1.Order) {
	t.Helper()
	from = request(t, "a.example")
	first = orderFor(t, from)
	second = orderFor(t, from, func(o *acmev1.Order) {
		o.Name, o.UID = "second", "second"
		o.CreationTimestamp = metav1.NewTime(now)
	})
	return from, first, second
}

// TestEndWakesTheClass holds that an Order wakes those that wait for it as soon
// as its end is stored, and only then.
func TestEndWakesTheClass(t *testing.T) {
	complete := acmev1.OrderStatus{State: acmev1.Valid, Certificate: []byte("chain")}
	failed := acmev1.OrderStatus{State: acmev1.Errored}
	reason := failed
	reason.Reason = "because"
	for _, test := range []struct {
		name     string
		from, to acmev1.OrderStatus
		woken    bool
	}{
		{"failed", acmev1.OrderStatus{}, failed, true},
		{"certificate stored", acmev1.OrderStatus{State: acmev1.Ready}, complete, true},
		{"URL stored", acmev1.OrderStatus{}, acmev1.OrderStatus{State: acmev1.Pending, URL: "https://acme/o"}, false},
		{"valid, without the certificate", acmev1.OrderStatus{State: acmev1.Ready}, acmev1.OrderStatus{State: acmev1.Valid}, false},
		{"ended before", failed, reason, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, first, second := pair(t)
			s := start(t, from, first, second)
			s.cache(t, from, first, second)
			w := s.work(t, first)
			w.State.Object.Status = test.from
			changed := first.DeepCopy()
			changed.Status = test.to
			woken := s.wakes(t)
			w.Replace(changed)
			var want []types.NamespacedName
			if test.woken {
				want = append(want, client.ObjectKeyFromObject(second))
			}
			if diff := cmp.Diff(want, woken()); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEndedOrderWithChallengesWakesTheClass holds that nobody waits for the
// Challenges of an Order that has ended, also if the cache did not show the end
// when it was stored.
func TestEndedOrderWithChallengesWakesTheClass(t *testing.T) {
	from, first, second := pair(t)
	left := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "left", UID: "left",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(first, acmev1.SchemeGroupVersion.WithKind("Order"))},
		},
		Status: acmev1.ChallengeStatus{State: acmev1.Pending},
	}
	s := start(t, from, first, second, left)
	first.Status.State = acmev1.Invalid
	if err := s.objects.Status().Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	s.cache(t, from, first, second)
	s.refuse = errors.New("no answer")
	woken := s.wakes(t)
	s.reconcile(t, nil, first)
	if diff := cmp.Diff([]types.NamespacedName{client.ObjectKeyFromObject(second)}, woken()); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}

// TestOrderMadeAnewWakesTheClass holds that those that waited for an Order are
// woken if another of the same name, for other names, is in its place.
func TestOrderMadeAnewWakesTheClass(t *testing.T) {
	from, first, second := pair(t)
	s := start(t, from, first, second)
	s.cache(t, from, first, second)
	s.work(t, first)
	again := orderFor(t, request(t, "b.example"), func(o *acmev1.Order) { o.Name, o.UID = first.Name, "again" })
	if err := s.orders.Delete(first); err != nil {
		t.Fatal(err)
	}
	woken := s.wakes(t)
	if _, err := s.Load(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]types.NamespacedName{client.ObjectKeyFromObject(second)}, woken()); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}
