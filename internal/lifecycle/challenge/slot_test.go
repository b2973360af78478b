package challenge

import (
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestSlotEndsWithAccepting holds that a Challenge has its slot from presenting to
// accepting, and needs none to follow the validation.
func TestSlotEndsWithAccepting(t *testing.T) {
	for name, test := range map[string]struct {
		change        func(*State)
		with, without plan.Action
	}{
		"before":               {probed(true, 0, 1), Accept{}, TakeSlot{}},
		"asked":                {beingValidated(time.Second, 0, 0, ""), ReleaseSlot{}, FetchAuthorization{}},
		"pending for long":     {beingValidated(2*time.Minute, 0, 9, acme.StatusPending), Accept{}, TakeSlot{}},
		"being validated":      {beingValidated(time.Second, time.Second, 9, acme.StatusPending), ReleaseSlot{}, nil},
		"by another process":   {func(c *State) { c.Memory = Memory{} }, ReleaseSlot{}, FetchAuthorization{}},
		"the server has ended": {beingValidated(time.Second, 0, 1, acme.StatusValid), ReleaseSlot{}, nil},
	} {
		c := presented()
		test.change(&c)
		for slot, want := range map[Slot]plan.Action{Held: test.with, NoSlot: test.without} {
			c.Slot = slot
			if got := c.Next(now).Do; fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
				t.Errorf("%s, with slot %q: %T, want %T", name, slot, got, want)
			}
		}
	}
}
