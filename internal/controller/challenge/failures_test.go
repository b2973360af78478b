package challenge

import (
	"fmt"
	"testing"
	"time"
)

func TestFailures(t *testing.T) {
	begin := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	minute := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Minute) }
	var f Failures
	until := func(name string, at, want time.Time) {
		t.Helper()
		if got := f.Until("ca", name, at); !got.Equal(want) {
			t.Errorf("%s at %s: until %s, want %s", name, at, got, want)
		}
	}
	for n := range 3 {
		f.Add("ca", "a.example", minute(n))
		until("a.example", minute(n), time.Time{})
	}
	f.Add("other", "a.example", minute(2))
	f.Add("ca", "A.Example", minute(3))
	until("a.EXAMPLE", minute(3), minute(60))
	until("b.example", minute(3), time.Time{})
	until("a.example", minute(60), time.Time{})
	f.Add("ca", "a.example", minute(60))
	until("a.example", minute(60), minute(61))

	for n := range 100 {
		f.Add("ca", fmt.Sprintf("%d.example", n), minute(60+n))
	}
	if n := len(f.times); n != 61 {
		t.Errorf("%d names are remembered, want those of an hour", n)
	}
}
