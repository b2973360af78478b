package propagation

import "time"

// Deadline says how long the check of a presented challenge decides, and what happens
// then. The zero value has no deadline: the check decides for ever.
type Deadline struct {
	// After is the time since the challenge was presented; 0 means none.
	After time.Duration
	// AskCA reports whether the CA is asked to validate then, although the check has
	// not found the challenge. Otherwise the wait goes on, and says so.
	AskCA bool
}

// Bounds of Deadline.After: a record needs a moment to become visible, and a CA keeps an
// authorization pending for a week at most.
const (
	MinDeadline = 10 * time.Second
	MaxDeadline = 7 * 24 * time.Hour
)

// At returns when the deadline of a challenge ends that was presented at a time; zero for
// none.
func (d Deadline) At(presented time.Time) time.Time {
	if d.After <= 0 || presented.IsZero() {
		return time.Time{}
	}
	return presented.Add(d.After)
}

// Passed reports whether there is a deadline, and it is over.
func (d Deadline) Passed(presented, now time.Time) bool {
	at := d.At(presented)
	return !at.IsZero() && !now.Before(at)
}
