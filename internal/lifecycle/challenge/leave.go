package challenge

import (
	"strings"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// abandonCleanUp is how long a deleted Challenge is kept for its clean-up;
	// after that its namespace matters more than its record.
	abandonCleanUp = 10 * time.Minute
	// abandonAttempt is the same for a record that the server refused to write:
	// where it could not be written, it cannot be removed either.
	abandonAttempt = 30 * time.Second
	// lingering is how long a valid Challenge keeps its record while its Order
	// is busy with other names. Usually the Order ends first and deletes it,
	// which saves a write.
	lingering = 30 * time.Second
	// sharedRecheck is when a Challenge looks again whether another one still needs
	// its value.
	sharedRecheck = 5 * time.Second
	// lastCleanUp is how long before it lets a deleted Challenge go a clean-up no
	// longer waits for another Challenge, which would write again what it lost.
	lastCleanUp = time.Minute
)

// linger waits a little before the clean-up of a Challenge that this process
// has seen become valid.
func (s State) linger(p Plan, now time.Time) Plan {
	if p.Status.State == acmev1.Valid && s.Memory.verified() {
		if end := s.Memory.CheckedAt.Add(lingering); end.After(now) {
			p.Until = end
			return p
		}
	}
	return s.leave(p, now)
}

// leave cleans up and lets the Challenge go.
func (s State) leave(p Plan, now time.Time) Plan {
	presented, end := s.mayExist(), s.cleanUpEnd()
	switch {
	case !HasFinalizer(s.Object):
	case !s.dirty():
		p.Do = RemoveFinalizer{}
		if s.Object.Status.Presented && s.Object.DeletionTimestamp == nil {
			p.Status.Presented, p.Status.Processing = false, false
			p.Persist = plan.Before
		}
	case !s.Memory.Presented && !s.OwnSolver:
		// Only its spec says what to remove, and with which credentials.
		p.Do = RemoveFinalizer{Abandoned: true}
	case !end.IsZero() && !end.After(now):
		p.Do = RemoveFinalizer{Abandoned: presented, Untried: !presented && (s.limited(now) || s.Memory.CleanUps == 0)}
	case s.SharedElsewhere && (end.IsZero() || end.Add(-lastCleanUp).After(now)):
		return s.awaitOther(p, end, now)
	case s.limited(now):
		return s.awaitProvider(p, "remove the record", end, now)
	default:
		// The record must not wait longer than the Challenge for a place at its server.
		p.Do, p.Until = CleanUp{}, end
	}
	return p
}

// awaitOther waits for another challenge that has written the same value with another
// solver, maybe to the same server. It removes what its solver has written, not what
// this one's has.
func (s State) awaitOther(p Plan, end, now time.Time) Plan {
	until := now.Add(sharedRecheck)
	if !end.IsZero() {
		until = plan.Earliest(until, end.Add(-lastCleanUp))
	}
	if order.Final(p.Status.State) {
		// The reason says why it has ended, which the Order takes from there.
		p.Until = until
		return p
	}
	return s.wait(p, "Waiting to remove the record until another challenge with the same value has ended", until, now)
}

// dirty reports whether there may be something to remove.
func (s State) dirty() bool {
	return (s.Object.Status.Presented || s.Memory.Presented || s.uncertain()) && !s.Memory.CleanedUp && !s.Shared
}

// uncertain reports whether an earlier process may have presented the challenge
// and ended before the status said so. One clean-up is tried for it.
func (s State) uncertain() bool {
	return !s.Memory.Began && !s.Memory.Presented && s.Object.Status.PresentedAt == nil &&
		s.OwnSolver && s.Memory.CleanUps == 0
}

// mayExist reports whether the challenge was presented, or whether that is not
// known.
func (s State) mayExist() bool { return s.Object.Status.Presented || s.Memory.Unknown }

// Obstacle says why the record of a Challenge that is let go has not been removed, empty
// if there was no time for a try.
func (s State) Obstacle(now time.Time) string {
	switch reason := s.Object.Status.Reason; {
	case !s.Memory.Presented && !s.OwnSolver:
		return "the issuer is gone, or no longer has the solver"
	case s.limited(now):
		return s.limit()
	case strings.HasPrefix(reason, cleanUpFailed):
		return reason
	default:
		// Why the Challenge has ended is no reason.
		return ""
	}
}

// cleanUpEnd is when the clean-up of a deleted Challenge is given up, zero if
// it is not being deleted.
func (s State) cleanUpEnd() time.Time {
	deleted := s.Object.DeletionTimestamp
	switch {
	case deleted == nil:
		return time.Time{}
	case s.mayExist():
		return deleted.Add(abandonCleanUp)
	default:
		return deleted.Add(abandonAttempt)
	}
}
