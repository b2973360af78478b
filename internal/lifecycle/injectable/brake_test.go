package injectable

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestBrake plays a program that undoes each write at once.
func TestBrake(t *testing.T) {
	var b Brake
	at, entries := now, []string{"a", "b"}
	var waits []time.Duration
	for range 12 {
		if hold := b.Hold("ca", entries); hold.After(at) {
			waits = append(waits, hold.Sub(at))
			at = hold
		} else {
			waits = append(waits, 0)
		}
		b.Wrote("ca", entries, at)
	}
	const s, m = time.Second, time.Minute
	want := []time.Duration{0, 0, 0, 0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 320 * s, 10 * m, 10 * m}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for range 100 {
		b.Wrote("ca", entries, at)
	}
	if hold := b.Hold("ca", entries); !hold.Equal(at.Add(10 * m)) {
		t.Errorf("after many writes: %s", hold.Sub(at))
	}
	if hold := b.Hold("new ca", entries); !hold.IsZero() {
		t.Errorf("a new CA waits until %s", hold)
	}
	if hold := b.Hold("ca", []string{"c"}); !hold.IsZero() {
		t.Errorf("a new entry waits until %s", hold)
	}
	b.Wrote("ca", entries, at.Add(calmAfter+s))
	if hold := b.Hold("ca", entries); !hold.IsZero() {
		t.Errorf("after a calm hour, it waits until %s", hold)
	}
}

// TestBrakeKnowsGrowth: entries that are added one after the other are no fight.
func TestBrakeKnowsGrowth(t *testing.T) {
	var b Brake
	for i := range 20 {
		entry := []string{string(rune('a' + i))}
		if hold := b.Hold("ca", entry); !hold.IsZero() {
			t.Fatalf("entry %d waits until %s", i, hold)
		}
		b.Wrote("ca", entry, now)
	}
}

// TestBrakeOnCAs plays a source whose CA is another one each second, and one whose CA
// is another one every two minutes.
func TestBrakeOnCAs(t *testing.T) {
	for _, test := range []struct {
		every  time.Duration
		writes int
	}{{time.Second, 59}, {2 * time.Minute, 30}} {
		var b Brake
		writes := 0
		for passed := time.Duration(0); passed < time.Hour; passed += test.every {
			at, ca := now.Add(passed), passed.String()
			if b.Hold(ca, []string{"a"}).After(at) || b.Rest().After(at) {
				continue
			}
			b.Wrote(ca, []string{"a"}, at)
			writes++
		}
		if writes != test.writes {
			t.Errorf("a CA every %v: %d writes in an hour, want %d", test.every, writes, test.writes)
		}
	}
}
