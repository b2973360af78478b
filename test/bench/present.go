package main

import (
	"context"
	"fmt"
	"slices"
)

// presentBatches is how many batches are issued. The one with the median use of CPU
// counts: what a batch costs varies with what else the machine does.
const presentBatches = 3

// present measures the issuance of certificates among those that are held.
func (h *holding) present(ctx context.Context, c *controllers) (*result, error) {
	var batches []*result
	for i := range presentBatches {
		h.prefix = fmt.Sprintf("among%d-%d-", h.held, i)
		r, err := h.measure(ctx, c, h.settings.present)
		if err != nil {
			return nil, err
		}
		batches = append(batches, r)
	}
	slices.SortFunc(batches, func(a, b *result) int { return int(a.cpu["controllers"] - b.cpu["controllers"]) })
	r := batches[presentBatches/2]
	r.name = presentName(h.held)
	return r, nil
}

func presentName(held int) string { return fmt.Sprintf("%s-%d", namePresent, held) }
