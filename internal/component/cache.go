package component

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// fillTime is how long the caches of a process may take until they are filled at first.
const fillTime = 5 * time.Minute

// Caches ends a manager whose caches cannot be filled, because the API server is away or
// because roles do not allow to list a kind: after five minutes, so that the state of the
// pod shows it, and at once if its context ends. controller-runtime's manager waits for its
// caches first, without an end, and does not look at its context meanwhile.
type Caches struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	time   time.Duration
	errors *WatchErrors
}

// NewCaches returns Caches and the context that the manager must be started with.
func NewCaches(ctx context.Context, log logr.Logger) (*Caches, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Caches{ctx: ctx, cancel: cancel, time: fillTime, errors: NewWatchErrors(log, clock.RealClock{})}, ctx
}

// Set sets the options of the manager that concern its caches.
func (c *Caches) Set(options *manager.Options) {
	options.Cache.DefaultWatchErrorHandler = c.errors.Handle
	options.NewCache = func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		made, err := cache.New(config, options)
		if err != nil {
			return nil, err
		}
		return &fillingCache{Cache: made, caches: c}, nil
	}
}

// Ended takes what the manager has returned at its end, and returns why it has ended.
func (c *Caches) Ended(err error) error {
	defer c.cancel(nil)
	if cause, ok := context.Cause(c.ctx).(unfilledError); ok {
		return cause
	}
	return err
}

// unfilledError is that caches were not filled in time.
type unfilledError struct{ error }

// fillingCache is a Cache for which the manager does not wait for ever.
type fillingCache struct {
	cache.Cache
	caches *Caches
	waited atomic.Bool
}

// WaitForCacheSync implements cache.Informers. The first one that waits is the manager: at
// the end it goes on, and stops what it then starts. Those that come later want to read,
// and are never told more than is true.
func (c *fillingCache) WaitForCacheSync(ctx context.Context) bool {
	if !c.waited.CompareAndSwap(false, true) {
		return c.Cache.WaitForCacheSync(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.caches.time)
	defer cancel()
	defer context.AfterFunc(c.caches.ctx, cancel)()
	if c.Cache.WaitForCacheSync(ctx) {
		return true
	}
	if c.caches.ctx.Err() == nil {
		c.caches.cancel(unfilledError{fmt.Errorf("read all objects from the API server: not done after %s: %s", c.caches.time, c.caches.errors.now())})
	}
	return true
}
