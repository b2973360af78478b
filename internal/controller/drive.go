package controller

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// maxSteps bounds the plans of one reconcile. An issuance has about ten.
	maxSteps = 24
	// maxConflicts bounds how often a status that must not be lost is decided
	// again for an object that somebody else keeps changing.
	maxConflicts = 5
	// maxStale bounds how often in a row that happens before it counts as a
	// failure: about a minute, longer than caches lag.
	maxStale = 12
	// terminatingHold is how long an object is left alone in whose namespace, which
	// is being deleted, nothing can be created. The object's own deletion ends it.
	terminatingHold = time.Hour
	// staleRetry is when a reconcile that met something newer than its caches
	// comes back at the latest; the event that it waits for usually comes first.
	staleRetry = 5 * time.Second
)

// Kind is one kind of object, with status S, as the driver needs it.
type Kind[O client.Object, S any] interface {
	// Get reads an object from the cache. NotFound means that it is gone, false
	// that nothing is left to do for it.
	Get(ctx context.Context, key types.NamespacedName) (O, bool, error)
	// Load reads what decides about an object, from caches. It changes nothing.
	Load(ctx context.Context, object O) (Work[O, S], error)
	// Forget drops what is remembered of an object that is gone or finished.
	Forget(key types.NamespacedName)
}

// Yielder is implemented by Kinds whose objects hold what others wait for, such as
// a place among the challenges in flight.
type Yielder interface {
	// Yield gives back what an object holds, because it is to wait for long.
	Yield(key types.NamespacedName)
}

// Work is one object with all that decides about it, during one reconcile.
type Work[O client.Object, S any] interface {
	// Next decides what the object needs next. It is pure.
	Next(now time.Time) plan.Plan[S]
	// Failed decides what the failure of an action means. It is pure.
	Failed(f plan.Failure, now time.Time) plan.Plan[S]
	// Do carries an action out and brings what decides up to date.
	Do(ctx context.Context, action plan.Action) error
	// Object is the object that decides, not to be changed.
	Object() O
	// Replace puts what the API server has answered in the object's place.
	Replace(object O)
}

// API is the API server, as the driver needs it.
type API interface {
	// Behind names a kind whose cache has not seen all own writes for an object
	// yet, or is empty.
	Behind(subject plan.Ref) string
	// Live reads an object from the API server.
	Live(ctx context.Context, key types.NamespacedName, into client.Object) error
	// Confirm returns cluster.ErrStale if the confirmation fails.
	Confirm(ctx context.Context, c plan.Confirm) error
	// UpdateStatus stores the status of an object, which is filled with the answer.
	UpdateStatus(ctx context.Context, subject plan.Ref, object client.Object, manager string) error
	// Send sends events about an object.
	Send(object runtime.Object, events ...plan.Event)
}

// Settings are what a driver needs to know besides its Kind.
type Settings[O client.Object, S any] struct {
	// Kind is the API's name of the kind, Manager the field manager of its
	// status, New makes an empty object, Status finds an object's status.
	Kind, Manager string
	New           func() O
	Status        func(O) *S

	API   API
	Clock clock.WithTicker
	// Failed counts failures; it may be nil.
	Failed func()
	// EndWithObject has actions at foreign servers end when their object is deleted,
	// because their results are of no use without it.
	EndWithObject bool
}

// Driver runs all objects of one kind: it gets an object, loads what decides,
// and then decides, confirms, stores the status and acts until there is nothing
// left to do except wait.
type Driver[O client.Object, S any] struct {
	Settings[O, S]
	// Requeue brings objects back.
	Requeue *Requeuer

	kind      Kind[O, S]
	attempts  Memory[attempt]
	endpoints *endpoints
	underWay  underWay
	steps     Steps
}

// NewDriver returns a Driver of a kind.
func NewDriver[O client.Object, S any](kind Kind[O, S], s Settings[O, S]) *Driver[O, S] {
	requeue := NewRequeuer(s.Clock)
	return &Driver[O, S]{Settings: s, Requeue: requeue, kind: kind, endpoints: newEndpoints(s.Clock, requeue.Wake)}
}

// SetUp says how many workers call Reconcile, before they do, and who counts the
// steps of kinds that do the work of several controllers of cert-manager; it may
// be nil.
func (d *Driver[O, S]) SetUp(workers int, steps Steps) {
	d.endpoints.setWorkers(workers)
	d.steps = steps
}

// Steps counts steps under the names of cert-manager's controllers.
type Steps interface {
	// Step counts an action of a controller, and whether it failed.
	Step(controller string, failed bool)
}

// Named is implemented by the Work of kinds that do the work of several
// controllers of cert-manager.
type Named interface {
	// ControllerOf returns the name of the controller that an action is the work
	// of, or "".
	ControllerOf(action plan.Action) string
}

