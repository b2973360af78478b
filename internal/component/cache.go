package component

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// FillTime is how long the caches of a process may take until they are filled, unless
	// the API server answers and is only slow.
	FillTime = 5 * time.Minute
	// askTime is how long the API server may take to say that it is there.
	askTime = 10 * time.Second
	// settleTime is how long after its end a manager that has filled nothing is held: it
	// must have seen the end, so that it does not begin to lead.
	settleTime = 500 * time.Millisecond
	// endTime is how long such a manager may take to end. What it waits for, the pauses of
	// informers between two tries, loses nothing.
	endTime = 2 * time.Second
)

// errUnfilled is why the context of a manager has ended that has not filled its caches. A
// manager goes on after context.Canceled.
var errUnfilled = errors.New("the caches were not filled before the end")

// Caches runs a manager that does not wait for ever until its caches are filled:
// controller-runtime's own waits without an end, and does not look at its context
// meanwhile. Caches are not filled as long as the API server is away, or if roles do not
// allow to list a kind. Then the process ends after FillTime, so that the state of its
// pod shows it, and at once if its context ends.
type Caches struct {
	ctx    context.Context
	log    logr.Logger
	errors *watchErrors
	time   time.Duration
	// config is that of the cache.
	config *rest.Config

	filled atomic.Bool
	// abandoned is closed when nobody waits any more that the caches are filled; cause is
	// set before, to why, nil at the end of ctx.
	abandoned chan struct{}
	cause     error
}

// NewCaches returns the Caches of a process that ends with ctx.
func NewCaches(ctx context.Context, log logr.Logger) *Caches {
	return &Caches{
		ctx: ctx, log: log, errors: newWatchErrors(log, clock.RealClock{}), time: FillTime, abandoned: make(chan struct{}),
	}
}

// Set sets the options of the manager that concern its caches.
func (c *Caches) Set(options *manager.Options) {
	options.Cache.DefaultWatchErrorHandler = c.errors.handle
	options.Controller.CacheSyncTimeout = FillTime
	options.NewCache = func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		c.config = config
		made, err := cache.New(config, options)
		if err != nil {
			return nil, err
		}
		return &fillingCache{Cache: made, caches: c}, nil
	}
}

// Observe logs and explains the errors of an informer that is not the manager's.
func (c *Caches) Observe(informer toolscache.SharedIndexInformer) error {
	return informer.SetWatchErrorHandlerWithContext(c.errors.handle)
}

// Run runs the manager, by its Start, and returns why it has ended.
func (c *Caches) Run(start func(context.Context) error) error {
	managed := newFilling(c)
	done := make(chan error, 1)
	go func() { done <- start(managed) }()
	select {
	case err := <-done:
		if !c.filled.Load() && c.ctx.Err() != nil {
			return nil
		}
		return err
	case <-c.abandoned:
	}
	select {
	case <-done:
	case <-time.After(endTime):
	}
	return c.cause
}

// fill waits until the caches are filled or it is no use to wait; the error says why, nil
// at the end of a context. wait waits for a time.
func (c *Caches) fill(ctx context.Context, wait func(context.Context) bool) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for {
		one, cancel := context.WithTimeout(ctx, c.time)
		filled := wait(one)
		cancel()
		if filled {
			return true, nil
		}
		why := c.obstacle(ctx)
		if ctx.Err() != nil {
			return false, nil
		}
		if why != "" {
			return false, fmt.Errorf("read all objects from the API server: not done after %s: %s", c.time, why)
		}
		c.log.Info("Reading all objects from the API server takes long; it answers, so the wait goes on", "time", c.time.String())
	}
}

// obstacle says why the caches are not filled, or "" if it only takes long.
func (c *Caches) obstacle(ctx context.Context) string {
	if why := c.errors.now(); why != "" {
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err == nil {
		err = client.RESTClient().Get().AbsPath("/version").Do(ctx).Error()
	}
	if err != nil {
		return "the API server does not answer: " + foreign.APIServer(err)
	}
	return ""
}

// fillingCache is a Cache for which the manager does not wait for ever.
type fillingCache struct {
	cache.Cache
	caches *Caches
	waited atomic.Bool
}

// WaitForCacheSync implements cache.Informers. The first one that waits is the manager. It
// goes on at the end, which it must have seen by then. Those that come later want to read,
// and are never told more than is true.
func (c *fillingCache) WaitForCacheSync(ctx context.Context) bool {
	if !c.waited.CompareAndSwap(false, true) {
		return c.Cache.WaitForCacheSync(ctx)
	}
	filled, why := c.caches.fill(ctx, c.Cache.WaitForCacheSync)
	if filled {
		c.caches.filled.Store(true)
		return true
	}
	c.caches.cause = why
	close(c.caches.abandoned)
	<-time.After(settleTime)
	return true
}

// filling is the context of a manager. It ends with that of the Caches, or when the caches
// are abandoned. Until they are filled its error is errUnfilled, with which a manager
// starts neither leader election nor what only the leader does.
type filling struct {
	context.Context
	caches *Caches
	// done is another channel than that of the Context, or package context would take
	// the Context's error.
	done chan struct{}
}

func newFilling(c *Caches) filling {
	f := filling{Context: c.ctx, caches: c, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		select {
		case <-c.ctx.Done():
		case <-c.abandoned:
		}
	}()
	return f
}

// Done implements context.Context.
func (f filling) Done() <-chan struct{} { return f.done }

// Err implements context.Context.
func (f filling) Err() error {
	select {
	case <-f.done:
	default:
		return nil
	}
	if !f.caches.filled.Load() {
		return errUnfilled
	}
	return context.Canceled
}
