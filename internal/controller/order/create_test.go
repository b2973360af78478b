package order

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestURLThatCannotBeStored holds that an order is not made again because the
// API server did not take its URL.
func TestURLThatCannotBeStored(t *testing.T) {
	server := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	orders := 0
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	asked := account(t, server, &orders)
	s.refuse = errors.New("no answer")
	for range 3 {
		if result := s.reconcile(t, asked, object); result.RequeueAfter == 0 {
			t.Fatal("nothing is retried although the API server does not answer")
		}
	}
	s.refuse = nil
	s.reconcile(t, asked, object)
	stored := &acmev1.Order{}
	if err := s.objects.Get(t.Context(), client.ObjectKeyFromObject(object), stored); err != nil {
		t.Fatal(err)
	}
	if orders != 1 || stored.Status.URL == "" || len(stored.Status.Authorizations) != 1 {
		t.Errorf("%d orders were made, status %+v", orders, stored.Status)
	}
}

// TestChangedSpecIsNotOrdered holds that what is ordered is what was checked.
func TestChangedSpecIsNotOrdered(t *testing.T) {
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	live := object.DeepCopy()
	live.Spec.DNSNames = append(live.Spec.DNSNames, "victim.example")
	if err := s.objects.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	// Without a client, an action at the ACME server would panic.
	if result := s.reconcile(t, nil, object); result.RequeueAfter == 0 {
		t.Error("the Order is not looked at again")
	}
	if len(s.claims.holders) != 0 {
		t.Error("a changed Order would be created at the server")
	}
}

func TestClaims(t *testing.T) {
	var c claims
	pending := map[types.UID]bool{"a": true, "b": true}
	stands := func(h holder) bool { return pending[h.uid] }
	take := func(class string, uid types.UID) bool { return c.take(class, holder{uid: uid}, stands) }
	for range 2 {
		if !take("x", "a") {
			t.Error("the first Order gets no claim, or not twice")
		}
	}
	if take("x", "b") {
		t.Error("two Orders have a claim")
	}
	if !take("y", "b") {
		t.Error("an Order gets no claim of another class")
	}
	c.release("x", "a")
	if !take("x", "b") {
		t.Error("the second gets no claim after the first has given its own back")
	}
	c.release("x", "a") // not its own
	if take("x", "a") || c.holder("x") != "b" {
		t.Error("a claim was given back by another")
	}
	pending["b"] = false
	if !take("x", "a") {
		t.Error("the claim of an Order that has its URL stays")
	}
	c.release("x", "a")
	c.release("y", "b")
	if len(c.holders) != 0 {
		t.Errorf("claims are left: %v", c.holders)
	}
}

// TestOneOrderOfAClass holds that a second Order for the same names waits until
// the first has ended, and that it is then woken.
func TestOneOrderOfAClass(t *testing.T) {
	from := request(t, "a.example")
	first := orderFor(t, from)
	second := orderFor(t, from, func(o *acmev1.Order) {
		o.Name, o.UID = "second", "second"
		o.CreationTimestamp = metav1.NewTime(now)
	})
	s := start(t, from, first, second)
	s.cache(t, from, first, second)
	if w := s.work(t, second); w.BlockedBy != "ns/"+first.Name {
		t.Errorf("the second Order is blocked by %q", w.BlockedBy)
	}
	w := s.work(t, first)
	if w.BlockedBy != "" {
		t.Errorf("the first Order is blocked by %q", w.BlockedBy)
	}
	if !s.claims.take(w.memory.class, holder{client.ObjectKeyFromObject(first), first.UID}, s.stands) {
		t.Fatal("no claim")
	}
	other := holder{client.ObjectKeyFromObject(second), second.UID}
	if s.claims.take(w.memory.class, other, s.stands) {
		t.Error("two Orders have a claim")
	}
	first.Status.State = acmev1.Errored
	if err := s.objects.Status().Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	s.cache(t, first)
	woken := s.wakes(t)
	s.reconcile(t, nil, first)
	if got := woken(); len(got) != 1 || got[0] != client.ObjectKeyFromObject(second) {
		t.Errorf("woken: %v", got)
	}
	if w := s.work(t, second); w.BlockedBy != "" {
		t.Errorf("the second Order is still blocked by %q", w.BlockedBy)
	}
	if s.memories.Len() != 1 {
		t.Error("the memory of the Order that has ended stays")
	}
}

