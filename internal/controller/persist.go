package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/plan"
)

// prepare confirms what the plan wants confirmed, and stores its status. It
// reports whether it has written one.
func (r *run[O, S]) prepare(ctx context.Context, p *plan.Plan[S]) (bool, error) {
	store := r.storesNow(*p)
	for _, c := range p.Confirm {
		own := c.Ref == r.subject
		if own && (store || c.Version == r.fresh) {
			// The write carries the resourceVersion: it confirms by itself.
			continue
		}
		if err := r.API.Confirm(ctx, c); err != nil {
			return false, err
		}
		if own {
			r.fresh = c.Version
		}
	}
	if !store {
		return false, nil
	}
	if p.Persist == plan.Regardless {
		return true, r.storeRegardless(context.WithoutCancel(ctx), p)
	}
	return true, r.store(ctx, *p)
}

// storesNow reports whether the plan's status must be written now.
func (r *run[O, S]) storesNow(p plan.Plan[S]) bool {
	due := p.Persist == plan.Before || p.Persist == plan.Regardless || (p.Persist == plan.AtEnd && p.Do == nil)
	return due && !equality.Semantic.DeepEqual(*r.Status(r.Object()), p.Status)
}

// store writes the status.
func (r *run[O, S]) store(ctx context.Context, p plan.Plan[S]) error {
	changed := r.Object().DeepCopyObject().(O)
	*r.Status(changed) = p.Status
	manager := p.Manager
	if manager == "" {
		manager = r.Manager
	}
	if err := r.API.UpdateStatus(ctx, r.subject, changed, manager); err != nil {
		if refusal, ok := plan.RefusalOf(err, false); ok {
			// No condition can report it.
			r.API.Send(r.Object(), r.unwritten(manager, refusal.Cause+"; "+refusal.Advice()))
		}
		return err
	}
	r.Replace(changed)
	r.fresh = changed.GetResourceVersion()
	return nil
}

// Telling is implemented by the Work of kinds that have an event of their own for a
// status that the API server refuses to store.
type Telling interface {
	Unwritten(cause string) plan.Event
}

// unwritten is the event for a status that the API server refuses to store.
func (r *run[O, S]) unwritten(manager, cause string) plan.Event {
	if telling, ok := r.Work.(Telling); ok {
		return telling.Unwritten(cause)
	}
	return plan.Event{Warning: true, Reason: "WriteFailed", Component: manager, Message: "The status cannot be written: " + cause}
}

// storeRegardless stores a status that must not be lost: on a conflict it is
// decided again for the object as it is.
func (r *run[O, S]) storeRegardless(ctx context.Context, p *plan.Plan[S]) error {
	for range maxConflicts {
		err := r.store(ctx, *p)
		if err == nil || !apierrors.IsConflict(err) {
			return err
		}
		live := r.New()
		if err := r.API.Live(ctx, r.subject.NamespacedName, live); err != nil {
			return err
		}
		if live.GetUID() != r.Object().GetUID() {
			return cluster.ErrStale
		}
		r.Replace(live)
		if *p = r.Next(r.Clock.Now()); p.Persist != plan.Regardless {
			return cluster.ErrStale
		}
	}
	return cluster.ErrStale
}
