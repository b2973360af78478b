package controller

import (
	"context"
	"sync"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// first is what is done once, before any controller reconciles an object. The zero
// value has nothing to do.
type first struct {
	mu    sync.Mutex
	steps []func(context.Context) error
	done  atomic.Bool
}

// add adds a step of a controller. It is called before any reconcile only.
func (f *first) add(name string, step func(context.Context) error) {
	f.steps = append(f.steps, func(ctx context.Context) error { return step(withName(ctx, name)) })
}

// before returns a reconciler that does the steps before its first reconcile, or waits
// until another one has done them. A step that fails fails the reconcile, and is tried
// again with the next one.
func (f *first) before(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		if err := f.do(ctx); err != nil {
			return reconcile.Result{}, err
		}
		return r.Reconcile(ctx, req)
	})
}

func (f *first) do(ctx context.Context) error {
	if f.done.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.steps) > 0 {
		if err := f.steps[0](ctx); err != nil {
			return err
		}
		f.steps = f.steps[1:]
	}
	f.done.Store(true)
	return nil
}