// step counts an action. It reports whether a failure has been counted.
func (r *run[O, S]) step(action plan.Action, failed bool) bool {
	named, ok := r.Work.(Named)
	if !ok || r.steps == nil {
		return false
	}
	controller := named.ControllerOf(action)
	if controller != "" {
		r.steps.Step(controller, failed)
	}
	return controller != ""
}

// Reconcile implements reconcile.Reconciler. Failures are retried by the plan's
// policy, never by the queue's, so the error is always nil.
func (d *Driver[O, S]) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	log, key := logr.FromContextOrDiscard(ctx), request.NamespacedName
	subject := plan.Ref{Kind: d.Kind, NamespacedName: key}
	if kind := d.API.Behind(subject); kind != "" {
		log.V(5).Info("Waiting for a cache to show own writes", "kind", kind)
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	invited := d.endpoints.invitation(key)
	defer func() { d.endpoints.decline(invited) }()
	a := d.attempts.Of(key, "", nil)
	object, open, err := d.kind.Get(ctx, key)
	if apierrors.IsNotFound(err) || (err == nil && !open) {
		d.forget(key)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return d.finish(ctx, key, a, time.Time{}, err)
	}
	a = d.attempts.Of(key, object.GetUID(), nil)
	moved := func() (bool, error) {
		work, err := d.kind.Load(ctx, object)
		if err != nil {
			return false, err
		}
		server := serverOf[S](work, a.asked)
		return server != "" && server != a.server, nil
	}
	held := a.heldUntil(object, d.Clock.Now(), moved)
	if !held.IsZero() && a.untold == nil {
		return d.Requeue.Until(key, held), nil
	}
	work, err := d.kind.Load(ctx, object)
	until := time.Time{}
	if err == nil {
		r := run[O, S]{Driver: d, Work: work, subject: subject, attempt: a}
		until, err = r.drive(ctx)
		until = plan.Earliest(until, held)
	}
	if cluster.Terminating(err) && key.Namespace != "" {
		// Each event would do anew what comes before the refused write, such as a key.
		a.hold(object, d.Clock.Now().Add(terminatingHold))
		a.terminating = true
	}
	return d.finish(ctx, key, a, until, err)
}

// forget drops what is remembered of an object that is gone or finished.
func (d *Driver[O, S]) forget(key types.NamespacedName) {
	d.attempts.Drop(key)
	d.Requeue.Forget(key)
	d.endpoints.forget(key)
	d.kind.Forget(key)
}

// Retry ends the waits of objects that are held back, because something that
// they depend on has changed, and returns the keys.
func (d *Driver[O, S]) Retry(keys []types.NamespacedName) []types.NamespacedName {
	for _, key := range keys {
		if a := d.attempts.Find(key, ""); a != nil {
			a.retry.Store(true)
		}
	}
	return keys
}

// Retrying returns the Keys of a Watch of something that objects depend on: its events end
// their waits, too.
func (d *Driver[O, S]) Retrying(keys func(context.Context, client.Object) []types.NamespacedName) func(context.Context, client.Object) []types.NamespacedName {
	return func(ctx context.Context, o client.Object) []types.NamespacedName { return d.Retry(keys(ctx, o)) }
}

