package certificate

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	defer w.recall()
	switch a := action.(type) {
	case core.GenerateKey:
		return w.generateKey(ctx, a)
	case core.ReuseKey:
		return w.reuseKey(ctx, a)
	case core.StoreKey:
		return w.storeKey(ctx)
	case core.DeleteKeys:
		return w.deleteKeys(ctx, a.Keys)
	case core.CreateRequest:
		return w.createRequest(ctx, a)
	case core.DeleteRequests:
		if w.memory != nil || a.FailedAttempts > 0 {
			w.note().failedAttempts = a.FailedAttempts
		}
		return w.deleteRequests(ctx, a.Requests)
	case core.DeleteRevisions:
		return w.deleteRequests(ctx, a.Requests)
	case core.StoreSecret:
		return w.storeSecret(ctx, a)
	case core.StoreTemporary:
		return w.storeTemporary(ctx, a)
	case core.CheckKeystores:
		return w.checkKeystores(ctx)
	case core.RepairSecret:
		return w.repair(ctx, a)
	case core.Announce:
		w.note().begunAt = time.Time{}
	case core.Forget:
		w.Controller.memory.Drop(w.subject.NamespacedName).abandon()
		w.memory = nil
	default:
		return fmt.Errorf("a Certificate has no action %T", action)
	}
	return nil
}

// generateKey makes a key. An RSA key takes a core a tenth of a second or more,
// so it is made beside the workers.
func (w *work) generateKey(ctx context.Context, a core.GenerateKey) error {
	w.begun(a.Begins)
	if w.State.Secret == nil {
		// The plan had it confirmed.
		w.note().absentAt = w.Clock.Now()
	}
	if a.Spec.Algorithm == pki.RSA {
		// A stop of the process need not wait for a key, nor does the reconcile.
		aside, cancel := context.WithCancel(context.WithoutCancel(ctx))
		j := &job{spec: a.Spec, since: w.Clock.Now(), cancel: cancel}
		w.note().begin(j)
		go w.generateAside(aside, w.note(), j)
		return nil
	}
	key, err := w.Controller.Keys.Generate(ctx, w.subject.Namespace, a.Spec)
	if err != nil {
		return err
	}
	w.note().hold(key, w.Clock.Now())
	return nil
}

// generateAside makes a key and wakes the Certificate, unless the key is not
// wanted any more.
func (w *work) generateAside(ctx context.Context, m *memory, j *job) {
	defer j.cancel()
	key, err := w.Controller.Keys.Generate(ctx, w.subject.Namespace, j.spec)
	if !m.end(j, key, w.Clock.Now()) {
		return
	}
	if err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "The private key cannot be generated")
		w.driver.Requeue.WakeAt(w.subject.NamespacedName, w.Clock.Now().Add(plan.APIServer.Max))
		return
	}
	w.driver.Requeue.Wake(w.subject.NamespacedName)
}

// begun notes that this process has begun an issuance.
func (w *work) begun(begins bool) {
	if begins && w.note().begunAt.IsZero() {
		w.note().begunAt = w.Clock.Now()
	}
}
