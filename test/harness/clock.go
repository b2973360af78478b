package harness

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// Shifted is a clock that goes as that of the machine does, but shows another time.
func Shifted(by time.Duration) clock.WithTicker {
	shifted := &Movable{}
	shifted.Move(by)
	return shifted
}

// Movable is a clock that goes as that of the machine does, and that a test moves.
type Movable struct {
	clock.RealClock
	by atomic.Int64
}

// Move has the clock show a later time. Deadlines are noticed within schedule.Interval.
func (m *Movable) Move(by time.Duration) { m.by.Add(int64(by)) }

// Now implements clock.PassiveClock.
func (m *Movable) Now() time.Time { return m.RealClock.Now().Add(time.Duration(m.by.Load())) }

// Since implements clock.PassiveClock.
func (m *Movable) Since(t time.Time) time.Duration { return m.Now().Sub(t) }
