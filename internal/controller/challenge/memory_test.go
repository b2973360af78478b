package challenge

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/solver"
)

func (s *stage) load(t *testing.T, name string) *work {
	t.Helper()
	loaded, err := s.Load(t.Context(), s.stored(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return loaded.(*work)
}

func (s *stage) do(t *testing.T, w *work, actions ...interface{ String() string }) {
	t.Helper()
	for _, a := range actions {
		if err := w.Do(t.Context(), a); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
	}
}

// TestAcceptConflict holds that a server that validates already has accepted.
func TestAcceptConflict(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
	w := s.load(t, "a")
	passed := errors.New("accepted")
	err := lifecycletest.Refuse(409, acme.TypeConflict, "").Asked(t, func(c *acme.Client, base string) error {
		w.client = c
		if err := w.Do(t.Context(), core.Accept{URL: base + "/c", Skipped: "why"}); err != nil {
			return err
		}
		return passed
	})
	if !errors.Is(err, passed) || !w.Memory.AcceptedAt.Equal(start) || w.Memory.Unanswered || w.Memory.Accepts != 1 || w.Memory.Skipped != "why" {
		t.Errorf("%v, accepted at %s, %+v", err, w.Memory.AcceptedAt, w.Memory)
	}
}

// TestRetryAfterOutlastsEvents holds that an event of the issuer does not end
// the wait that the ACME server asked for.
func TestRetryAfterOutlastsEvents(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
	w := s.load(t, "a")
	until := lifecycletest.Now.Add(2 * time.Minute)
	s.clock.SetTime(lifecycletest.Now)
	if err := lifecycletest.Refuse(429, acme.TypeRateLimited, "120").Asked(t, func(c *acme.Client, base string) error {
		w.client = c
		return w.Do(t.Context(), core.Accept{URL: base + "/c"})
	}); err == nil {
		t.Fatal("accepted")
	}
	s.Registration().Watches[1].Keys(t.Context(), acmeIssuer("one"))
	w = s.load(t, "a")
	w.Account, w.Untrusted = &facts.Account{}, ""
	if p := w.Next(lifecycletest.Now); p.Do != nil || !p.Until.Equal(until) || p.Status.Reason == "" {
		t.Errorf("%+v", p)
	}
}

// TestCrashBeforeStatus holds that the clean-up of a deleted Challenge that an
// earlier process may have presented is tried once.
func TestCrashBeforeStatus(t *testing.T) {
	for name, fail := range map[string][]error{"succeeds": nil, "fails": {errors.New("no")}} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
			s.solver.fail = fail
			if err := s.api.Delete(t.Context(), s.stored(t, "a")); err != nil {
				t.Fatal(err)
			}
			s.clock.SetTime(s.stored(t, "a").DeletionTimestamp.Time)
			if again := s.reconcileOnce(t, "a"); again > 0 {
				s.clock.Step(again)
				s.reconcileOnce(t, "a")
			}
			if diff := cmp.Diff([]string{"begin a.example", "clean up"}, s.solver.log); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := s.api.Get(t.Context(), key("a"), &acmev1.Challenge{}); client.IgnoreNotFound(err) != nil || err == nil {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}

// TestSharedBeforeStatus holds that a value is not removed that another
// Challenge has begun to present, before its status says so.
func TestSharedBeforeStatus(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
		c.Spec.DNSName, c.Spec.Key = "a.example", "key-a"
	}))
	if s.load(t, "a").Shared {
		t.Error("shared with one that has presented nothing")
	}
	s.do(t, s.load(t, "b"), core.Present{})
	if !s.load(t, "a").Shared {
		t.Error("not shared")
	}
}

