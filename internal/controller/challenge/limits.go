package challenge

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/everleaf/everleaf/internal/fault"
)

var errIssuerGone = fault.New(fault.Transient, "IssuerNotFound", "the issuer is gone, and with it the credentials to remove the record")

// maxFailures is how many validations of a name may fail at a CA within
// failureWindow before it is left alone: Let's Encrypt allows five.
const (
	maxFailures   = 4
	failureWindow = time.Hour
)

// Failures counts failed validations by CA and name. The zero value is ready.
type Failures struct {
	mu    sync.Mutex
	times map[string][]time.Time
}

// Add counts a failure.
func (f *Failures) Add(ca, name string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == nil {
		f.times = map[string][]time.Time{}
	}
	for key, times := range f.times {
		if at.Sub(times[len(times)-1]) > failureWindow {
			delete(f.times, key)
		}
	}
	key := ca + " " + strings.ToLower(name)
	times := append(f.times[key], at)
	f.times[key] = times[max(0, len(times)-maxFailures):]
}

// Until is when the name may be tried again, zero for now.
func (f *Failures) Until(ca, name string, now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := f.times[ca+" "+strings.ToLower(name)]
	if len(times) < maxFailures {
		return time.Time{}
	}
	if end := times[0].Add(failureWindow); end.After(now) {
		return end
	}
	return time.Time{}
}

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

// Acquire takes a slot for a Challenge, or queues it.
func (s *Slots) Acquire(key types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] {
		return true
	}
	if place := slices.Index(s.waiting, key); place >= 0 {
		if place >= s.max-len(s.taken) {
			return false
		}
		s.waiting = slices.Delete(s.waiting, place, place+1)
		s.taken[key] = true
		return true
	}
	if len(s.taken)+len(s.waiting) < s.max {
		s.taken[key] = true
		return true
	}
	s.waiting = append(s.waiting, key)
	return false
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
