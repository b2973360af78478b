package plan

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

const hour = time.Hour

func TestBackoffDelay(t *testing.T) {
	tests := []struct {
		name     string
		backoff  Backoff
		failures int
		want     time.Duration
	}{
		{"none yet", DefaultIssuance, 0, hour},
		{"negative", DefaultIssuance, -3, hour},
		{"first", DefaultIssuance, 1, hour},
		{"third", DefaultIssuance, 3, 4 * hour},
		{"sixth", DefaultIssuance, 6, 32 * hour},
		{"seventh", DefaultIssuance, 7, 32 * hour},
		{"very many", DefaultIssuance, 1 << 40, 32 * hour},
		{"no power of two", Backoff{hour, 5 * hour}, 4, 5 * hour},
		{"most is least", Backoff{2 * hour, hour}, 1, hour},
		{"switched off", Backoff{0, hour}, 9, 0},
		{"below zero", Backoff{-hour, hour}, 9, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.backoff.Delay(test.failures); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	later := now.Add(7 * hour)
	transient := Backoff{Min: time.Second, Max: 5 * time.Second}
	tests := []struct {
		name     string
		err      error
		attempts int
		want     time.Time
	}{
		{"later", &fault.Error{Class: fault.Later, At: later}, 3, later},
		{"later, which is over", &fault.Error{Class: fault.Later, At: now}, 1, now.Add(2 * time.Second)},
		{"user", fault.New(fault.User, "x", "x"), 3, now.Add(fault.UserRetry)},
		{"permanent", fault.New(fault.Permanent, "x", "x"), 0, time.Time{}},
		{"transient, the first", fault.New(fault.Transient, "x", "x"), 0, now.Add(time.Second)},
		{"transient, the third", fault.New(fault.Transient, "x", "x"), 2, now.Add(4 * time.Second)},
		{"transient, the tenth", fault.New(fault.Transient, "x", "x"), 9, now.Add(5 * time.Second)},
		{"unclassified", errors.New("x"), 1, now.Add(2 * time.Second)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Retry(test.err, test.attempts, transient, now); !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestUnclassified(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		err      error
		attempts int
		ok       bool
		until    time.Time
	}{
		{"API server", errors.New("x"), 0, true, now.Add(200 * time.Millisecond)},
		{"API server, again", errors.New("x"), 2, true, now.Add(800 * time.Millisecond)},
		{"API server, for long", errors.New("x"), 30, true, now.Add(30 * time.Second)},
		{"classified", fault.New(fault.Transient, "x", "x"), 0, false, time.Time{}},
		{"classified, wrapped", fmt.Errorf("x: %w", fault.New(fault.User, "x", "x")), 0, false, time.Time{}},
	} {
		p, ok := Unclassified(Failure{Err: test.err, Attempts: test.attempts}, "status", now)
		if ok != test.ok || !p.Until.Equal(test.until) || (ok && p.Status != "status") || p.Do != nil || p.Events != nil {
			t.Errorf("%s: %t, %+v", test.name, ok, p)
		}
	}
}

func TestEarliest(t *testing.T) {
	a := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	b := a.Add(hour)
	for _, test := range []struct{ a, b, want time.Time }{
		{a, b, a}, {b, a, a}, {a, time.Time{}, a}, {time.Time{}, a, a}, {time.Time{}, time.Time{}, time.Time{}},
	} {
		if got := Earliest(test.a, test.b); !got.Equal(test.want) {
			t.Errorf("%s and %s: got %s", test.a, test.b, got)
		}
	}
}
