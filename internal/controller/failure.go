package controller

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// fail counts and logs the failure of an action, and decides what it means.
func (r *run[O, S]) fail(ctx context.Context, action plan.Action, err error, began time.Time) (plan.Plan[S], error) {
	if !r.step(action, true) {
		r.count()
	}
	if r.overdue(err) {
		err = fault.New(fault.Transient, "Outdated", "what everleaf has cached has differed from what the API server has for more than a minute (%s)",
			cmp.Or(apierrors.ReasonForError(err), "Outdated")).Because(err)
	}
	f := plan.Failure{Action: action, Err: err, Attempts: r.attempt.failures, Began: began}
	r.attempt.failures++
	r.log(ctx, f)
	return r.answer(ctx, f)
}

// overdue reports whether an action, or its confirmation, has met something that
// the caches do not show for longer than they lag: it is no matter of waiting.
func (r *run[O, S]) overdue(err error) bool { return outdated(err) && r.attempt.stale >= maxStale }

// answer decides what a failure means. A hold begins at once, and an action that
// changes only what the process knows is carried out at once: both count even if
// the status that reports the failure cannot be stored.
func (r *run[O, S]) answer(ctx context.Context, f plan.Failure) (plan.Plan[S], error) {
	p := r.Failed(f, r.Clock.Now())
	if p.Hold && !p.Until.IsZero() {
		r.attempt.hold(r.Object(), p.Until)
		r.attempt.asked = nil
		if fault.Of(f.Err).Class == fault.Later {
			r.attempt.asked, r.attempt.server = f.Action, serverOf[S](r.Work, f.Action)
		}
		r.attempt.untold = &f
	}
	if _, local := p.Do.(plan.Local); !local {
		return p, nil
	}
	err := r.Do(ctx, p.Do)
	p.Do = nil
	return p, err
}

// serverOf returns the server that an action asks, or "".
func serverOf[S any](work any, action plan.Action) string {
	remote, ok := work.(Remote[S])
	if !ok {
		return ""
	}
	server, _ := remote.Endpoint(action)
	return server
}

// log logs a failed action. What the API server answers is an error that only
// the log shows; of a write that carries a private key it is no more than the
// reason. A classified failure is in the status.
func (r *run[O, S]) log(ctx context.Context, f plan.Failure) {
	log := logr.FromContextOrDiscard(ctx).WithValues("action", f.Action.String())
	if errors.As(f.Err, new(*fault.Error)) {
		log.V(2).Info("Action failed", "error", f.Err.Error())
		return
	}
	err := f.Err
	if _, secret := f.Action.(plan.Secret); secret {
		err = errors.New(string(apierrors.ReasonForError(err)))
	}
	log.Error(err, "Action failed and will be retried")
}

// outdated reports whether an action failed because the caches are outdated. An
// error that has been classified says by itself what to do: the Secret that an
// issuer needs and nobody has made is NotFound, too.
func outdated(err error) bool {
	return cluster.Stale(err) && !errors.As(err, new(*fault.Error))
}
