package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type nameKey struct{}

// named has everything that a reconciler does know the name of its controller.
func named(name string, r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		return r.Reconcile(withName(ctx, name), req)
	})
}

// withName returns a context in which the controller of a name works.
func withName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

// NameOf returns the name of the controller that works in a context, "" if none does.
func NameOf(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}
