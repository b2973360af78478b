package operator

import (
	"time"

	"github.com/everleaf/everleaf/internal/controller"
)

const (
	// minMargin is the least time between the end of a leader's attempts to renew
	// its lease and the time when another process may take it.
	minMargin = 2 * time.Second
	// cancelTime is how long steps that are cancelled may take to return.
	cancelTime = time.Second
)

// margin is the time that a process has after it lost its lease and before another
// process may have it.
func (l LeaderElection) margin() time.Duration { return l.LeaseDuration - l.RenewDeadline }

// drainTime is how long steps that have begun may go on when the process stops:
// the next leader must not work beside them.
func (l LeaderElection) drainTime() time.Duration {
	if !l.Enabled {
		return controller.DrainTime
	}
	return min(controller.DrainTime, l.margin()-cancelTime)
}

// graceTime is how long the workers are waited for when the process stops: until
// their steps have been canceled and have returned, which takes a busy machine more
// than cancelTime, but not until another process may have the lease.
func (l LeaderElection) graceTime() time.Duration {
	const busy = 5 * time.Second
	if !l.Enabled {
		return l.drainTime() + busy
	}
	return min(l.drainTime()+busy, max(l.margin(), l.drainTime()+cancelTime))
}
