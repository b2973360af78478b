// Package schedule keeps deadlines by the wall clock. Timers count the time
// that a process runs, so they are late on a machine that was suspended or
// whose clock was set. Deadlines minutes to months away are therefore compared
// with the wall clock every Interval.
//
// Short waits use timers.
package schedule

import (
	"container/heap"
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
	items map[K]*item[K]
	queue queue[K]
}

type item[K comparable] struct {
	key   K
	at    time.Time
	index int
}

// New returns Deadlines that call due. due must not block.
func New[K comparable](c clock.WithTicker, due func(K)) *Deadlines[K] {
	return &Deadlines[K]{clock: c, due: due, items: map[K]*item[K]{}}
}

// Set sets the deadline of a key and replaces the previous one. The zero time
// removes it.
func (d *Deadlines[K]) Set(key K, at time.Time) {
	// Without its monotonic reading, a time is compared by the wall clock.
	at = at.Round(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	old, ok := d.items[key]
	switch {
	case at.IsZero() && ok:
		heap.Remove(&d.queue, old.index)
		delete(d.items, key)
	case at.IsZero():
	case ok:
		old.at = at
		heap.Fix(&d.queue, old.index)
	default:
		added := &item[K]{key: key, at: at}
		d.items[key] = added
		heap.Push(&d.queue, added)
	}
}

// Len returns the number of deadlines.
func (d *Deadlines[K]) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
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

func (d *Deadlines[K]) pop(now time.Time) []K {
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []K
	for len(d.queue) > 0 && !d.queue[0].at.After(now) {
		next := heap.Pop(&d.queue).(*item[K])
		delete(d.items, next.key)
		keys = append(keys, next.key)
	}
	return keys
}

// queue is a heap with the earliest deadline first.
type queue[K comparable] []*item[K]

func (q queue[K]) Len() int           { return len(q) }
func (q queue[K]) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q queue[K]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue[K]) Push(x any) {
	added := x.(*item[K])
	added.index = len(*q)
	*q = append(*q, added)
}

func (q *queue[K]) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
