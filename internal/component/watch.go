package component

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// watchErrorInterval is how long an error of a watch that goes on is not logged again.
	watchErrorInterval = 10 * time.Minute
	// watchErrorOver is after what time without an error a watch has worked again. It is
	// longer than a reflector waits between two tries (one minute at most).
	watchErrorOver = 2 * time.Minute
	// maxUnfilled is how many kinds a message names.
	maxUnfilled = 3
)

// watchErrors logs why caches cannot list or watch a kind: once for each kind and cause,
// and again every ten minutes while it lasts. Every try would be a line otherwise, for
// every kind, for as long as the API server or the CRDs are away.
type watchErrors struct {
	log   logr.Logger
	clock clock.PassiveClock
	mu    sync.Mutex
	last  map[string]watchError
}

// watchError is the newest error of a kind.
type watchError struct {
	cause string
	// logged is when it was logged, and seen when it came the last time.
	logged, seen time.Time
}

// newWatchErrors returns watchErrors without errors.
func newWatchErrors(log logr.Logger, clock clock.PassiveClock) *watchErrors {
	return &watchErrors{log: log, clock: clock, last: map[string]watchError{}}
}

// handle is a cache.WatchErrorHandlerWithContext.
func (w *watchErrors) handle(ctx context.Context, r *cache.Reflector, err error) {
	switch {
	case ctx.Err() != nil:
	case foreign.WatchEnded(err):
		cache.DefaultWatchErrorHandler(ctx, r, err)
	default:
		w.failed(kindOf(r.TypeDescription()), err)
	}
}

func (w *watchErrors) failed(kind string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, say := w.last[kind].next(foreign.APIServer(err), w.clock.Now())
	w.last[kind] = next
	if say {
		w.log.Error(err, "Watch a kind: failed; what is known of its objects gets old"+advice(err)+"; the next try is within a minute", "kind", kind)
	}
}

// next returns the error that follows e, and whether it has to be logged.
func (e watchError) next(cause string, now time.Time) (watchError, bool) {
	say := e.cause != cause || now.Sub(e.seen) > watchErrorOver || now.Sub(e.logged) >= watchErrorInterval
	e.cause, e.seen = cause, now
	if say {
		e.logged = now
	}
	return e, say
}

// now says for which kinds there are errors, and which; "" for none.
func (w *watchErrors) now() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(w.last)) {
		if w.clock.Since(w.last[kind].seen) <= watchErrorOver {
			all = append(all, kind+": "+w.last[kind].cause)
		}
	}
	if more := len(all) - maxUnfilled; more > 0 {
		all = append(all[:maxUnfilled], fmt.Sprintf("and %d more kinds", more))
	}
	return strings.Join(all, "; ")
}

// advice says what to do about an error, or nothing.
func advice(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "; the roles of this process must allow to list and watch this kind: install those of this version"
	case apierrors.IsNotFound(err):
		return "; the API server does not know this kind: install its CRD"
	}
	return ""
}

// kindOf is the kind in the type that a Reflector names: *v1.Secret, or a
// GroupVersionKind.
func kindOf(description string) string {
	return description[strings.LastIndexAny(description, ".=")+1:]
}
