package metrics

import "sync"

// other stands for label values above a bound.
const other = "other"

// series bounds how many combinations of label values have series of their own:
// others than the administrator influence some of the values.
type series[L comparable] struct {
	limit int
	mu    sync.Mutex
	known map[L]struct{}
}

func newSeries[L comparable](limit int) *series[L] {
	return &series[L]{limit: limit, known: map[L]struct{}{}}
}

// own reports whether label values have a series of their own, or get one now.
func (s *series[L]) own(l L) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[l]; ok {
		return true
	}
	if len(s.known) >= s.limit {
		return false
	}
	s.known[l] = struct{}{}
	return true
}
