package controller

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/cluster"
)

// StaleRetry is when a reconcile that met something newer than its caches comes
// back at the latest; the event that it waits for usually comes first.
const StaleRetry = 5 * time.Second

// Finish is how a reconcile ends: it comes back at a time, or at once if what
// it decided on has changed, or by the queue's back-off after an error. In a
// namespace that is being deleted nothing is tried again.
func (w *Wait) Finish(ctx context.Context, key types.NamespacedName, until time.Time, err error) (reconcile.Result, error) {
	switch {
	case err == nil:
		return w.Until(key, until), nil
	case cluster.Terminating(err):
		return reconcile.Result{}, nil
	case cluster.Stale(err):
		logr.FromContextOrDiscard(ctx).V(4).Info("Decided on something that has changed; deciding again", "error", err.Error())
		return reconcile.Result{RequeueAfter: StaleRetry}, nil
	default:
		return reconcile.Result{}, err
	}
}
