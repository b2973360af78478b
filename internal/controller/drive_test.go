package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

type status = acmev1.OrderStatus

// theatre is an API server with one Order, and the script of a kind.
type theatre struct {
	stored *acmev1.Order
	// next and failed are the plans to come, in order.
	next   []plan.Plan[status]
	failed []plan.Plan[status]
	// do are the results of actions, in order; nil for success.
	do []error
	// refuse is the result of the next status writes.
	refuse []error
	behind string
	// log is what happened.
	log []string

	object *acmev1.Order
}

func (a *theatre) Behind(plan.Ref) string { return a.behind }

func (a *theatre) Live(_ context.Context, _ types.NamespacedName, into client.Object) error {
	a.log = append(a.log, "live")
	a.stored.DeepCopyInto(into.(*acmev1.Order))
	return nil
}

func (a *theatre) Confirm(_ context.Context, c plan.Confirm) error {
	a.log = append(a.log, "confirm "+c.Kind)
	if c.Kind == "Order" && c.Version != a.stored.ResourceVersion {
		return cluster.ErrStale
	}
	return nil
}

func (a *theatre) UpdateStatus(_ context.Context, _ plan.Ref, o client.Object, manager string) error {
	if len(a.refuse) > 0 {
		err := a.refuse[0]
		a.refuse = a.refuse[1:]
		a.log = append(a.log, "refused")
		return err
	}
	order := o.(*acmev1.Order)
	order.ResourceVersion += "+"
	a.stored = order.DeepCopy()
	a.log = append(a.log, "store "+order.Status.Reason+" as "+manager)
	return nil
}

func (a *theatre) Send(_ runtime.Object, events ...plan.Event) {
	for _, e := range events {
		a.log = append(a.log, "event "+e.Reason)
	}
}

func (a *theatre) Get(context.Context, types.NamespacedName) (*acmev1.Order, bool, error) {
	if a.stored == nil {
		return nil, false, apierrors.NewNotFound(schemaOrders, "o")
	}
	return a.stored.DeepCopy(), true, nil
}

func (a *theatre) Load(_ context.Context, o *acmev1.Order) (Work[*acmev1.Order, status], error) {
	a.object = o
	return a, nil
}

func (a *theatre) Forget(types.NamespacedName) { a.log = append(a.log, "forget") }

func (a *theatre) Object() *acmev1.Order   { return a.object }
func (a *theatre) Replace(o *acmev1.Order) { a.object = o }

func (a *theatre) Next(time.Time) plan.Plan[status] {
	p := a.next[0]
	if len(a.next) > 1 {
		a.next = a.next[1:]
	}
	return p
}

func (a *theatre) Failed(f plan.Failure, now time.Time) plan.Plan[status] {
	if p, ok := plan.Unclassified(f, a.object.Status, now); ok {
		return p
	}
	p := a.failed[0]
	a.failed = a.failed[1:]
	return p
}

func (a *theatre) Do(_ context.Context, action plan.Action) error {
	a.log = append(a.log, action.String())
	if len(a.do) == 0 {
		return nil
	}
	err := a.do[0]
	a.do = a.do[1:]
	return err
}

var schemaOrders = acmev1.SchemeGroupVersion.WithResource("orders").GroupResource()

type act string

func (a act) String() string { return string(a) }

type local string

func (l local) String() string { return string(l) }
func (l local) Local()         {}

func because(reason string) status { return status{Reason: reason} }

func says(reason string) []plan.Event { return []plan.Event{{Reason: reason}} }

