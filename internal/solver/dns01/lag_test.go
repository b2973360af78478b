package dns01_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLaggingZone has a name server that is 3 s behind: the first record is probed until
// it is there, and the next ones when they can be there.
func TestLaggingZone(t *testing.T) {
	const lag = 3 * time.Second
	w := newWorld(t)
	// probes presents a record and returns when it was probed until it was found.
	probes := func(name string) (at []time.Duration) {
		s := w.beginAt(name, nil)
		w.records = map[string]bool{}
		began := w.clock.Now()
		if err := s.Present(context.Background()); err != nil {
			t.Fatal(err)
		}
		written := w.records
		for range 20 {
			if w.records = map[string]bool{}; w.clock.Now().Sub(began) >= lag {
				w.records = written
			}
			w.called()
			v := w.verdict(s)
			if len(w.called()) > 0 {
				at = append(at, w.clock.Now().Sub(began))
			}
			if !v.VisibleSince.IsZero() {
				return at
			}
			w.clock.SetTime(v.Until)
		}
		t.Fatal("it was never found")
		return nil
	}
	const s = time.Second
	for _, test := range []struct {
		name  string
		pause time.Duration
		want  []time.Duration
	}{
		{"a.example.com", 0, []time.Duration{0, s, 3 * s}},
		{"b.example.com", s, []time.Duration{3 * s}},
		{"c.example.com", s, []time.Duration{3 * s}},
		{"one is probed early", time.Minute, []time.Duration{1500 * time.Millisecond, 3 * s}},
		{"e.example.com", s, []time.Duration{3 * s}},
	} {
		w.clock.SetTime(w.clock.Now().Add(test.pause))
		if diff := cmp.Diff(test.want, probes(test.name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
