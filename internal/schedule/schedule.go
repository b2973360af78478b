// Package schedule keeps deadlines by the wall clock. Timers count the time
// that a process runs, so they are late on a machine that was suspended or
// whose clock was set. Deadlines minutes to months away are therefore compared
// with the wall clock every Interval.
//
// Short waits use timers.
package schedule

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Interval is the time between two comparisons of the deadlines with the clock.
const Interval = 30 * time.Second

// Deadlines calls a function for each key at the key's deadline, at most
// Interval late. It is safe for concurrent use.
type Deadlines[K comparable] struct {
	clock clock.WithTicker
	due   func(K)
	mu    sync.Mutex
	// at has the deadlines. Going through 100,000 of them every Interval costs a
	// few milliseconds, which is less than to keep them sorted.
	at map[K]time.Time
}

// New returns Deadlines that call due. due must not block.
func New[K comparable](c clock.WithTicker, due func(K)) *Deadlines[K] {
	return &Deadlines[K]{clock: c, due: due, at: map[K]time.Time{}}
}

// Set sets the deadline of a key and replaces the previous one. The zero time
// removes it.
func (d *Deadlines[K]) Set(key K, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at.IsZero() {
		delete(d.at, key)
		return
	}
	// Without its monotonic reading, a time is compared by the wall clock.
	d.at[key] = at.Round(0)
}

// Len returns the number of deadlines.
func (d *Deadlines[K]) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.at)
}

// Start checks the deadlines until ctx ends.
func (d *Deadlines[K]) Start(ctx context.Context) error {
	ticker := d.clock.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			for _, key := range d.pop(d.clock.Now().Round(0)) {
				d.due(key)
			}
		}
	}
}

// pop removes and returns the keys whose deadline has come, in no order.
func (d *Deadlines[K]) pop(now time.Time) []K {
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []K
	for key, at := range d.at {
		if !at.After(now) {
			delete(d.at, key)
			keys = append(keys, key)
		}
	}
	return keys
}
