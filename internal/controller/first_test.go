package controller

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciles of all controllers begin after every step has succeeded once, each in the
// name of the controller that it belongs to.
func TestFirst(t *testing.T) {
	var f first
	var did []string
	failure := errors.New("the cache is not there")
	f.add("issuers", func(ctx context.Context) error { did = append(did, NameOf(ctx)+" one"); return nil })
	f.add("challenges", func(ctx context.Context) error {
		did = append(did, NameOf(ctx)+" two")
		err := failure
		failure = nil
		return err
	})
	var reconciled sync.WaitGroup
	r := named("orders", f.before(reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) {
		reconciled.Done()
		return reconcile.Result{}, nil
	})))
	if _, err := r.Reconcile(t.Context(), reconcile.Request{}); err == nil || err.Error() != "the cache is not there" {
		t.Errorf("a step that fails: %v", err)
	}
	reconciled.Add(2)
	for range 2 {
		go func() {
			if _, err := r.Reconcile(t.Context(), reconcile.Request{}); err != nil {
				t.Error(err)
			}
		}()
	}
	reconciled.Wait()
	if want := []string{"issuers one", "challenges two", "challenges two"}; !slices.Equal(did, want) {
		t.Errorf("steps %v, want %v", did, want)
	}
}
