package challenge

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
)

// EventRecordAbandoned is the reason of the Warning that a Challenge was let go although
// its record could not be removed.
const EventRecordAbandoned = "RecordAbandoned"

func (w *work) removeFinalizer(ctx context.Context, abandoned bool) error {
	object := w.State.Object
	if err := w.setFinalizers(ctx, core.WithoutFinalizers(object.Finalizers)); err != nil {
		return err
	}
	m := w.memory
	m.released = true
	switch {
	case abandoned:
		w.abandon(ctx, object)
	case w.ProviderNotBefore.After(w.c.Clock.Now()) && m.session != nil && m.session.Presented() && !w.Memory.CleanedUp:
		// The provider's limit has left no time for a try.
		w.c.sweep(&leftover{session: m.session, begun: m.begun, issuer: m.issuer})
	}
	return nil
}

// abandon reports that the record of a Challenge is left behind, and has it tried again
// later. The Challenge is soon gone, and with it its events, so that its issuer gets the
// event as well.
func (w *work) abandon(ctx context.Context, object *acmev1.Challenge) {
	m, name := w.memory, object.Spec.DNSName
	again := "; remove it yourself: everleaf has no credentials to try again"
	if m.session != nil {
		name = fmt.Sprintf("%s with the value %q", m.session, object.Spec.Key)
		again = fmt.Sprintf("; everleaf tries again for %s", plan.InWords(leftoverAge))
	}
	message := fmt.Sprintf("The record at %s, of the deleted Challenge %s/%s, could not be removed and is left behind", name, object.Namespace, object.Name)
	if object.Status.Reason != "" {
		message += ": " + object.Status.Reason
	}
	event := plan.Event{Warning: true, Reason: EventRecordAbandoned, Component: core.Manager, Message: message + again}
	w.c.API.Send(object, event)
	if w.issuer != nil && m.session != nil {
		w.c.API.Send(w.issuer, event)
	}
	logr.FromContextOrDiscard(ctx).Info("The record of a deleted Challenge could not be removed and is left behind",
		"dnsName", object.Spec.DNSName, "name", name)
	w.c.Abandoned()
	if m.session != nil {
		w.c.sweep(&leftover{session: m.session, begun: m.begun, issuer: m.issuer, abandoned: true})
	}
}
