package pki

import "time"

// RenewalTime returns when to renew a certificate, in whole seconds. The
// remaining time is then renewBefore, if it is positive and less than the
// lifetime; else percentage of the lifetime, if it is from 1 to 99; else a
// third of the lifetime.
func RenewalTime(notBefore, notAfter time.Time, renewBefore *time.Duration, percentage *int32) time.Time {
	lifetime := notAfter.Sub(notBefore)
	left := lifetime / 3
	switch {
	case renewBefore != nil && *renewBefore > 0 && *renewBefore < lifetime:
		left = *renewBefore
	case percentage != nil && *percentage > 0 && *percentage < 100:
		// Divide first: the product of 99 and the lifetime of a root overflows.
		left = lifetime / 100 * time.Duration(*percentage)
	}
	return notAfter.Add(-left).Truncate(time.Second)
}
