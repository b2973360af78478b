package propagation

import (
	"testing"
	"time"
)

// TestLongFloor holds that a look-up is remembered for as long as the longest floor
// that the configuration takes.
func TestLongFloor(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	for floor, kept := range map[time.Duration]time.Duration{0: 10 * time.Minute, 20 * time.Minute: 25 * time.Minute, MaxFloor: MaxFloor + 5*time.Minute, 9 * time.Hour: MaxFloor + 5*time.Minute} {
		var l Ledger
		l.KeepFor(floor)
		l.Accepted(ca, fqdn, t0)
		l.Concluded(ca, fqdn, false, t0)
		for at, want := range map[time.Duration]int{kept: 1, kept + time.Minute: 0} {
			r := report(has)
			r.Name, r.Final = fqdn, fqdn
			l.swept, l.lookups[nameKey{ca, fqdn}] = t0, []Lookup{{Started: t0, Ended: t0}}
			if got := len(l.Observe(ca, r, after(at)).Lookups); got != want {
				t.Errorf("floor %s: %d look-ups after %s, want %d", floor, got, at, want)
			}
		}
	}
	var l Ledger
	l.KeepFor(MaxFloor)
	l.Accepted(ca, fqdn, t0)
	l.Concluded(ca, fqdn, false, after(time.Second))
	later := after(12 * time.Minute)
	o := Observation{Report: report(has), Entry: l.Observe(ca, report(has), later), At: later, Policy: Policy{Floor: MaxFloor}}
	if got := o.Verdict(later); got.State != Wait {
		t.Errorf("12 min after a look-up: %+v", got)
	}
}
