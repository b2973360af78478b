package pki

import "time"

// RenewalTime returns when a certificate is to be renewed, in whole seconds.
// The time left then is renewBefore if it is positive and less than the
// lifetime, or else percentage (1 to 99) of the lifetime, or else a third of
// it.
func RenewalTime(notBefore, notAfter time.Time, renewBefore *time.Duration, percentage *int32) time.Time {
	lifetime := notAfter.Sub(notBefore)
	left := lifetime / 3
	switch {
	case renewBefore != nil && *renewBefore > 0 && *renewBefore < lifetime:
		left = *renewBefore
	case percentage != nil && *percentage > 0 && *percentage < 100:
		// Dividing first: the lifetime of a root, times 99, does not fit.
		left = lifetime / 100 * time.Duration(*percentage)
	}
	return notAfter.Add(-left).Truncate(time.Second)
}