func TestDrive(t *testing.T) {
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	own := plan.Confirm{Ref: plan.Ref{Kind: "Order", NamespacedName: types.NamespacedName{Namespace: "n", Name: "o"}}, Version: "1"}
	secret := plan.Confirm{Ref: plan.Ref{Kind: "Secret"}}
	soon := start.Add(30 * time.Second)
	for name, c := range map[string]struct {
		theatre theatre
		want    []string
		after   time.Duration
	}{
		"waits, and writes nothing that changes nothing": {
			theatre: theatre{next: []plan.Plan[status]{{Events: says("E"), Until: soon}}},
			after:   30 * time.Second,
		},
		"stores at the end, then decides again": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Status: because("x")}, {Status: because("x"), Events: says("E")}, {Status: because("x")}}},
			want:    []string{"a", "store x as m", "event E"},
		},
		"holds a status back": {
			theatre: theatre{next: []plan.Plan[status]{{Status: because("x"), Persist: plan.Held, Until: soon}}},
			after:   30 * time.Second,
		},
		"stores before the action, events after it": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Status: because("x"), Persist: plan.Before, Events: says("E")}, {Status: because("x")}}},
			want:    []string{"store x as m", "a", "event E"},
		},
		"sends events after an action that needs no write": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Persist: plan.Before, Events: says("E")}, {}}},
			want:    []string{"a", "event E"},
		},
		"confirms the object once": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Confirm: []plan.Confirm{own, secret}}, {Do: act("b"), Confirm: []plan.Confirm{own}}, {}}},
			want:    []string{"confirm Order", "confirm Secret", "a", "b"},
		},
		"takes the write for the confirmation": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Confirm: []plan.Confirm{own, secret}, Status: because("x"), Persist: plan.Before}, {Status: because("x")}}},
			want:    []string{"confirm Secret", "store x as m", "a"},
		},
		"does nothing on an outdated object": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Confirm: []plan.Confirm{{Ref: own.Ref, Version: "0"}}}}},
			want:    []string{"confirm Order"}, after: staleRetry,
		},
		"comes back after a conflict": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a"), Status: because("x"), Persist: plan.Before}}, refuse: []error{apierrors.NewConflict(schemaOrders, "o", nil)}},
			want:    []string{"refused"}, after: staleRetry,
		},
		"decides what must not be lost again for the live object": {
			theatre: theatre{
				next:   []plan.Plan[status]{{Status: because("x"), Persist: plan.Regardless}, {Status: because("y"), Persist: plan.Regardless}, {Status: because("y")}},
				refuse: []error{apierrors.NewConflict(schemaOrders, "o", nil)},
			},
			want: []string{"refused", "live", "store y as m"},
		},
		"reports a failure, and sends its event again": {
			theatre: theatre{
				next: []plan.Plan[status]{{Do: act("a")}}, do: []error{fault.New(fault.Transient, "R", "no")},
				failed: []plan.Plan[status]{{Events: says("E"), Until: soon}},
			},
			want: []string{"a", "event E"}, after: 30 * time.Second,
		},
		"takes a classified error for a failure, whatever its cause": {
			theatre: theatre{
				next:   []plan.Plan[status]{{Do: act("a")}},
				do:     []error{fault.New(fault.User, "R", "no such Secret").Because(apierrors.NewNotFound(schemaOrders, "o"))},
				failed: []plan.Plan[status]{{Events: says("E"), Until: soon}},
			},
			want: []string{"a", "event E"}, after: 30 * time.Second,
		},
		"goes on after a failure that settles the object": {
			theatre: theatre{
				next: []plan.Plan[status]{{Do: act("a")}, {Do: act("tidy"), Status: because("x")}, {Status: because("x")}},
				do:   []error{fault.New(fault.Permanent, "R", "no")}, failed: []plan.Plan[status]{{Status: because("x")}},
			},
			want: []string{"a", "store x as m", "tidy"},
		},
		"follows the plan of a failure": {
			theatre: theatre{
				next: []plan.Plan[status]{{Do: act("a")}, {}}, do: []error{fault.New(fault.Transient, "R", "no")},
				failed: []plan.Plan[status]{{Do: act("look")}},
			},
			want: []string{"a", "look"},
		},
		"waits after the action that answers a failure": {
			theatre: theatre{
				next: []plan.Plan[status]{{Do: act("a")}}, do: []error{fault.New(fault.Transient, "R", "no")},
				failed: []plan.Plan[status]{{Do: local("release"), Status: because("x"), Persist: plan.Before, Until: soon}},
			},
			want: []string{"a", "release", "store x as m"}, after: 30 * time.Second,
		},
		"retries what the API server does not answer": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a")}}, do: []error{errors.New("connection refused")}},
			want:    []string{"a"}, after: plan.APIServer.Min,
		},
		"retries nothing in a namespace that is being deleted": {
			theatre: theatre{next: []plan.Plan[status]{{Do: act("a")}}, do: []error{terminating()}},
			want:    []string{"a"},
		},
		"waits for its caches": {theatre: theatre{behind: "Secret"}, after: staleRetry},
		"brakes":               {theatre: theatre{next: []plan.Plan[status]{{Do: act("a")}}}, want: slicesRepeat("a", maxSteps), after: time.Second},
		"stores under a manager of the plan": {
			theatre: theatre{next: []plan.Plan[status]{{Status: because("x"), Manager: "other"}, {Status: because("x")}}},
			want:    []string{"store x as other"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &c.theatre
			a.stored = order()
			d := newDriver(a, clocktesting.NewFakeClock(start))
			result, err := d.Reconcile(t.Context(), request())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, a.log); diff != "" {
				t.Errorf("what happened (-want +got):\n%s", diff)
			}
			if result.RequeueAfter != c.after {
				t.Errorf("comes back after %s, want %s", result.RequeueAfter, c.after)
			}
		})
	}
}

