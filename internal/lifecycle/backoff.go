package lifecycle

import "time"

// Backoff bounds the wait after a failed issuance: Min after the first failure
// in a row, doubled with each further one, at most Max. A Min that is not
// positive switches it off.
type Backoff struct{ Min, Max time.Duration }

// DefaultBackoff is what Let's Encrypt asked the field for.
var DefaultBackoff = Backoff{Min: time.Hour, Max: 32 * time.Hour}

// Delay returns the wait after so many failures in a row.
func (b Backoff) Delay(failures int) time.Duration {
	if b.Min <= 0 {
		return 0
	}
	delay := b.Min
	for range failures - 1 {
		if delay >= b.Max/2 {
			return b.Max
		}
		delay *= 2
	}
	return min(delay, b.Max)
}
