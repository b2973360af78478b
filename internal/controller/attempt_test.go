package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

var t0 = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

func refused() error { return apierrors.NewForbidden(schemaOrders, "o", errors.New("policy")) }

// TestHoldWithoutStatus holds that a Retry-After counts even if the status that
// reports it cannot be stored, and that the status is stored once it can be.
func TestHoldWithoutStatus(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	asked := 0
	for i := range 6 {
		a.next = []plan.Plan[status]{{Do: act("ask")}}
		a.do = nil
		if i == 0 {
			a.do = []error{fault.Until(t0.Add(time.Hour), "RateLimited", "later")}
		}
		a.failed = []plan.Plan[status]{{Do: local("gate"), Status: because("rate limited"), Until: t0.Add(time.Hour), Hold: true}}
		a.refuse = nil
		if i < 5 {
			a.refuse = []error{refused()}
		}
		a.log = nil
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(a.log, "ask") {
			asked++
			if !slices.Contains(a.log, "gate") {
				t.Error("the account is not gated although the server asked to wait")
			}
		}
		clock.Step(result.RequeueAfter)
	}
	if asked != 1 {
		t.Errorf("asked %d times within %s of a Retry-After of 1 h", asked, clock.Now().Sub(t0))
	}
	if !slices.Contains(a.log, "store rate limited as m") {
		t.Errorf("the status does not report the failure in the end: %q", a.log)
	}
}

// TestBackoffOfWrites holds that an action that succeeds does not end the
// back-off of a status that cannot be stored.
func TestBackoffOfWrites(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	asked := 0
	for clock.Now().Sub(t0) < time.Minute {
		a.next = []plan.Plan[status]{{Do: act("check")}, {Status: because("ready")}}
		a.refuse = []error{refused()}
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(result.RequeueAfter)
		asked++
	}
	if asked > 12 {
		t.Errorf("asked %d times in a minute", asked)
	}
}

// TestWritesAreNoFailures holds that what the API server does not answer does not
// lengthen the waits for other servers, and is forgotten when it answers.
func TestWritesAreNoFailures(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	for range 9 {
		a.next = []plan.Plan[status]{{Status: because("x")}}
		a.refuse = []error{errors.New("connection refused")}
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(result.RequeueAfter)
	}
	if f := d.attempts.Of(request().NamespacedName, "", nil).failures; f != 0 {
		t.Errorf("%d failures of actions, want 0: no action failed", f)
	}
	a.next = []plan.Plan[status]{{}}
	if _, err := d.Reconcile(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if n := d.attempts.Len(); n != 0 {
		t.Errorf("%d attempts are remembered of an object that is well", n)
	}
}

// TestRefusalIsLogged holds that what the API server refuses is visible at the
// default verbosity, and that a write of a private key shows no more than the
// reason.
func TestRefusalIsLogged(t *testing.T) {
	for action, want := range map[plan.Action]string{act("create"): "exceeded", keyed{}: "Forbidden"} {
		var lines []string
		ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
		a := &theatre{stored: order(), next: []plan.Plan[status]{{Do: action}}}
		a.do = []error{apierrors.NewForbidden(schemaOrders, "o", errors.New("exceeded quota"))}
		if _, err := newDriver(a, clocktesting.NewFakeClock(t0)).Reconcile(ctx, request()); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("%s: no line with %q in %q", action, want, lines)
		}
		if _, secret := action.(plan.Secret); secret && slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "exceeded") }) {
			t.Errorf("%s: the answer is in the log: %q", action, lines)
		}
	}
}

type keyed struct{}

func (keyed) String() string { return "store a key" }
func (keyed) Secret()        {}

// TestStaleEndsAsFailure holds that what stays outdated is a failure of its action,
// which the status reports, and is retried more and more seldom.
func TestStaleEndsAsFailure(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	failed := 0
	d.Settings.Failed = func() { failed++ }
	for i := range maxStale + 9 {
		a.next, a.do = []plan.Plan[status]{{Do: act("a")}}, []error{cluster.ErrStale}
		a.failed = []plan.Plan[status]{{Status: because("outdated"), Until: clock.Now().Add(plan.APIServer.Delay(failed + 1))}}
		if told := a.stored.Status.Reason == "outdated"; told != (i > maxStale) {
			t.Errorf("after %d tries: told %t", i, told)
		}
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(result.RequeueAfter)
	}
	if failed != 9 || clock.Now().Sub(t0) < maxStale*staleRetry+time.Minute {
		t.Errorf("%d failures counted, %s gone by", failed, clock.Now().Sub(t0))
	}
}

// TestStaleConfirmationEndsAsFailure holds the same of what a plan has confirmed.
func TestStaleConfirmationEndsAsFailure(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	for range maxStale + 1 {
		p := plan.Plan[status]{Do: act("a"), Confirm: []plan.Confirm{{Ref: plan.Ref{Kind: "Order"}, Version: "another"}}}
		a.next, a.failed = []plan.Plan[status]{p}, []plan.Plan[status]{{Status: because("outdated"), Until: clock.Now().Add(time.Minute)}}
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(result.RequeueAfter)
	}
	if a.stored.Status.Reason != "outdated" || slices.Contains(a.log, "a") {
		t.Errorf("status %+v, %q", a.stored.Status, a.log)
	}
}