// A value that another Challenge has presented with another solver is removed by
// each: later, because both solvers may write to one server.
func TestSharedByAnotherSolver(t *testing.T) {
	deleted := metav1.NewTime(start)
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
		c.DeletionTimestamp, c.Status.Presented, c.Status.PresentedAt = &deleted, true, &deleted
	}), challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
		c.Spec.DNSName, c.Spec.Key = "a.example", "key-a"
		c.Spec.Solver.DNS01 = &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "192.0.2.99"}}
	}))
	s.do(t, s.load(t, "b"), core.Present{})
	w := s.load(t, "a")
	if w.Shared || !w.SharedElsewhere {
		t.Errorf("shared %t, with another solver %t", w.Shared, w.SharedElsewhere)
	}
	w.Memory.Presented = true
	if p := w.Next(start); p.Do == nil || p.Do.String() != (core.NoteWait{}).String() {
		t.Errorf("plan %+v", p)
	}
	w.SharedElsewhere = false
	if p := w.Next(start); p.Do != (core.CleanUp{}) {
		t.Errorf("plan without the other %+v", p)
	}
}

// TestOrderEnded holds that a failed Order says when the validation ended at the
// latest.
func TestOrderEnded(t *testing.T) {
	failed := metav1.NewTime(start.Add(-time.Hour))
	s := newStage(t, acmeIssuer("one"),
		&acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "o", UID: "o"}, Status: acmev1.OrderStatus{State: acmev1.Invalid, FailureTime: &failed}},
		challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
			c.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, PresentedAt: &metav1.Time{Time: start.Add(-2 * time.Hour)}}
		}))
	w, err := s.Controller.load(t.Context(), s.stored(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if !w.OrderEnded.Equal(failed.Time) {
		t.Errorf("ended at %s", w.OrderEnded)
	}
}

// Before any controller begins, it is known what the process before has seen of
// validations: a Challenge that has ended can be gone before its turn.
func TestEarlierValidationsAreKnownFirst(t *testing.T) {
	s := newStage(t, acmeIssuer("one"),
		&acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "o", UID: "o"}, Status: acmev1.OrderStatus{State: acmev1.Invalid}},
		challengeOf("ended", "one", "o", func(c *acmev1.Challenge) {
			c.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, PresentedAt: &metav1.Time{Time: start.Add(-time.Minute)}}
		}), challengeOf("new", "one", "o"))
	s.first(t)
	ended := s.stored(t, "ended")
	m := s.memories.Find(client.ObjectKeyFromObject(ended), ended.UID)
	if m == nil {
		t.Fatal("the Challenge that has ended was not looked at")
	}
	if w, err := s.Controller.load(t.Context(), ended); err != nil || w.Recall(start) != nil && w.Untrusted == "" {
		t.Errorf("its validation is not remembered: %v", err)
	}
}

// TestFailuresAreTheAccounts holds that the failures of another account at the
// same CA do not count.
func TestFailuresAreTheAccounts(t *testing.T) {
	var f Failures
	for range maxFailures {
		f.Add("https://ca.example/account/1", "shop.example", start)
	}
	if !f.Until("https://ca.example/account/2", "shop.example", start).IsZero() {
		t.Error("another account waits too")
	}
	if f.Until("https://ca.example/account/1", "shop.example", start).IsZero() {
		t.Error("the account itself does not wait")
	}
}

// grouping is a Solver of values that a CA sees together.
type grouping struct{ *recorder }

func (grouping) Grouped(a, b solver.Challenge) bool { return a.DNSName == b.DNSName }

