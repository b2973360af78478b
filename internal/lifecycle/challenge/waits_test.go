package challenge

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// variant is one value of one thing that decides.
type variant struct {
	name string
	set  func(*State)
}

// variants are the things that decide whether a Challenge waits.
func variants() [][]variant {
	plain := variant{"", func(*State) {}}
	memory := func(name string, set func(*Memory)) variant {
		return variant{name, func(c *State) { set(&c.Memory) }}
	}
	lookup := propagation.Lookup{Started: now.Add(-time.Hour), Ended: now.Add(-time.Second), Failed: true}
	return [][]variant{
		{plain, {"unpresented", func(c *State) { c.Object.Status = acmev1.ChallengeStatus{} }}},
		{plain, {"no slot", noSlot}, {"queued", func(c *State) { c.Slot = Queued }}, {"offered", func(c *State) { c.Slot = Offered }}},
		{plain, {"no account", func(c *State) { c.Account = nil }}},
		{plain, {"forged", func(c *State) { c.Untrusted = "no" }}, {"orphan", func(c *State) { c.Untrusted, c.Orphan = "no", true }}},
		{plain, {"failures", func(c *State) { c.FailuresEnd = now.Add(hour) }}},
		{plain, memory("left alone", func(m *Memory) { m.NotBefore = now.Add(hour) })},
		{plain, {"provider limits calls", func(c *State) { c.ProviderNotBefore, c.ProbePolls = now.Add(hour), true }}},
		{plain, {"sibling", func(c *State) { c.Siblings = []Progress{{}} }}},
		{plain, {"deadline", func(c *State) { c.SelfCheck = propagation.Deadline{After: 2 * time.Minute, AskCA: true} }}},
		{plain, {"waits instead", func(c *State) { c.Object.Spec.Solver.WaitInsteadOfSelfCheck = &metav1.Duration{Duration: 2 * hour} }}},
		{
			plain, memory("restarted", func(m *Memory) { *m = Memory{} }), memory("unanswered", func(m *Memory) { m.Unanswered = true }),
			{"missing", probed(false, 0, 9)},
			{"missing for long", probed(false, 0, 9, func(e *propagation.LedgerEntry) { e.AbsentSince = now.Add(-30 * time.Second) })},
			{"visible", probed(true, 0, 1)},
			{"cached", probed(true, 0, 1, func(e *propagation.LedgerEntry) { e.Lookups = []propagation.Lookup{lookup}; e.KeepsLonger = true })},
			{"assumed", func(c *State) {
				c.Memory.Evidence = propagation.Assumption{Entry: propagation.LedgerEntry{Lookups: []propagation.Lookup{lookup}, VisibleSince: now}}
			}},
			{"accepted", beingValidated(0, 0, 0, "")},
			{"pending", beingValidated(9*time.Second, 0, 9, acme.StatusPending)},
			{"slow", beingValidated(time.Minute, 0, 9, acme.StatusPending)},
			{"very slow", beingValidated(hour, 0, 9, acme.StatusPending)},
			{"processing", func(c *State) {
				beingValidated(hour, 0, 9, acme.StatusPending)(c)
				c.Memory.Authorization.Challenges = []acme.Challenge{{URL: c.Object.Spec.URL, Status: acme.StatusProcessing}}
			}},
			{"valid", beingValidated(0, 0, 1, acme.StatusValid)},
			{"invalid", beingValidated(0, 0, 1, acme.StatusInvalid)},
		},
	}
}

// TestEveryWaitHasAReason goes through all combinations of what decides, and
// carries out what changes only the memory. Whatever waits for longer than a
// moment says why, and has no slot.
func TestEveryWaitHasAReason(t *testing.T) {
	waited := 0
	each(variants(), nil, func(chosen []variant) {
		c, name := presented(), ""
		for _, v := range chosen {
			v.set(&c)
			name += v.name + ", "
		}
		at := now
		for range 12 {
			p := c.Next(at)
			if why := wrongWait(c, p, at); why != "" {
				t.Fatalf("%s: %s: %+v", name, why, p)
			}
			switch a := p.Do.(type) {
			case nil:
				waited++
				c.Object.Status = p.Status
				if p.Until.IsZero() || p.Until.Sub(at) > moment {
					return
				}
				at = p.Until
			case NoteWait:
				c.Memory.Waiting, c.Memory.WaitingSince = a.Reason, at
			case ReleaseSlot:
				c.Slot = NoSlot
			default:
				return
			}
		}
		if p := c.Next(at); p.Do == nil && !order.Final(p.Status.State) && p.Status.Reason == "" {
			t.Errorf("%s: waits in small steps and never says why", name)
		}
	})
	if waited < 1000 {
		t.Errorf("only %d plans waited", waited)
	}
}

// wrongWait says what is wrong with a plan that waits for longer than a moment,
// or returns "".
func wrongWait(c State, p Plan, at time.Time) string {
	long := p.Until.IsZero() || p.Until.Sub(at) > moment
	switch {
	case p.Do != nil || p.Persist != plan.AtEnd || !long || order.Final(p.Status.State):
		return ""
	case c.Memory.verified() && p.Until.Sub(at) <= untold:
		return ""
	case p.Status.Reason == "" && c.Slot == Queued && p.Until.Sub(at) <= queuePatience:
		return ""
	case p.Status.Reason == "" && c.limited(at) && p.Until.Sub(at) <= limitPatience:
		return ""
	case p.Status.Reason == "":
		return "waits without a reason"
	case c.Slot == Held:
		return "waits with a slot"
	case p.Until.IsZero() && c.Account != nil && c.Slot != Queued:
		return fmt.Sprintf("waits without an end (%s)", p.Status.Reason)
	default:
		return ""
	}
}

// each calls f with every choice of one variant of each group.
func each(groups [][]variant, chosen []variant, f func([]variant)) {
	if len(groups) == 0 {
		f(chosen)
		return
	}
	for _, v := range groups[0] {
		each(groups[1:], append(chosen[:len(chosen):len(chosen)], v), f)
	}
}