// TestRefusedStatusIsTold holds that an event reports a status that the API server
// refuses: no condition can.
func TestRefusedStatusIsTold(t *testing.T) {
	a := &theatre{stored: order(), refuse: []error{refused()}, next: []plan.Plan[status]{{Status: because("x")}}}
	if _, err := newDriver(a, clocktesting.NewFakeClock(t0)).Reconcile(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"refused", "event WriteFailed"}; !slices.Equal(a.log, want) {
		t.Errorf("%q, want %q", a.log, want)
	}
}

// TestRetryDuringReconcile holds that a retry that comes while a reconcile is
// about to hold the object ends that hold.
func TestRetryDuringReconcile(t *testing.T) {
	a := &theatre{stored: order()}
	d := newDriver(a, clocktesting.NewFakeClock(t0))
	keys := []types.NamespacedName{request().NamespacedName}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			d.Retry(keys)
		}
	}()
	for range 1000 {
		a.next, a.do, a.log = []plan.Plan[status]{{Do: act("a")}}, []error{errors.New("no")}, nil
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	d.Retry(keys)
	a.do, a.failed = []error{fault.Until(t0.Add(time.Hour), "R", "later")}, []plan.Plan[status]{{Until: t0.Add(time.Hour), Hold: true}}
	for _, want := range []bool{true, false} {
		a.next, a.log = []plan.Plan[status]{{Do: act("a")}}, nil
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(a.log, "a"); got != want {
			t.Errorf("acted %t, want %t", got, want)
		}
	}
}

// A change of what an object depends on ends its hold, but not each second.
func TestRetryHasAFloor(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	a := &theatre{stored: order()}
	d := newDriver(a, clock)
	tries := map[time.Duration]bool{}
	for clock.Now().Sub(t0) < 12*time.Second {
		a.do, a.failed = []error{fault.New(fault.Transient, "No", "no")}, []plan.Plan[status]{{Until: clock.Now().Add(time.Hour), Hold: true}}
		a.next, a.log = []plan.Plan[status]{{Do: act("a")}}, nil
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(a.log, "a") {
			tries[clock.Now().Sub(t0)] = true
		} else if result.RequeueAfter > retryEvery {
			t.Errorf("after %s: the change is looked at after %s", clock.Now().Sub(t0), result.RequeueAfter)
		}
		d.Retry([]types.NamespacedName{request().NamespacedName})
		clock.Step(time.Second)
	}
	if want := map[time.Duration]bool{0: true, time.Second: true, 6 * time.Second: true, 11 * time.Second: true}; !maps.Equal(tries, want) {
		t.Errorf("tried after %v, want %v", tries, want)
	}
}

// TestRetryAtAnotherServer holds that the wait that a server has asked for ends if
// the object asks another server by now, and only then.
func TestRetryAtAnotherServer(t *testing.T) {
	r := &remoteTheatre{theatre: &theatre{stored: order()}, server: "the server a"}
	d := NewDriver(r, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status }, API: r, Clock: clocktesting.NewFakeClock(t0),
	})
	r.do = []error{fault.Until(t0.Add(time.Hour), "R", "later")}
	r.failed = []plan.Plan[status]{{Until: t0.Add(time.Hour), Hold: true}}
	for _, step := range []struct {
		server string
		want   bool
	}{{"the server a", true}, {"the server a", false}, {"", false}, {"the server b", true}} {
		r.server = step.server
		r.next, r.log = []plan.Plan[status]{{Do: act("ask")}}, nil
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(r.log, "ask"); got != step.want {
			t.Errorf("asked %q: %t, want %t", step.server, got, step.want)
		}
		d.Retry([]types.NamespacedName{request().NamespacedName})
	}
}

type unreadable struct{ *theatre }

func (unreadable) Get(context.Context, types.NamespacedName) (*acmev1.Order, bool, error) {
	return nil, false, errors.New("connection refused")
}

func TestGetBacksOff(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	d := newDriver(&theatre{}, clock)
	d.kind = unreadable{}
	n := 0
	for clock.Now().Sub(t0) < time.Minute {
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(result.RequeueAfter)
		n++
	}
	if n > 12 {
		t.Errorf("%d reads in a minute while the API server does not answer", n)
	}
}

// unloadable is a kind that cannot be loaded some times.
type unloadable struct {
	*remoteTheatre
	fail int
}

func (u *unloadable) Load(ctx context.Context, o *acmev1.Order) (Work[*acmev1.Order, status], error) {
	if u.fail > 0 {
		u.fail--
		return nil, errors.New("connection refused")
	}
	if _, err := u.theatre.Load(ctx, o); err != nil {
		return nil, err
	}
	return u.remoteTheatre, nil
}

// A change of the server ends a hold even if it cannot be seen at once.
func TestRetryOutlastsAFailedLoad(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	r := &unloadable{remoteTheatre: &remoteTheatre{theatre: &theatre{stored: order()}, server: "the server a"}}
	d := NewDriver(r, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status }, API: r, Clock: clock,
	})
	r.do = []error{fault.Until(t0.Add(3*time.Hour), "R", "later")}
	r.failed = []plan.Plan[status]{{Until: t0.Add(3 * time.Hour), Hold: true}}
	r.next = []plan.Plan[status]{{Do: act("ask")}}
	if _, err := d.Reconcile(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	r.server, r.fail, r.log = "the server b", 1, nil
	d.Retry([]types.NamespacedName{request().NamespacedName})
	for range 2 {
		result, err := d.Reconcile(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(min(result.RequeueAfter, time.Minute))
	}
	if !slices.Contains(r.log, "ask") {
		t.Error("the new server is not asked within a minute")
	}
}
