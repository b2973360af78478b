package challenge

import (
	"strings"
	"sync"
	"time"
)

// maxFailures is how many validations of a name may fail for an account within
// failureWindow before it is left alone: Let's Encrypt allows five.
const (
	maxFailures   = 4
	failureWindow = time.Hour
)

// Failures counts failed validations by account URL and name, as CAs do: what
// another account does with a name is no reason to wait. The zero value is ready.
type Failures struct {
	mu    sync.Mutex
	times map[string][]time.Time
}

// Add counts a failure.
func (f *Failures) Add(account, name string, at time.Time) {
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
	key := account + " " + strings.ToLower(name)
	times := append(f.times[key], at)
	f.times[key] = times[max(0, len(times)-maxFailures):]
}

// Until is when the next attempt for the name may begin, zero for now.
func (f *Failures) Until(account, name string, now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := f.times[account+" "+strings.ToLower(name)]
	if len(times) < maxFailures {
		return time.Time{}
	}
	if end := times[0].Add(failureWindow); end.After(now) {
		return end
	}
	return time.Time{}
}
