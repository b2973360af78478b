package controller

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// remoteTheatre is a theatre whose actions ask a server.
type remoteTheatre struct {
	*theatre
	server string
	silent bool
}

func (r *remoteTheatre) Unanswered(plan.Action) bool { return r.silent }

func (r *remoteTheatre) Load(_ context.Context, o *acmev1.Order) (Work[*acmev1.Order, status], error) {
	r.object = o
	return r, nil
}

func (r *remoteTheatre) Endpoint(action plan.Action) (string, time.Duration) {
	if _, isLocal := action.(local); isLocal {
		return "", 0
	}
	return r.server, time.Minute
}

func (r *remoteTheatre) Waiting(s status, cause string, _ time.Time) status {
	s.Reason = cause
	return s
}

// TestDrivePutsOff holds that an object without a place at its server occupies no
// worker, says so if the wait may be long, and is not held back from what asks no
// server.
func TestDrivePutsOff(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
	r := &remoteTheatre{theatre: &theatre{stored: order()}, server: "the server a"}
	d := NewDriver(r, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status }, API: r, Clock: clock,
	})
	d.SetUp(4, nil)
	other, _ := d.endpoints.enter(keyOf(1), "the server a", time.Minute, false)
	reconcileOnce := func(after time.Duration, want ...string) {
		t.Helper()
		r.log = nil
		result, err := d.Reconcile(t.Context(), request())
		if err != nil || result.RequeueAfter != after {
			t.Errorf("comes back after %s (error %v), want %s", result.RequeueAfter, err, after)
		}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	}
	r.next = []plan.Plan[status]{{Do: act("ask"), Status: because("x")}}
	reconcileOnce(firstAsk)
	clock.Step(10 * time.Second)
	r.next = []plan.Plan[status]{{Do: local("note")}, {Do: act("ask"), Status: because("x")}}
	reconcileOnce(5*time.Second, "note", "store waiting for the server a, which has not answered other requests in time; the next try is when its turn comes, by itself as m")
	clock.Step(5 * time.Second)
	r.next = []plan.Plan[status]{{Do: act("ask"), Status: because("x")}}
	reconcileOnce(placeRetry)
	d.endpoints.leave(other, nil)
	r.next = []plan.Plan[status]{{Do: act("ask"), Status: because("x")}, {Status: because("x")}}
	reconcileOnce(0, "ask", "store x as m")
	if n := d.endpoints.busy; n != [standings]int{} {
		t.Errorf("%v places are taken after the action", n)
	}
	for _, silent := range []bool{true, false} {
		r.silent, r.next = silent, []plan.Plan[status]{{Do: act("ask"), Status: because("x")}, {Status: because("x")}}
		reconcileOnce(0, "ask")
		if s := d.endpoints.servers["the server a"]; (s.standing == hangs) != silent || (s.standing == answers) == silent {
			t.Errorf("the server's standing is %d; hangs: want %t", s.standing, silent)
		}
	}
}

// TestDriveDeclines holds that an object which does not need the place any more
// that it is woken for leaves it to others.
func TestDriveDeclines(t *testing.T) {
	r := &remoteTheatre{theatre: &theatre{stored: order()}, server: "the server a"}
	d := NewDriver(r, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status }, API: r, Clock: clocktesting.NewFakeClock(time.Now()),
	})
	d.SetUp(2, nil)
	other, _ := d.endpoints.enter(keyOf(1), "the server a", time.Minute, false)
	r.next = []plan.Plan[status]{{Do: act("ask")}}
	if _, err := d.Reconcile(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	d.endpoints.leave(other, nil)
	if d.endpoints.invitation(request().NamespacedName) == nil {
		t.Fatal("the object is not invited")
	}
	d.endpoints.enter(keyOf(2), "the server a", time.Minute, false)
	r.next = []plan.Plan[status]{{}}
	if _, err := d.Reconcile(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if d.endpoints.invitation(keyOf(2)) == nil {
		t.Error("the place is not offered to the next object")
	}
}

// silentTheatre is a remoteTheatre whose server does not answer.
type silentTheatre struct {
	*remoteTheatre
	clock *clocktesting.FakeClock
	took  time.Duration
	told  string
}

func (s *silentTheatre) Load(_ context.Context, o *acmev1.Order) (Work[*acmev1.Order, status], error) {
	s.object = o
	return s, nil
}

func (s *silentTheatre) Do(context.Context, plan.Action) error {
	s.clock.Step(s.took)
	return fault.New(fault.Transient, "Silent", "no answer").Because(context.DeadlineExceeded)
}

func (s *silentTheatre) Failed(f plan.Failure, now time.Time) plan.Plan[status] {
	s.told = fault.Of(f.Err).Message
	return plan.Plan[status]{Status: because(s.told), Until: now.Add(time.Second)}
}

// TestDriveSaysHowLong holds that a failure for lack of an answer says how long the
// server is given, and that the server counts as one that hangs.
func TestDriveSaysHowLong(t *testing.T) {
	for took, want := range map[time.Duration]string{
		time.Second: "no answer",
		usualTime:   "no answer; everleaf waits up to 15s for an answer, and once every 10m up to 1m",
	} {
		s := &silentTheatre{remoteTheatre: &remoteTheatre{theatre: &theatre{stored: order()}, server: "the server a"}, clock: clocktesting.NewFakeClock(time.Now()), took: took}
		d := NewDriver(s, Settings[*acmev1.Order, status]{
			Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
			Status: func(o *acmev1.Order) *status { return &o.Status }, API: s, Clock: s.clock,
		})
		d.SetUp(4, nil)
		s.next = []plan.Plan[status]{{Do: act("ask")}}
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if s.told != want || d.endpoints.servers["the server a"].standing != hangs {
			t.Errorf("after %s: %q, want %q; standing %d", took, s.told, want, d.endpoints.servers["the server a"].standing)
		}
	}
}
