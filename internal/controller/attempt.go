package controller

import (
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/plan"
)

// attempt is what a driver remembers of an object that failed, or is held. It
// belongs to the one reconcile of the object that runs, except for retry.
type attempt struct {
	uid types.UID
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
	// retry ends the hold.
	retry atomic.Bool
}

// succeeded ends a row of failed actions.
func (a *attempt) succeeded() { a.failures, a.until, a.untold = 0, time.Time{}, nil }

// heldUntil returns until when the object is held back, zero if it is not. A
// hold that has ended is forgotten, and so is a failure that no status reports.
func (a *attempt) heldUntil(object client.Object, now time.Time) time.Time {
	if a.retry.Swap(false) || a.generation != object.GetGeneration() ||
		a.deleting != (object.GetDeletionTimestamp() != nil) || !a.until.After(now) {
		a.until, a.untold = time.Time{}, nil
	}
	return a.until
}

func (a *attempt) hold(object client.Object, until time.Time) {
	a.until, a.generation, a.deleting = until, object.GetGeneration(), object.GetDeletionTimestamp() != nil
}

// empty reports whether the attempt says nothing.
func (a *attempt) empty() bool {
	return a.failures == 0 && a.writes == 0 && a.stale == 0 && a.until.IsZero() && a.untold == nil
}

// attempts are those of all objects of a kind. The zero value is ready.
type attempts struct {
	mu    sync.Mutex
	items map[types.NamespacedName]*attempt
}

// of returns the attempt of an object. Once its UID is known, an attempt that was
// made for another one with the name is replaced.
func (s *attempts) of(key types.NamespacedName, uid ...types.UID) *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = map[types.NamespacedName]*attempt{}
	}
	a := s.items[key]
	if a == nil || (len(uid) > 0 && a.uid != "" && a.uid != uid[0]) {
		a = &attempt{}
		s.items[key] = a
	}
	if len(uid) > 0 {
		a.uid = uid[0]
	}
	return a
}

// retry ends the holds of objects, also of one that a reconcile is about to hold.
func (s *attempts) retry(keys []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if a := s.items[key]; a != nil {
			a.retry.Store(true)
		}
	}
}

// tidy forgets an attempt that says nothing.
func (s *attempts) tidy(key types.NamespacedName, a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.empty() && s.items[key] == a {
		delete(s.items, key)
	}
}

func (s *attempts) drop(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}
