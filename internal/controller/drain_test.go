package controller

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		calls := 0
		r := Drain(reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
			calls++
			if Stopping(ctx) || ctx.Err() != nil {
				t.Error("stopped before anybody said so")
			}
			stop()
			synctest.Wait()
			if !Stopping(ctx) || ctx.Err() != nil {
				t.Errorf("after the stop: stopping %t, error %v", Stopping(ctx), ctx.Err())
			}
			began := time.Now()
			<-ctx.Done()
			if took := time.Since(began); took != 3*time.Second {
				t.Errorf("the step was ended after %s, want 3s", took)
			}
			return reconcile.Result{}, ctx.Err()
		}), 3*time.Second)
		if _, err := r.Reconcile(ctx, reconcile.Request{}); err == nil {
			t.Error("no error from a step that was ended")
		}
		if _, err := r.Reconcile(ctx, reconcile.Request{}); err != nil || calls != 1 {
			t.Errorf("after the stop: error %v, %d calls", err, calls)
		}
	})
}

func TestStoppingOutsideDrain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if Stopping(ctx) {
		t.Error("a context of no reconciler is stopping")
	}
}