// In a namespace that is being deleted, events of an object and of what it depends
// on cause nothing, until the object itself is deleted.
func TestDriveInTerminatingNamespace(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
	a := &theatre{stored: order(), next: []plan.Plan[status]{{Do: act("a")}}, do: []error{terminating()}}
	d := newDriver(a, clock)
	reconciled := func(want ...string) {
		t.Helper()
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.log); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	}
	reconciled("a")
	reconciled("a")
	d.Retry([]types.NamespacedName{request().NamespacedName})
	reconciled("a")
	now := metav1.NewTime(clock.Now())
	a.stored.DeletionTimestamp = &now
	a.next = []plan.Plan[status]{{Do: act("clean up")}, {}}
	a.do = nil
	reconciled("a", "clean up")
}

func TestDriveHolds(t *testing.T) {
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakeClock(start)
	soon := start.Add(30 * time.Second)
	a := &theatre{stored: order(), next: []plan.Plan[status]{{Do: act("a")}}}
	d := newDriver(a, clock)
	later := fault.Until(soon, "R", "later")
	fail := func(hold bool) {
		a.do, a.log = []error{later}, nil
		a.failed = []plan.Plan[status]{{Until: soon, Hold: hold}}
		a.next = []plan.Plan[status]{{Do: act("a")}, {}}
	}
	reconcileOnce := func(want ...string) {
		t.Helper()
		a.log = nil
		if _, err := d.Reconcile(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.log); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	}
	fail(false)
	reconcileOnce("a")
	fail(true)
	reconcileOnce("a") // the first did not hold it
	reconcileOnce()    // the second did
	d.Retry([]types.NamespacedName{{Namespace: "n", Name: "o"}})
	reconcileOnce() // the server has asked for the hold: no event ends it
	a.stored.Generation++
	fail(true)
	a.do = []error{fault.New(fault.Transient, "R", "no")}
	reconcileOnce("a")
	d.Retry([]types.NamespacedName{{Namespace: "n", Name: "o"}})
	fail(true)
	reconcileOnce("a") // a hold by itself is ended
	a.stored.Generation++
	fail(true)
	reconcileOnce("a")
	a.stored.DeletionTimestamp = &metav1.Time{Time: start}
	fail(true)
	reconcileOnce("a")
	clock.SetTime(soon)
	fail(true)
	reconcileOnce("a")
	a.stored.UID = "another"
	fail(false)
	reconcileOnce("a")
	a.stored = nil
	reconcileOnce("forget")
	if n := d.attempts.Len(); n > 0 {
		t.Errorf("%d attempts are left", n)
	}
}

// TestDriveCountsFailures holds that only an action that asks a server ends a
// row of failures.
func TestDriveCountsFailures(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		before plan.Action
		want   time.Duration
	}{
		"after a local action":   {local("take"), 2 * plan.APIServer.Min},
		"after one that is not":  {act("take"), plan.APIServer.Min},
		"after no other actions": {nil, 2 * plan.APIServer.Min},
	} {
		t.Run(name, func(t *testing.T) {
			a := &theatre{stored: order()}
			d := newDriver(a, clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)))
			var after time.Duration
			for range 2 {
				a.next, a.do = []plan.Plan[status]{{Do: act("a")}}, []error{no}
				if c.before != nil {
					a.next, a.do = []plan.Plan[status]{{Do: c.before}, {Do: act("a")}}, []error{nil, no}
				}
				result, err := d.Reconcile(t.Context(), request())
				if err != nil {
					t.Fatal(err)
				}
				after = result.RequeueAfter
			}
			if after != c.want {
				t.Errorf("comes back after %s, want %s", after, c.want)
			}
		})
	}
}

func newDriver(a *theatre, c *clocktesting.FakeClock) *Driver[*acmev1.Order, status] {
	return NewDriver(a, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status },
		API:    a, Clock: c,
	})
}

func order() *acmev1.Order {
	return &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "o", UID: "u", Generation: 1, ResourceVersion: "1"}}
}

func request() reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "n", Name: "o"}}
}

func terminating() error {
	err := apierrors.NewForbidden(schemaOrders, "o", nil)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	return err
}

func slicesRepeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}
