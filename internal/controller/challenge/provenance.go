package challenge

import (
	"context"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// ancestors read what a Challenge comes from.
type ancestors struct {
	order  controller.Getter[*acmev1.Order]
	askers controller.Askers
}

// loadProvenance checks that an Order, which an approved request calls for,
// calls for exactly this Challenge. What the caches do not show, because they
// are behind or because it has ended, is looked up live.
func (w *work) loadProvenance(ctx context.Context) error {
	for _, from := range []ancestors{
		{controller.Cached(w.c.Orders.Get), controller.CachedAskers(w.c.Requests, w.c.Signing)},
		{controller.Live[acmev1.Order](w.c.API), controller.LiveAskers(w.c.API, w.c.Signing)},
	} {
		o, err := controller.Controlling(ctx, w.State.Object, acmev1.OrderKind, from.order)
		if err != nil {
			return err
		}
		w.order, w.Orphan = o, o == nil
		if o != nil && o.Status.FailureTime != nil {
			w.OrderEnded = o.Status.FailureTime.Time
		}
		if w.Untrusted, err = w.distrust(ctx, o, from); err != nil || w.Untrusted == "" {
			return err
		}
	}
	return nil
}

// distrust returns why the Challenge must not be worked on, or "".
func (w *work) distrust(ctx context.Context, o *acmev1.Order, from ancestors) (string, error) {
	if o != nil && w.Account != nil {
		request, err := from.askers.Of(ctx, o)
		if err != nil {
			return "", err
		}
		if why := order.Provenance(o, request, w.c.Limits); why != "" {
			return why, nil
		}
	}
	return order.ChallengeProvenance(w.State.Object, o, w.Account), nil
}
