package challenge

import (
	"context"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
)

const (
	// causeAfter is how long after it was presented a challenge is not found before all
	// name servers are asked why, causeKept how long the answer holds.
	causeAfter = time.Minute
	causeKept  = 10 * time.Minute
)

// lookForCause asks all name servers, in the background, why a record is not found, so
// that the status can say it. The probe asks only those that decide. That of an http-01
// challenge asks everybody.
func (w *work) lookForCause() {
	now, presented := w.c.Clock.Now(), w.State.Object.Status.PresentedAt
	if w.State.Object.Spec.Type != acmev1.ACMEChallengeTypeDNS01 || presented == nil || now.Sub(presented.Time) < causeAfter || now.Sub(w.memory.lookedAt) < causeKept || w.Memory.Progress(now).Visible {
		return
	}
	answer, witness := w.witness("")
	if witness == nil {
		return
	}
	select {
	case w.c.witnesses.views <- struct{}{}:
	default:
		// Others look now; the next probe tries again.
		return
	}
	w.memory.lookedAt = now
	memory, object, key := w.memory, w.State.Object.DeepCopy(), w.subject.NamespacedName
	w.c.witnesses.group.Go(func() {
		defer func() { <-w.c.witnesses.views }()
		defer w.c.survive(key)
		ctx, cancel := context.WithTimeout(context.Background(), viewTime)
		defer cancel()
		if view := witness.View(ctx).DNS; view != nil {
			cause := diagnosis.Cause(object, answer.Provider, *view)
			memory.cause.Store(&cause)
		}
		w.c.Requeue.Wake(key)
	})
}
