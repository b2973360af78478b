package preflight

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

// TestInterrupted holds that the record is deleted if the user interrupts the check.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag["ns2."] = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		w.onProbe = func(n int) {
			if n == 4 {
				cancel()
			}
		}
		report := w.check(issuer()).Run(ctx)
		const waiting = `DNS record for "www.example.com" not yet propagated: ns2. has other values only; ns1. has it`
		want := []string{issuerLine, solverLine, secretsLine, zoneLine, writeLine, "name servers failed 3s interrupted; the last reason to wait was: " + waiting, deleteLine, "gone skipped 0s interrupted"}
		if diff := cmp.Diff(want, short(report)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if w.left() != 0 || report.OK {
			t.Errorf("left %d, OK %t", w.left(), report.OK)
		}
		last := `the check of Issuer "team/ca" for "www.example.com" was stopped in the step "name servers": interrupted; the last reason to wait was: ` + waiting
		if got := report.Conclusion(); got != last {
			t.Errorf("got  %s\nwant %s", got, last)
		}
	})
}

// TestStaysOnAServer holds that a record which a server keeps is named, also after a slow
// deletion, and that the user can end the wait.
func TestStaysOnAServer(t *testing.T) {
	for name, test := range map[string]struct {
		interrupt int // at which probe
		want      string
		ok        bool
	}{
		"to the end":  {0, `gone failed 30s 1 of the servers still have it: the provider has not deleted it, or they are behind; delete "VALUE" at ` + name + " if it stays", false},
		"interrupted": {12, "gone skipped 1s interrupted", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.lag["ns2."], w.slow = 40*time.Second, 20*time.Second
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.onProbe = func(n int) {
					if n == test.interrupt {
						cancel()
					}
				}
				report := w.check(issuer()).Run(ctx)
				steps := short(report)
				if diff := cmp.Diff([]string{"delete ok 20s deleted it", test.want}, steps[len(steps)-2:]); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if report.OK != test.ok || w.left() != 0 {
					t.Errorf("OK %t, left %d", report.OK, w.left())
				}
			})
		})
	}
}

// TestRefused holds after which failures nothing can have been written.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		class  fault.Class
		reason string
		want   bool
	}{
		{fault.User, "Forbidden", true},
		{fault.Permanent, "", true},
		{fault.Later, "SolverUnavailable", true}, // a webhook without endpoints
		{fault.Later, "RateLimited", true},
		{fault.Later, "ServerError", false},
		{fault.User, "UpdateRefused", true},
		{fault.Transient, "UpdateRefused", true}, // SERVFAIL
		{fault.Transient, "BadTime", true},
		{fault.User, "UnsignedAnswer", false},
		{fault.Transient, "ServerUnreachable", false},
		{fault.Transient, "SolverFailed", false},
	} {
		if got := refused(fault.New(test.class, test.reason, "x")); got != test.want {
			t.Errorf("%s %s: %t", test.class, test.reason, got)
		}
	}
}

// TestProbeFails holds that a check waits for name servers that cannot be found, too.
func TestProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := w.check(issuer())
		c.Resolver = lost{w}
		report := c.Run(t.Context())
		want := []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers failed 60s no answer from the recursive name servers", deleteLine, "gone failed 0s no answer from the recursive name servers",
		}
		if diff := cmp.Diff(want, short(report)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// lost is a Resolver that does not find the name servers.
type lost struct{ *world }

func (lost) Probe(context.Context, string, string, propagation.Mode, string) (propagation.Report, error) {
	return propagation.Report{}, fault.New(fault.Transient, "NoAnswer", "no answer from the recursive name servers").Because(errors.New("x"))
}
