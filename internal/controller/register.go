package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/plan"
)

// Registration is what a controller is: a reconciler of one kind, and what wakes
// it. Events of the kind's own objects always do.
type Registration struct {
	// Name is the controller's in metrics and logs, such as "orders".
	Name string
	// Kind is the API's, such as "Order".
	Kind string
	// Reconciler reconciles objects of the kind; Requeue brings them back.
	Reconciler reconcile.Reconciler
	Requeue    *Requeuer
	// Share is how many workers there are for each of --concurrent-workers.
	Share int
	// Indexes are those of the caches that the controller reads.
	Indexes []Index
	// Watches are the events of other objects that wake the controller.
	Watches []Watch
	// First is done before any controller reconciles an object: what it reads, the
	// others may delete. It is optional.
	First func(context.Context) error
}

// Index is an index of a cache.
type Index struct {
	Kind, Name string
	Values     client.IndexerFunc
}

// Watch wakes objects by the events of a kind. A kind that is not cached, as
// ClusterIssuers with --namespace, has no events.
type Watch struct {
	Kind string
	Keys func(ctx context.Context, o client.Object) []types.NamespacedName
}

// Owner returns the Keys of a Watch that wakes the object of a kind which
// controls the event's.
func Owner(kind string) func(context.Context, client.Object) []types.NamespacedName {
	return func(_ context.Context, o client.Object) []types.NamespacedName { return cluster.ControllerOf(o, kind) }
}

// Builder is what controllers register themselves with.
type Builder struct {
	manager ctrl.Manager
	kinds   map[string]client.Object
	secrets *cluster.Secrets
	// optional are the kinds that the API server may not have.
	optional []Optional
	workers  int
	drain    time.Duration
	steps    Steps
	count    func(name string, r reconcile.Reconciler) reconcile.Reconciler
	indexed  map[string]bool
	first    first
}

// Optional are kinds that the API server may not have.
type Optional interface {
	// Has reports whether a kind is one of them.
	Has(kind string) bool
	// Attach has a kind watched while it is there. attach is called with each informer
	// of it; the context ends with the informer.
	Attach(kind string, attach func(context.Context, cache.SharedIndexInformer) error)
}

// indexer is implemented by Optionals whose caches have indexes of controllers.
type indexer interface {
	Index(kind, name string, values cache.IndexFunc)
}

// NewBuilder returns a Builder. kinds are the kinds that the manager's cache
// holds, optional are those that the API server may not have, workers is --concurrent-workers, drain is how long a step may go on when
// the process stops, steps counts steps, and count wraps reconcilers to count
// their calls.
func NewBuilder(manager ctrl.Manager, kinds map[string]client.Object, secrets *cluster.Secrets, optional []Optional,
	workers int, drain time.Duration, steps Steps, count func(string, reconcile.Reconciler) reconcile.Reconciler,
) *Builder {
	return &Builder{manager: manager, kinds: kinds, secrets: secrets, optional: optional, workers: workers, drain: drain, steps: steps, count: count, indexed: map[string]bool{}}
}

// Register makes the controller. An index that another controller has
// registered is shared.
func (b *Builder) Register(ctx context.Context, r Registration) error {
	if err := Complete(r, "Indexes", "Watches", "First"); err != nil {
		return err
	}
	for _, index := range r.Indexes {
		if err := b.index(ctx, index); err != nil {
			return fmt.Errorf("controller %s: index %s of %s: %w", r.Name, index.Name, index.Kind, err)
		}
	}
	if r.First != nil {
		b.first.add(r.Name, r.First)
	}
	workers := r.Share * b.workers
	if driver, ok := r.Reconciler.(interface{ SetUp(int, Steps) }); ok {
		driver.SetUp(workers, b.steps)
	}
	c, err := ctrlcontroller.New(r.Name, b.manager, ctrlcontroller.Options{
		Reconciler:              named(r.Name, Drain(b.first.before(b.count(r.Name, r.Reconciler)), b.drain)),
		MaxConcurrentReconciles: workers,
		NewQueue:                NewQueue,
		// The driver has its own policy; this one is for panics.
		RateLimiter: Backoff(time.Second, 5*time.Minute),
	})
	if err != nil {
		return err
	}
	own := Own()
	if driver, ok := r.Reconciler.(interface{ Gone(client.Object) }); ok {
		own = ending(own, driver.Gone)
	}
	sources := append(b.events(r.Kind, own), r.Requeue)
	for _, w := range r.Watches {
		h := Related(w.Keys)
		if b.having(w.Kind) == nil {
			h = SinceStart(h)
		}
		sources = append(sources, b.events(w.Kind, h)...)
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("controller %s: %w", r.Name, err)
		}
	}
	return nil
}

func (b *Builder) index(ctx context.Context, i Index) error {
	if of, ok := b.having(i.Kind).(indexer); ok {
		of.Index(i.Kind, i.Name, func(o any) ([]string, error) { return i.Values(o.(client.Object)), nil })
		return nil
	}
	object, cached := b.kinds[i.Kind]
	key := i.Kind + "/" + i.Name
	if !cached || b.indexed[key] {
		return nil
	}
	b.indexed[key] = true
	return b.manager.GetFieldIndexer().IndexField(ctx, object, i.Name, i.Values)
}

// having returns what has a kind, nil if the API server always has it.
func (b *Builder) having(kind string) Optional {
	for _, o := range b.optional {
		if o.Has(kind) {
			return o
		}
	}
	return nil
}

// events are the sources of a kind's events.
func (b *Builder) events(kind string, h handler.EventHandler) []source.Source {
	if kind == plan.KindSecret {
		var sources []source.Source
		for _, informer := range b.secrets.Informers() {
			sources = append(sources, &secretSource{source.Informer{Informer: informer, Handler: h}})
		}
		return sources
	}
	if of := b.having(kind); of != nil {
		return []source.Source{&optionalSource{of: of, kind: kind, handler: h}}
	}
	object, cached := b.kinds[kind]
	if !cached {
		return nil
	}
	return []source.Source{source.Kind(b.manager.GetCache(), object, h)}
}

// secretSource has the events of the Secret informers, which are not those of
// controller-runtime's cache. The controller waits for them to be filled.
type secretSource struct{ source.Informer }

// WaitForSync implements source.SyncingSource.
func (s *secretSource) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), s.Informer.Informer.HasSynced) {
		return errors.New("the Secret cache was not filled in time; the log says why")
	}
	return nil
}

// optionalSource has the events of a kind that may be absent, while it is there.
type optionalSource struct {
	of      Optional
	kind    string
	handler handler.EventHandler
}

// Start implements source.Source.
func (s *optionalSource) Start(_ context.Context, queue Queue) error {
	s.of.Attach(s.kind, func(ctx context.Context, informer cache.SharedIndexInformer) error {
		return (&source.Informer{Informer: informer, Handler: s.handler}).Start(ctx, queue)
	})
	return nil
}

// Complete returns an error that names the fields of a struct that are nil,
// empty or zero, except some.
func Complete(s any, except ...string) error {
	v := reflect.ValueOf(s)
	var errs []error
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !slices.Contains(except, name) {
			errs = append(errs, fmt.Errorf("%s: %s is missing", v.Type(), name))
		}
	}
	return errors.Join(errs...)
}
