package apicheck

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

func TestWait(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		patience, interval time.Duration
		// ready is the attempt that succeeds, from 1; 0 is none.
		ready int
		// want is when the attempts are, from the start.
		want []time.Duration
		// logged is how many of them are said to have failed.
		logged int
		ok     bool
	}{
		"one attempt":             {0, 5 * s, 0, []time.Duration{0}, 0, false},
		"ready at once":           {time.Minute, 5 * s, 1, []time.Duration{0}, 0, true},
		"ready later":             {time.Minute, 5 * s, 3, []time.Duration{0, 5 * s, 10 * s}, 2, true},
		"never ready":             {10 * s, 5 * s, 0, []time.Duration{0, 5 * s, 10 * s}, 2, false},
		"the last one at the end": {12 * s, 5 * s, 0, []time.Duration{0, 5 * s, 10 * s, 12 * s}, 3, false},
		"less than an interval":   {3 * s, 5 * s, 2, []time.Duration{0, 3 * s}, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var got []time.Duration
			logged := 0
			err := Wait(t.Context(), clock.RealClock{}, test.patience, test.interval, func(context.Context) error {
				got = append(got, time.Since(start))
				if len(got) == test.ready {
					return nil
				}
				return errors.New("not yet")
			}, func(error) { logged++ })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", name, diff)
			}
			if (err == nil) != test.ok || logged != test.logged {
				t.Errorf("%s: %v, %d logged, want %d", name, err, logged, test.logged)
			}
		})
	}
}

// TestWaitEnds holds that a signal ends the wait, with what is not ready.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start, last := time.Now(), errors.New("not yet")
		err := Wait(ctx, clock.RealClock{}, time.Hour, 5*time.Second, func(context.Context) error { return last }, func(error) {})
		if took := time.Since(start); took != 7*time.Second || !errors.Is(err, last) {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
