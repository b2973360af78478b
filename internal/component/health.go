package component

import (
	"fmt"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// maxSkew is how far the wall clock may run away from the monotonic one before
// the process is better started anew: timers count the latter.
const maxSkew = 5 * time.Minute

// ClockHealth fails when the wall clock has run away from the monotonic one.
func ClockHealth() healthz.Checker {
	start := time.Now()
	wall := start.Round(0)
	return func(*http.Request) error {
		now := time.Now()
		skew := now.Round(0).Sub(wall) - now.Sub(start)
		if skew.Abs() > maxSkew {
			return fmt.Errorf("the wall clock and the monotonic clock are %s apart", skew.Abs().Round(time.Second))
		}
		return nil
	}
}