// finish is how a reconcile ends: it comes back at a time, soon if it decided on
// something outdated, or after the back-off. Nothing is retried in a namespace
// that is being deleted.
func (d *Driver[O, S]) finish(ctx context.Context, key types.NamespacedName, a *attempt, until time.Time, err error) (reconcile.Result, error) {
	log := logr.FromContextOrDiscard(ctx)
	switch {
	case err == nil:
		a.writes = 0
		if a.empty() {
			d.attempts.Drop(key)
		}
		return d.Requeue.Until(key, until), nil
	case ctx.Err() != nil, cluster.Terminating(err) && key.Namespace != "":
		return reconcile.Result{}, nil
	case cluster.Stale(err) && a.stale < maxStale:
		a.stale++
		log.V(4).Info("Decided on something outdated; deciding again", "error", err.Error())
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	d.count()
	d.yield(key)
	at := plan.Retry(err, a.writes, plan.APIServer, d.Clock.Now())
	a.writes++
	log.Error(err, "Reconcile failed and will be retried", "at", at)
	return d.Requeue.Until(key, at), nil
}

func (d *Driver[O, S]) yield(key types.NamespacedName) {
	if y, ok := d.kind.(Yielder); ok {
		y.Yield(key)
	}
}

func (d *Driver[O, S]) count() {
	if d.Settings.Failed != nil {
		d.Settings.Failed()
	}
}

// run is one reconcile of one object.
type run[O client.Object, S any] struct {
	*Driver[O, S]
	Work[O, S]
	subject plan.Ref
	attempt *attempt
	// fresh is the resourceVersion at which the API server has the object.
	fresh string
}

// drive takes plans until there is nothing left to do except wait, and returns until when.
func (r *run[O, S]) drive(ctx context.Context) (time.Time, error) {
	var p plan.Plan[S]
	var err error
	// A failure that holds the object and is not in its status yet comes first.
	failure := r.attempt.untold != nil
	if !failure {
		p = r.Next(r.Clock.Now())
	} else if p, err = r.answer(ctx, *r.attempt.untold); err != nil {
		return time.Time{}, err
	}
	for range maxSteps {
		stored, err := r.prepare(ctx, &p)
		if err != nil && p.Do != nil && r.overdue(err) {
			if p, err = r.fail(ctx, p.Do, err, r.Clock.Now()); err != nil {
				return time.Time{}, err
			}
			failure = true
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		if p.Do == nil {
			if stored || failure {
				// A failure that the status says already counts its event up.
				r.API.Send(r.Object(), p.Events...)
			}
			if settled := !stored; (failure && !p.Until.IsZero()) || (!failure && settled) {
				if !failure {
					r.attempt.stale = 0
				}
				return r.wait(p), nil
			}
			p, failure = r.Next(r.Clock.Now()), false
			continue
		}
		if Stopping(ctx) {
			return time.Time{}, nil
		}
		began := r.Clock.Now()
		refused, err := r.do(ctx, p.Do)
		switch {
		case refused.again > 0:
			return r.putOff(ctx, p, refused, failure)
		case errors.Is(err, errGone):
			return time.Time{}, nil
		case err == nil:
			r.step(p.Do, false)
			if _, local := p.Do.(plan.Local); !local {
				r.attempt.succeeded()
			}
			r.API.Send(r.Object(), p.Events...)
			if failure && !p.Until.IsZero() {
				return r.wait(p), nil
			}
			p, failure = r.Next(r.Clock.Now()), false
		case outdated(err) && !r.overdue(err), cluster.Terminating(err), ctx.Err() != nil:
			return time.Time{}, err
		default:
			failure = true
			if p, err = r.fail(ctx, p.Do, err, began); err != nil {
				return time.Time{}, err
			}
		}
	}
	return r.Clock.Now().Add(time.Second), nil
}

// do carries an action out, unless it asks a server at which there is no place.
func (r *run[O, S]) do(ctx context.Context, action plan.Action) (refused refusal, err error) {
	log := logr.FromContextOrDiscard(ctx).WithValues("action", action.String())
	var server string
	var longest time.Duration
	if remote, ok := r.Work.(Remote[S]); ok {
		server, longest = remote.Endpoint(action)
	}
	if server != "" {
		place, refused := r.endpoints.enter(r.subject.NamespacedName, server, longest, r.attempt.begun)
		if place == nil {
			log.V(4).Info("No place at the server", "server", server)
			return refused, nil
		}
		r.attempt.begun = true
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, place.limit)
		defer cancel()
		if r.EndWithObject {
			var ended func()
			ctx, ended = r.underWay.begin(ctx, r.Object().GetUID())
			defer ended()
		}
		defer func() {
			if err != nil && errors.Is(context.Cause(ctx), errGone) {
				err = fault.Elsewhere(errGone)
			}
			answer := err
			if silent, ok := r.Work.(Unanswered); ok && err == nil && silent.Unanswered(action) {
				answer = os.ErrDeadlineExceeded
			}
			r.endpoints.leave(place, answer)
			err = inTime(err, r.Clock.Since(place.began), longest)
		}()
	}
	log.V(4).Info("Next action")
	return refusal{}, r.Do(ctx, action)
}

// putOff waits for a place at a server, or for the plan's time if that is earlier.
// If the wait is long, the status says so, and others get what the object holds.
func (r *run[O, S]) putOff(ctx context.Context, p plan.Plan[S], refused refusal, failure bool) (time.Time, error) {
	now := r.Clock.Now()
	if failure {
		// Next will not say again what has failed.
		r.API.Send(r.Object(), p.Events...)
	}
	if remote, ok := r.Work.(Remote[S]); ok && refused.cause != "" {
		r.yield(r.subject.NamespacedName)
		p.Do, p.Confirm, p.Status = nil, nil, remote.Waiting(p.Status, refused.cause, now)
		if _, err := r.prepare(ctx, &p); err != nil {
			return time.Time{}, err
		}
	}
	return plan.Earliest(now.Add(refused.again), p.Until), nil
}

// wait returns until when to wait, and notes a hold.
func (r *run[O, S]) wait(p plan.Plan[S]) time.Time {
	r.attempt.until, r.attempt.untold = time.Time{}, nil
	if p.Hold && !p.Until.IsZero() {
		r.attempt.hold(r.Object(), p.Until)
	}
	return p.Until
}
