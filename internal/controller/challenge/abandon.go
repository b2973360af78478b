package challenge

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

// EventRecordAbandoned is the reason of the Warning that a Challenge was let go although
// its record could not be removed.
const EventRecordAbandoned = "RecordAbandoned"

func (w *work) removeFinalizer(ctx context.Context, a core.RemoveFinalizer) error {
	object, why := w.State.Object, w.Obstacle(w.c.Clock.Now())
	if err := w.setFinalizers(ctx, core.WithoutFinalizers(object.Finalizers)); err != nil {
		return err
	}
	w.memory.released = true
	if !a.Abandoned && !a.Untried {
		return nil
	}
	l := w.leftover(a.Abandoned)
	if a.Abandoned {
		w.abandon(ctx, object, why, l)
	}
	if l != nil {
		w.c.sweep(l)
	}
	return nil
}

// leftover takes what the Challenge may leave behind, nil if there is nothing to remove it
// with. One that an earlier process has presented has a Session only if this one has
// tried to remove it.
func (w *work) leftover(abandoned bool) *leftover {
	m := w.memory
	if m.session == nil && w.OwnSolver {
		if _, err := w.session(); err != nil {
			return nil
		}
	}
	if m.session == nil {
		return nil
	}
	l := &leftover{session: m.session, begun: m.begun, issuer: m.issuer, abandoned: abandoned}
	// From now on it belongs to the sweep, while events can still load the Challenge.
	solver.ObserverOf(m.session).Forget()
	m.session = nil
	return l
}

// abandon reports that the record of a Challenge is left behind, and why, unless that is
// not known. If l is nil, nobody tries again. The Challenge is soon gone, and with it its
// events, so that its issuer gets the event as well.
func (w *work) abandon(ctx context.Context, object *acmev1.Challenge, why string, l *leftover) {
	name, again := object.Spec.DNSName, "; remove it yourself: everleaf has no credentials to try again"
	if l != nil {
		name = l.session.String()
		again = fmt.Sprintf("; everleaf tries again for %s", plan.InWords(leftoverAge))
		// Of HTTP-01, the value is a key authorization, and only its digest is public.
		if object.Spec.Type == acmev1.ACMEChallengeTypeDNS01 {
			name += fmt.Sprintf(" with the value %q", object.Spec.Key)
		}
	}
	what := "record"
	if object.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		what = "route"
	}
	message := fmt.Sprintf("The %s at %s, of the deleted Challenge %s/%s, could not be removed and is left behind", what, name, object.Namespace, object.Name)
	if why != "" {
		message += ": " + why
	}
	event := plan.Event{Warning: true, Reason: EventRecordAbandoned, Component: core.Manager, Message: message + again}
	w.c.API.Send(object, event)
	if w.issuer != nil && l != nil {
		w.c.API.Send(w.issuer, event)
	}
	logr.FromContextOrDiscard(ctx).Info("The record of a deleted Challenge could not be removed and is left behind",
		"dnsName", object.Spec.DNSName, "name", name, "because", why)
	w.c.Abandoned()
}
