package challenge

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// recall remembers what earlier processes have left, before the first Challenge is
// worked on: the validations, because what is in the caches of the CA's resolvers
// decides when the CA may be asked, and a Challenge that has ended can be deleted
// before its turn comes; and which Challenges they may have presented.
func (c *Controller) recall(ctx context.Context) error {
	if c.inherited.Load() != nil {
		return nil
	}
	c.recalling.Lock()
	defer c.recalling.Unlock()
	if c.inherited.Load() != nil {
		return nil
	}
	list := &acmev1.ChallengeList{}
	if err := c.Cache.List(ctx, list); err != nil {
		return fmt.Errorf("list the Challenges: %w", err)
	}
	inherited := make(map[types.UID]bool, len(list.Items))
	for i := range list.Items {
		inherited[list.Items[i].UID] = true
		if !order.Final(list.Items[i].Status.State) {
			continue
		}
		w, err := c.load(ctx, &list.Items[i])
		if err != nil {
			return err
		}
		if remember := w.Recall(c.Clock.Now()); remember != nil {
			if err := w.Do(ctx, remember); err != nil {
				return err
			}
		}
	}
	c.inherited.Store(&inherited)
	return nil
}
