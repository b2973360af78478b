package propagation

import (
	"testing"
	"time"
)

func TestObservation(t *testing.T) {
	policy := Policy{Retry: 10 * time.Second, TTL: 10 * time.Second}
	lookups := []Lookup{{Started: after(-30 * time.Second), Ended: after(-20 * time.Second)}}
	missing := notYet + ": ns1.example.com. (192.0.2.1) answers NXDOMAIN"
	for name, test := range map[string]struct {
		report Report
		entry  LedgerEntry
		want   Verdict
	}{
		"a second late is normal": {report(nxdomain), LedgerEntry{FirstProbe: t0, Probes: 1}, Verdict{State: Wait, Until: after(time.Second)}},
		"twice is not": {
			report(nxdomain),
			LedgerEntry{FirstProbe: after(-time.Second), Probes: 2},
			Verdict{State: Wait, Until: after(2 * time.Second), Message: missing},
		},
		"nobody answers in time": {
			report(fails(Timeout), fails(NoAddress)),
			LedgerEntry{FirstProbe: t0, Probes: 1},
			Verdict{State: Wait, Until: after(time.Second), Unanswered: true},
		},
		"one of two answers in time": {
			report(fails(Timeout), nxdomain), LedgerEntry{FirstProbe: t0, Probes: 1}, Verdict{State: Wait, Until: after(time.Second)},
		},
		"stuck": {
			report(nxdomain),
			LedgerEntry{FirstProbe: after(-5 * time.Minute), Probes: 1},
			Verdict{State: Stuck, Until: after(time.Second), Message: missing},
		},
		"a long wait at once": {
			report(has),
			LedgerEntry{FirstProbe: t0, Probes: 1, VisibleSince: t0, Lookups: lookups, KeepsLonger: true},
			Verdict{State: Wait, Until: after(41 * time.Second), Message: mayBeCached(report(has)), VisibleSince: t0},
		},
		"visible": {
			report(has),
			LedgerEntry{FirstProbe: t0, Probes: 3, VisibleSince: after(-time.Second)},
			Verdict{State: Accept, VisibleSince: after(-time.Second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Observation{Report: test.report, Entry: test.entry, Policy: policy, At: t0}
			// The evidence does not change with the time: it only gets old.
			for _, now := range []time.Time{t0, after(time.Hour)} {
				if got := o.Verdict(now); got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
			}
		})
	}
}
