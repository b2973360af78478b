// Package controller holds what the reconcilers, one package per kind beneath
// this one, have in common: how they are woken, and how they wait.
package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/schedule"
)

// Queue is a reconciler's work queue.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// NewQueue makes a reconciler's queue: by priority, and silent. At verbosity 5
// controller-runtime's own queue logs its items without holding its lock, which
// races with what changes them.
func NewQueue(name string, backoff workqueue.TypedRateLimiter[reconcile.Request]) Queue {
	return priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = backoff })
}

// Priorities of work. What has begun is finished before something new begins:
// otherwise, of a thousand new certificates, all would be half done for long.
const (
	priorityStart   = -100
	priorityNew     = 0
	priorityOngoing = 10
)

// shortWait is the longest wait that has a timer, which is exact: the wait for
// resolvers to forget an answer is among them. Deadlines are looked at every 30 s. A
// wait of more than that has one besides its timer, which stands still while the
// machine is suspended.
const shortWait = 5 * time.Minute

// Requeuer is how reconcilers come back: soon by a timer, later by the wall clock,
// and when somebody wakes them. It is a source of controller-runtime.
type Requeuer struct {
	clock     clock.PassiveClock
	deadlines *schedule.Deadlines[types.NamespacedName]
	// later holds what others want, which a reconcile does not take back.
	later *schedule.Deadlines[types.NamespacedName]
	mu    sync.Mutex
	queue Queue
}

// NewRequeuer returns a Requeuer.
func NewRequeuer(c clock.WithTicker) *Requeuer {
	w := &Requeuer{clock: c}
	wake := func(key types.NamespacedName) { w.Wake(key) }
	w.deadlines, w.later = schedule.New(c, wake), schedule.New(c, wake)
	return w
}

// Start takes the queue, and runs the deadlines until ctx ends.
func (w *Requeuer) Start(ctx context.Context, queue Queue) error {
	w.mu.Lock()
	w.queue = queue
	w.mu.Unlock()
	go func() { _ = w.deadlines.Start(ctx) }()
	go func() { _ = w.later.Start(ctx) }()
	return nil
}

// Wake has objects reconciled now.
func (w *Requeuer) Wake(keys ...types.NamespacedName) {
	w.mu.Lock()
	queue := w.queue
	w.mu.Unlock()
	if queue != nil {
		enqueue(queue, priorityOngoing, keys...)
	}
}

// WakeAt has an object reconciled at a time, whatever a reconcile of it decides
// in the meantime. A time that has passed is now.
func (w *Requeuer) WakeAt(key types.NamespacedName, at time.Time) {
	if at.After(w.clock.Now()) {
		w.later.Set(key, at)
	} else {
		w.Wake(key)
	}
}

// Until has an object reconciled at a time; the zero time is never.
func (w *Requeuer) Until(key types.NamespacedName, at time.Time) reconcile.Result {
	// By the wall clock, as the deadlines.
	in := at.Round(0).Sub(w.clock.Now().Round(0))
	if at.IsZero() || in > shortWait {
		w.deadlines.Set(key, at)
		return reconcile.Result{}
	}
	if in > schedule.Interval {
		w.deadlines.Set(key, at)
	} else {
		w.deadlines.Set(key, time.Time{})
	}
	return reconcile.Result{RequeueAfter: max(in, time.Millisecond)}
}

// Forget drops an object's deadline.
func (w *Requeuer) Forget(key types.NamespacedName) { w.deadlines.Set(key, time.Time{}) }

func enqueue(queue Queue, priority int, keys ...types.NamespacedName) {
	for _, key := range keys {
		request := reconcile.Request{NamespacedName: key}
		if ordered, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			ordered.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(priority)}, request)
		} else {
			queue.Add(request)
		}
	}
}

// KeysOf are the names of objects.
func KeysOf[T client.Object](objects []T) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, o := range objects {
		keys = append(keys, client.ObjectKeyFromObject(o))
	}
	return keys
}

// Own wakes an object by its own events.
func Own() handler.EventHandler {
	return mapped(priorityNew, func(_ context.Context, o client.Object) []types.NamespacedName {
		return []types.NamespacedName{client.ObjectKeyFromObject(o)}
	})
}

// Related wakes the objects that an event's object matters to, before others:
// they are in the middle of something.
func Related(keys func(context.Context, client.Object) []types.NamespacedName) handler.Funcs {
	return mapped(priorityOngoing, keys)
}

// SinceStart leaves out the objects that are there when the controller starts. It looks at
// all of its own then anyway, with full caches, and 20,000 Secrets of others are asked about
// for nothing.
func SinceStart(h handler.Funcs) handler.Funcs {
	all := h.CreateFunc
	h.CreateFunc = func(ctx context.Context, e event.CreateEvent, queue Queue) {
		if !e.IsInInitialList {
			all(ctx, e, queue)
		}
	}
	return h
}

func mapped(priority int, keys func(context.Context, client.Object) []types.NamespacedName) handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue Queue) {
			p := priority
			if e.IsInInitialList {
				p = priorityStart
			}
			enqueue(queue, p, keys(ctx, e.Object)...)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue Queue) {
			if e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() {
				return
			}
			enqueue(queue, priority, keys(ctx, e.ObjectNew)...)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue Queue) {
			enqueue(queue, priority, keys(ctx, e.Object)...)
		},
		GenericFunc: func(ctx context.Context, e event.GenericEvent, queue Queue) {
			enqueue(queue, priority, keys(ctx, e.Object)...)
		},
	}
}

// Backoff is the wait between tries of a step that fails for now.
func Backoff(shortest, longest time.Duration) workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](shortest, longest)
}
