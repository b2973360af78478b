package challenge

import (
	"context"
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clockMargin is by how much the API server's clock may differ. A Challenge that was
// created less than that after the start can be one that an earlier leader has
// presented, and that this process's cache showed late.
const clockMargin = time.Minute

// recall remembers the validations that earlier processes saw: what is in the caches of
// the CA's resolvers decides when the CA may be asked. It is done before any controller
// works on anything: the first step of a new issuance deletes what is left of the
// failed one. One that cannot be looked at holds nobody up.
func (c *Controller) recall(ctx context.Context) error {
	list := &acmev1.ChallengeList{}
	if err := c.Cache.List(ctx, list); err != nil {
		return fmt.Errorf("list the Challenges: %w", err)
	}
	for i := range list.Items {
		if err := c.recallOne(ctx, &list.Items[i]); err != nil {
			if ctx.Err() != nil {
				return err
			}
			logr.FromContextOrDiscard(ctx).Info("Cannot see yet what an earlier process knew of a Challenge",
				"challenge", client.ObjectKeyFromObject(&list.Items[i]), "error", err.Error())
		}
	}
	c.recalled = c.Clock.Now()
	return nil
}

func (c *Controller) recallOne(ctx context.Context, object *acmev1.Challenge) error {
	if !order.Final(object.Status.State) {
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