// TestSiblingsToCome holds that a Challenge waits for those that other young
// Orders of the same CA may be about to create for the name.
func TestSiblingsToCome(t *testing.T) {
	at := func(name string, change func(*acmev1.Order)) *acmev1.Order {
		o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start)}}
		o.Spec.DNSNames, o.Spec.IssuerRef.Name = []string{"*.A.example"}, "one"
		change(o)
		return o
	}
	authorized := func(identifier string, state acmev1.State) func(*acmev1.Order) {
		return func(o *acmev1.Order) {
			o.Status.Authorizations = []acmev1.ACMEAuthorization{{Identifier: identifier, InitialState: state}}
		}
	}
	otherCA := acmeIssuer("other")
	otherCA.Spec.ACME.Server = "https://other.example/directory"
	for name, test := range map[string]struct {
		order *acmev1.Order
		ended bool // its Challenge
		want  int
	}{
		"a new Order":                   {at("p", func(*acmev1.Order) {}), false, 1},
		"one whose Challenge has ended": {at("q", authorized("a.example", acmev1.Pending)), true, 0},
		"one that is ready":             {at("p", func(o *acmev1.Order) { o.Status.State = acmev1.Ready }), false, 0},
		"one that is authorized":        {at("p", authorized("a.example", acmev1.Pending)), false, 1},
		"one that needs none":           {at("p", authorized("a.example", acmev1.Valid)), false, 0},
		"one with unknown names":        {at("p", authorized("", "")), false, 1},
		"its own Order":                 {at("o", func(*acmev1.Order) {}), false, 0},
		"another name's":                {at("p", func(o *acmev1.Order) { o.Spec.DNSNames = []string{"b.example"} }), false, 0},
		"another CA's":                  {at("p", func(o *acmev1.Order) { o.Spec.IssuerRef.Name = "other" }), false, 0},
		"one that waits for long":       {at("p", func(o *acmev1.Order) { o.CreationTimestamp = metav1.NewTime(start.Add(-time.Minute)) }), false, 0},
		"one that has failed":           {at("p", func(o *acmev1.Order) { o.Status.State = acmev1.Errored }), false, 0},
		"one that waits for its own":    {at("p", func(o *acmev1.Order) { o.Spec.DNSNames = []string{"a.example"} }), false, 0},
		"one for the same names":        {at("p", func(o *acmev1.Order) { o.Spec.DNSNames, o.Status.URL = []string{"a.example"}, "https://ca.example/o" }), false, 1},
		"one with a Challenge there":    {at("q", func(*acmev1.Order) {}), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), otherCA, challengeOf("a", "one", "o"), challengeOf("c", "one", "q", func(c *acmev1.Challenge) {
				c.Spec.DNSName, c.CreationTimestamp = "a.example", metav1.NewTime(start)
				if test.order.Name != "q" || test.ended {
					c.Status.State = acmev1.Valid
				}
			}))
			s.Solvers[acmev1.ACMEChallengeTypeDNS01] = grouping{s.solver}
			item, err := cluster.ReduceOrder(pki.DefaultLimits)(test.order)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.orders.Add(item); err != nil {
				t.Fatal(err)
			}
			w := s.load(t, "a")
			w.Account, w.Siblings = &facts.Account{Issuer: acmeIssuer("one").Spec.ACME}, nil
			w.order = at("o", func(o *acmev1.Order) { o.Spec.DNSNames = []string{"a.example"} })
			_, ended, err := s.othersOf(t.Context(), "a", "a.example", acmev1.ACMEChallengeTypeDNS01)
			if err != nil {
				t.Fatal(err)
			}
			w.loadSiblings(t.Context(), ended)
			if got := len(w.Siblings); got != test.want {
				t.Errorf("%d siblings, want %d", got, test.want)
			}
		})
	}
}

// A Challenge is let go once, also while the cache still shows it: the write that deletes
// an object has no version to wait for.
func TestLetGoOnce(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
	if err := s.api.Delete(t.Context(), s.stored(t, "a")); err != nil {
		t.Fatal(err)
	}
	cached := s.stored(t, "a")
	w, err := s.Controller.load(t.Context(), cached)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, w, core.RemoveFinalizer{})
	again, err := s.Controller.load(t.Context(), cached)
	if err != nil {
		t.Fatal(err)
	}
	if p := again.Next(start); p.Do != nil || !p.Until.IsZero() {
		t.Errorf("plan %+v", p)
	}
}
