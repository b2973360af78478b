package challenge

import (
	"context"
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clockMargin is by how much the API server's clock may differ. A Challenge that was
// created less than that after the start can be one that an earlier leader has
// presented, and that this process's cache showed late.
const clockMargin = time.Minute

const (
	// recalledFor is how long ago a challenge can have been presented whose validation is
	// remembered. Resolvers keep answers for minutes, but a challenge can have waited for
	// hours before it was validated. Each look-up of an Order that has ended is a call.
	recalledFor = 24 * time.Hour
	// recalledAtOnce bounds the calls at one time.
	recalledAtOnce = 16
)

// recall remembers the validations that earlier processes saw: what is in the caches of
// the CA's resolvers decides when the CA may be asked. It is done before any controller
// works on anything: the first step of a new issuance deletes what is left of the
// failed one. One that cannot be looked at holds nobody up.
func (c *Controller) recall(ctx context.Context) error {
	list := &acmev1.ChallengeList{}
	if err := c.Cache.List(ctx, list); err != nil {
		return fmt.Errorf("list the Challenges: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(recalledAtOnce)
	for i := range list.Items {
		group.Go(func() error {
			err := c.recallOne(ctx, &list.Items[i])
			if err != nil && ctx.Err() == nil {
				logr.FromContextOrDiscard(ctx).Info("Cannot see yet what an earlier process knew of a Challenge",
					"challenge", client.ObjectKeyFromObject(&list.Items[i]), "error", err.Error())
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.recalled = c.Clock.Now()
	return nil
}

func (c *Controller) recallOne(ctx context.Context, object *acmev1.Challenge) error {
	at := object.Status.PresentedAt
	if !order.Final(object.Status.State) || at == nil || c.Clock.Since(at.Time) > recalledFor {
		return nil
	}
	w, err := c.load(ctx, object)
	if err != nil {
		return err
	}
	if remember := w.Recall(c.Clock.Now()); remember != nil {
		return w.Do(ctx, remember)
	}
	return nil
}
