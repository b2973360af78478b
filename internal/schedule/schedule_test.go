package schedule

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// wallClock shows the time that the test sets. Its ticker ticks on the test's
// request, as a real one ticks whatever happens to the wall clock.
type wallClock struct {
	*clocktesting.FakeClock
	ticker ticker
}

func newWallClock() wallClock {
	return wallClock{clocktesting.NewFakeClock(start), ticker{make(chan time.Time), make(chan struct{}, 1)}}
}

func (c wallClock) NewTicker(time.Duration) clock.Ticker { return c.ticker }

// tick ticks once and returns when the tick has been processed.
func (c wallClock) tick() {
	<-c.ticker.waited
	c.ticker.ticks <- c.Now()
	<-c.ticker.waited
	c.ticker.waited <- struct{}{}
}

// ticker signals each wait for it.
type ticker struct {
	ticks  chan time.Time
	waited chan struct{}
}

func (t ticker) C() <-chan time.Time {
	t.waited <- struct{}{}
	return t.ticks
}

func (ticker) Stop() {}

// running is a started Deadlines and its clock.
type running struct {
	*Deadlines[string]
	clock wallClock
	keys  []string
}

func run(t *testing.T) *running {
	r := &running{clock: newWallClock()}
	r.Deadlines = New(r.clock, func(key string) { r.keys = append(r.keys, key) })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
	return r
}

// tick returns the keys that become due at a tick.
func (r *running) tick() []string {
	r.keys = nil
	r.clock.tick()
	return r.keys
}

func TestDue(t *testing.T) {
	r := run(t)
	r.Set("an hour", start.Add(time.Hour))
	r.Set("a month", start.Add(30*24*time.Hour))
	r.Set("past", start.Add(-time.Hour))
	r.Set("moved", start.Add(time.Hour))
	r.Set("moved", start.Add(2*time.Hour))
	r.Set("removed", start.Add(time.Hour))
	r.Set("removed", time.Time{})
	r.Set("never there", time.Time{})
	if n := r.Len(); n != 4 {
		t.Errorf("%d deadlines, want 4", n)
	}
	for _, step := range []struct {
		ahead time.Duration
		want  []string
	}{
		{0, []string{"past"}},
		{time.Hour, []string{"an hour"}},
		{0, nil},
		{time.Hour, []string{"moved"}},
		{29 * 24 * time.Hour, nil},
		{24 * time.Hour, []string{"a month"}},
	} {
		r.clock.Step(step.ahead)
		if diff := cmp.Diff(step.want, r.tick()); diff != "" {
			t.Errorf("%s later (-want +got):\n%s", step.ahead, diff)
		}
	}
	if n := r.Len(); n != 0 {
		t.Errorf("%d deadlines are left", n)
	}
}

// TestClockIsSet sets the wall clock forward and back, as a suspension or a
// time server does. The wall clock alone decides.
func TestClockIsSet(t *testing.T) {
	r := run(t)
	r.Set("a", start.Add(time.Hour))
	r.Set("b", start.Add(2*time.Hour))
	r.clock.SetTime(start.Add(-24 * time.Hour))
	if got := r.tick(); got != nil {
		t.Errorf("a day back: %v", got)
	}
	r.clock.SetTime(start.Add(90 * time.Minute))
	if diff := cmp.Diff([]string{"a"}, r.tick()); diff != "" {
		t.Errorf("ahead (-want +got):\n%s", diff)
	}
	r.clock.SetTime(start)
	if got := r.tick(); got != nil {
		t.Errorf("back again: %v", got)
	}
	r.clock.SetTime(start.Add(3 * time.Hour))
	if diff := cmp.Diff([]string{"b"}, r.tick()); diff != "" {
		t.Errorf("far ahead (-want +got):\n%s", diff)
	}
}

// TestNoMonotonicReading checks that deadlines are wall-clock times: the
// monotonic reading of a time is dropped.
func TestNoMonotonicReading(t *testing.T) {
	d := New(clocktesting.NewFakeClock(start), func(string) {})
	at := time.Now().Add(time.Hour)
	d.Set("a", at)
	if d.at["a"] != at.Round(0) {
		t.Errorf("kept %v", d.at["a"])
	}
	d.Set("a", at.Add(time.Hour))
	if d.at["a"] != at.Add(time.Hour).Round(0) {
		t.Errorf("kept %v", d.at["a"])
	}
}

// TestSetWhileDue sets the next deadline from within the called function.
func TestSetWhileDue(t *testing.T) {
	c := newWallClock()
	var d *Deadlines[int]
	var calls []int
	d = New(c, func(n int) {
		d.Set(n+1, c.Now().Add(time.Minute))
		calls = append(calls, n)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = d.Start(ctx) }()
	d.Set(0, start)
	for range 3 {
		c.tick()
		c.Step(time.Minute)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, calls); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

// TestOrder compares the deadlines with a plain map over many random changes.
func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d := New(clocktesting.NewFakeClock(start), func(int) {})
	want := map[int]time.Time{}
	now := start
	for range 20000 {
		key := random.IntN(200)
		switch random.IntN(8) {
		case 0:
			d.Set(key, time.Time{})
			delete(want, key)
		case 1:
			now = now.Add(time.Duration(random.IntN(60)) * time.Second)
			var due []int
			for k, at := range want {
				if !at.After(now) {
					due = append(due, k)
					delete(want, k)
				}
			}
			got := d.pop(now)
			slices.Sort(got)
			slices.Sort(due)
			if diff := cmp.Diff(due, got); diff != "" {
				t.Fatalf("due at %s (-want +got):\n%s", now, diff)
			}
		default:
			at := now.Add(time.Duration(random.IntN(3600)-60) * time.Second)
			d.Set(key, at)
			want[key] = at
		}
		if d.Len() != len(want) {
			t.Fatalf("%d deadlines, want %d", d.Len(), len(want))
		}
	}
}
