package challenge

import (
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
	for i, k := range s.waiting {
		if k == key {
			if len(s.taken) < s.max && i < s.max-len(s.taken) {
				s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
				s.taken[key] = true
				return true
			}
			return false
		}
	}
	if len(s.taken)+len(s.waiting) < s.max {
		s.taken[key] = true
		return true
	}
	s.waiting = append(s.waiting, key)
	return false
}

// Release gives a Challenge's slot, or its place in the queue, back, and
// returns those that may come next.
func (s *Slots) Release(key types.NamespacedName) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, key)
	for i, k := range s.waiting {
		if k == key {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			break
		}
	}
	free := min(s.max-len(s.taken), len(s.waiting))
	return append([]types.NamespacedName(nil), s.waiting[:max(free, 0)]...)
}