// TestClaimOfAnOrderMadeAnew holds that an Order of the same name does not
// inherit the claim of the one before it.
func TestClaimOfAnOrderMadeAnew(t *testing.T) {
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	w := s.work(t, object)
	s.claims.take(w.memory.class, holder{client.ObjectKeyFromObject(object), object.UID}, s.stands)
	again := object.DeepCopy()
	again.UID = "again"
	if _, err := s.Load(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if uid := s.claims.holder(core.Class(object)); uid != "" {
		t.Errorf("the claim is still that of %q", uid)
	}
}

// TestRequestIsReadLive holds when a request is read from the API server.
func TestRequestIsReadLive(t *testing.T) {
	for _, test := range []struct {
		name   string
		cached bool
		ended  bool
		want   int
	}{
		{"cached", true, false, 0},
		{"not cached", false, false, 1},
		{"cached as facts", true, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := request(t, "a.example")
			if test.ended {
				from.Status.Conditions = append(from.Status.Conditions, requestFailed)
			}
			object := orderFor(t, from)
			s := start(t, from, object)
			s.cache(t, object)
			if test.cached {
				s.cache(t, from)
			}
			w := s.work(t, object)
			if w.Request == nil || w.Request.UID != from.UID || s.live["CertificateRequest"] != test.want {
				t.Errorf("request %v after %d live reads", w.Request, s.live["CertificateRequest"])
			}
		})
	}
}

// TestRequestOfABlockingOrder holds that the request of a blocking Order that has
// ended is read from the API server only if it is the one that the Order names.
func TestRequestOfABlockingOrder(t *testing.T) {
	for _, test := range []struct {
		name  string
		owner types.UID
		live  int
		by    string
	}{
		{"its own", "request", 1, "ns/blocking"},
		{"another of the same name", "request before", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ended := request(t, "a.example")
			ended.Status.Conditions = append(ended.Status.Conditions, requestFailed)
			blocking := orderFor(t, ended, func(o *acmev1.Order) {
				o.Name, o.UID = "blocking", "blocking"
				o.OwnerReferences[0].UID = test.owner
			})
			open := request(t, "a.example")
			open.Name, open.UID = "two", "two"
			object := orderFor(t, open, func(o *acmev1.Order) { o.CreationTimestamp = metav1.NewTime(now) })
			s := start(t, ended, open, blocking, object)
			s.cache(t, ended, open, blocking, object)
			if w := s.work(t, object); w.BlockedBy != test.by || s.live["CertificateRequest"] != test.live {
				t.Errorf("blocked by %q after %d live reads, want %q and %d", w.BlockedBy, s.live["CertificateRequest"], test.by, test.live)
			}
		})
	}
}

// TestChallengesThatAreLeft holds that the Challenges of an Order that has ended
// are deleted, also by a process that did not see its end.
func TestChallengesThatAreLeft(t *testing.T) {
	for _, test := range []struct {
		name      string
		status    acmev1.OrderStatus
		challenge acmev1.State
		open      bool
	}{
		{"complete", acmev1.OrderStatus{State: acmev1.Valid, Certificate: []byte("x")}, acmev1.Valid, true},
		{"failed", acmev1.OrderStatus{State: acmev1.Invalid}, acmev1.Pending, true},
		{"failed, and only the evidence is left", acmev1.OrderStatus{State: acmev1.Invalid}, acmev1.Invalid, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := request(t, "a.example")
			object := orderFor(t, from, func(o *acmev1.Order) { o.Status = test.status })
			left := &acmev1.Challenge{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "ns", Name: "left", UID: "left",
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(object, acmev1.SchemeGroupVersion.WithKind("Order"))},
				},
				Spec:   acmev1.ChallengeSpec{IssuerRef: cmmeta.IssuerReference{Name: "acme"}},
				Status: acmev1.ChallengeStatus{State: test.challenge},
			}
			s := start(t, from, object, left)
			s.cache(t, from, object)
			_, open, err := s.Get(t.Context(), client.ObjectKeyFromObject(object))
			if err != nil || open != test.open {
				t.Errorf("open is %t, want %t, error %v", open, test.open, err)
			}
			want := 0
			if test.open {
				want = 1
			}
			if s.live["Order"] != want {
				t.Errorf("%d live reads of the Order, want %d", s.live["Order"], want)
			}
			s.reconcile(t, nil, object)
			err = s.objects.Get(t.Context(), client.ObjectKeyFromObject(left), &acmev1.Challenge{})
			if gone := client.IgnoreNotFound(err) == nil && err != nil; gone != test.open {
				t.Errorf("the Challenge is gone: %t, want %t", gone, test.open)
			}
			clear(s.live)
			if _, open, err := s.Get(t.Context(), client.ObjectKeyFromObject(object)); open || err != nil || s.live["Order"] != 0 {
				t.Errorf("the Order is still open (%t, %v), after %d live reads", open, err, s.live["Order"])
			}
		})
	}
}

// TestAnswers holds that a certificate is handed on.
func TestAnswers(t *testing.T) {
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	w := s.work(t, object)
	w.downloaded([]byte("chain"))
	if got, ok := s.deps.Answers.Take(object.UID); !ok || string(got.Chain) != "chain" || string(w.Chain) != "chain" {
		t.Errorf("got %v, %t; the work has %q", got, ok, w.Chain)
	}
}

// requestFailed is the condition of a request that has ended.
var requestFailed = cmv1.CertificateRequestCondition{
	Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: cmv1.CertificateRequestReasonFailed,
}
