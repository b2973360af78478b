package controller

import (
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/plan"
)

// retryEvery is how often a change of what an object depends on ends its hold at
// most: a Secret can be written each second.
const retryEvery = 5 * time.Second

// attempt is what a driver remembers of an object that failed, or is held. It
// belongs to the one reconcile of the object that runs, except for retry.
type attempt struct {
	// failures counts actions that failed in a row, writes reconciles in a row
	// that the API server ended, stale those that met something newer.
	failures, writes, stale int
	// untold is a failure that holds the object and is not in its status yet.
	untold *plan.Failure
	// until holds the object back, as long as it has the generation and is, or
	// is not, being deleted.
	until      time.Time
	generation int64
	deleting   bool
	// terminating reports that the namespace is being deleted: retry ends no hold.
	terminating bool
	// retry ends the hold, also one that a reconcile is about to begin, unless a
	// server has asked for it (Retry-After) in answer to the action asked, and the
	// object still asks this server.
	retry atomic.Bool
	// retried is when retry has ended a hold.
	retried time.Time
	asked   plan.Action
	server  string
	// begun reports whether a foreign server was asked for the object.
	begun bool
}

// succeeded ends a row of failed actions.
func (a *attempt) succeeded() {
	a.failures, a.stale, a.until, a.untold = 0, 0, time.Time{}, nil
}

// heldUntil returns until when the object is held back, zero if it is not. A
// hold that has ended is forgotten, and so is a failure that no status reports.
// moved reports whether the object asks another server now, or that it is not known.
func (a *attempt) heldUntil(object client.Object, now time.Time, moved func() (bool, error)) time.Time {
	switch {
	case a.generation != object.GetGeneration(), a.deleting != (object.GetDeletionTimestamp() != nil), !a.until.After(now):
		a.retry.Store(false)
	case a.terminating || !a.retry.Load():
		a.retry.Store(false)
		return a.until
	case a.retried.Add(retryEvery).After(now):
		return plan.Earliest(a.until, a.retried.Add(retryEvery))
	default:
		a.retry.Store(false)
		elsewhere, err := true, error(nil)
		if a.asked != nil {
			elsewhere, err = moved()
		}
		if err != nil {
			a.retry.Store(true)
			return plan.Earliest(a.until, now.Add(retryEvery))
		}
		if !elsewhere {
			return a.until
		}
		a.retried = now
	}
	a.until, a.untold, a.terminating = time.Time{}, nil, false
	return time.Time{}
}

func (a *attempt) hold(object client.Object, until time.Time) {
	a.terminating = false
	a.until, a.generation, a.deleting = until, object.GetGeneration(), object.GetDeletionTimestamp() != nil
}

// empty reports whether the attempt says nothing and can be forgotten.
func (a *attempt) empty() bool {
	return a.failures == 0 && a.writes == 0 && a.stale == 0 && a.until.IsZero() && a.untold == nil && !a.begun
}
