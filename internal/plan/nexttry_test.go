package plan

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestWithNextTry(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		err     error
		backoff Backoff
		want    string
	}{
		{"transient", fault.New(fault.Transient, "x", "x"), Remote, "no; the next try is within 5m"},
		{"transient, wrapped", fmt.Errorf("x: %w", fault.New(fault.Transient, "x", "x")), Server, "no; the next try is within 30m"},
		{"unclassified", errors.New("x"), APIServer, "no; the next try is within 30s"},
		{"hours", errors.New("x"), Backoff{Max: 2 * hour}, "no; the next try is within 2h"},
		{"odd", errors.New("x"), Backoff{Max: 90 * time.Minute}, "no; the next try is within 1h30m"},
		{"minutes and seconds", errors.New("x"), Backoff{Max: 70 * time.Second}, "no; the next try is within 1m10s"},
		{"ten minutes", errors.New("x"), Backoff{Max: 10 * time.Minute}, "no; the next try is within 10m"},
		{"later", fault.Until(now.Add(hour), "x", "x"), Remote, "no; the next try is at 2026-11-22T07:00:00Z"},
		{"soon", fault.Until(now.Add(5*time.Second), "x", "x"), Remote, "no; the next try is within 5m"},
		{"a user", fault.New(fault.User, "x", "x"), Remote, "no"},
		{"never", fault.New(fault.Permanent, "x", "x"), Remote, "no"},
	} {
		if got := WithNextTry("no", test.err, test.backoff, now); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if got := HasNextTry(test.want); got != (test.want != "no") {
			t.Errorf("%s: %q has a next try: %t", test.name, test.want, got)
		}
	}
}

func TestNextTryOnce(t *testing.T) {
	for _, test := range []struct {
		want string
		said []string
	}{
		{"", nil},
		{"a", []string{"a"}},
		{"a, b", []string{"a", "b"}},
		{"a; the next try is within 5m", []string{"a; the next try is within 5m"}},
		{"a, b, c; the next try is within 5m", []string{"a; the next try is within 5m", "b", "c; the next try is within 5m"}},
		{
			"a, b, c; the next try is at 2026-11-22T06:00:00Z",
			[]string{"a", "b; the next try is at 2026-11-22T07:00:00Z", "c; the next try is at 2026-11-22T06:00:00Z"},
		},
		{"a, b; the next try is within 5m", []string{"a; the next try is within 30m", "b; the next try is within 5m"}},
		{"a, b; the next try is within 30s", []string{"a; the next try is within 30s", "b; the next try is within 1h30m"}},
		{"a, b; the next try is within 5m", []string{"a; the next try is at 2026-11-22T07:00:00Z", "b; the next try is within 5m"}},
	} {
		if got := NextTryOnce(test.said, ", "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
