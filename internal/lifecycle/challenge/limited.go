package challenge

import (
	"fmt"
	"time"

	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

// limitPatience is how long a limit of the DNS provider may last without a reason in the
// status: it concerns all challenges of a credential, and some providers limit calls for
// a few seconds only.
const limitPatience = 10 * time.Second

// limited reports whether the DNS provider is left alone.
func (s State) limited(now time.Time) bool { return s.ProviderNotBefore.After(now) }

// awaitProvider waits until the DNS provider takes calls again, and not longer than until
// end, zero for any time.
func (s State) awaitProvider(p Plan, doing string, end, now time.Time) Plan {
	until := plan.Earliest(s.ProviderNotBefore, end)
	if order.Final(p.Status.State) {
		// The reason says why it has ended, which the Order takes from there.
		p.Until = until
		return p
	}
	// Equal for all that wait, and until the end: each text is a write.
	return s.waitQuietly(p, fmt.Sprintf("Waiting to %s: %s", doing, s.limit()), limitPatience, until, now)
}

// limit says until when the DNS provider is left alone.
func (s State) limit() string {
	return "the DNS provider limits calls until " + s.ProviderNotBefore.UTC().Format(time.RFC3339)
}

// probe looks for the record. If that asks the provider as well, it waits for it.
func (s State) probe(p Plan, now time.Time) Plan {
	if s.ProbePolls && s.limited(now) {
		return s.awaitProvider(p, "check the record", s.nextDeadline(now), now)
	}
	p.Do = Probe{}
	return p
}
