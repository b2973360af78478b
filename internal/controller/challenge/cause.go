package challenge

import (
	"context"
	"time"

	"github.com/everleaf/everleaf/internal/diagnosis"
)

const (
	// causeAfter is how long after it was presented a challenge is not found before all
	// servers are asked why, causeKept how long the answer holds.
	causeAfter = time.Minute
	causeKept  = 10 * time.Minute
)

// lookForCause asks all servers, in the background, why a record is not found, so that
// the status can say it. The probe asks only those that decide.
func (w *work) lookForCause() {
	now, presented := w.c.Clock.Now(), w.State.Object.Status.PresentedAt
	if presented == nil || now.Sub(presented.Time) < causeAfter || now.Sub(w.memory.lookedAt) < causeKept || w.Memory.Progress(now).Visible {
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
		cause := diagnosis.Cause(object, answer.Provider, witness.View(ctx))
		memory.cause.Store(&cause)
		w.c.Requeue.Wake(key)
	})
}
