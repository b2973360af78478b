package challenge

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// Slots bound the Challenges that are in flight (--max-concurrent-challenges).
// Those that find no slot are queued in the order in which they asked.
type Slots struct {
	mu      sync.Mutex
	max     int
	taken   map[types.NamespacedName]bool
	waiting []types.NamespacedName
}

// NewSlots returns n slots.
func NewSlots(n int) *Slots {
	return &Slots{max: n, taken: map[types.NamespacedName]bool{}}
}

// Of returns a Challenge's share.
func (s *Slots) Of(key types.NamespacedName) core.Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := slices.Index(s.waiting, key)
	switch {
	case s.taken[key]:
		return core.Held
	case place < 0:
		return core.NoSlot
	case place < s.max-len(s.taken):
		return core.Offered
	default:
		return core.Queued
	}
}

// Acquire takes a slot for a Challenge, or queues it.
func (s *Slots) Acquire(key types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] {
		return true
	}
	place := slices.Index(s.waiting, key)
	if place < 0 {
		place = len(s.waiting)
		s.waiting = append(s.waiting, key)
	}
	if place >= s.max-len(s.taken) {
		return false
	}
	s.waiting = slices.Delete(s.waiting, place, place+1)
	s.taken[key] = true
	return true
}

// Release gives a Challenge's slot, or its place in the queue, back, and
// returns those that may come next. There are none if it had neither.
func (s *Slots) Release(key types.NamespacedName) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := slices.Index(s.waiting, key)
	switch {
	case s.taken[key]:
		delete(s.taken, key)
	case place >= 0:
		s.waiting = slices.Delete(s.waiting, place, place+1)
	default:
		return nil
	}
	free := min(s.max-len(s.taken), len(s.waiting))
	return append([]types.NamespacedName(nil), s.waiting[:max(free, 0)]...)
}
