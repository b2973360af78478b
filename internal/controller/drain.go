package controller

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type stopping struct{}

// Drain lets the steps of a reconciler go on for a time when its context ends;
// Stopping reports to the reconciler that it must begin no other step. Half-done steps
// cost more than a stop that is a little late: an order whose URL is not stored yet, a
// record that no object mentions.
func Drain(r reconcile.Reconciler, longest time.Duration) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		if ctx.Err() != nil {
			return reconcile.Result{}, nil
		}
		steps, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stopping{}, ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() { time.AfterFunc(longest, cancel) })()
		return r.Reconcile(steps, req)
	})
}

// Stopping reports whether no new step may begin.
func Stopping(ctx context.Context) bool {
	outer, ok := ctx.Value(stopping{}).(context.Context)
	return ok && outer.Err() != nil
}
