package propagation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestAssumption has a value that nobody looks for.
func TestAssumption(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	var l Ledger
	if got := (Assumption{Name: fqdn, Entry: l.Assumed(ca, fqdn, t0)}).Verdict(t0); got != (Verdict{State: Accept, VisibleSince: t0}) {
		t.Errorf("without a look-up: %+v", got)
	}
	l.Restore(ca, fqdn, Lookup{Started: after(-2 * time.Second), Ended: after(-time.Second), Failed: true}, after(0))
	a := Assumption{Name: fqdn, Entry: l.Assumed(ca, fqdn, t0)}
	if got := a.Verdict(t0); got.State != Wait || !got.Until.Equal(after(60*time.Second)) || got.Message == "" {
		t.Errorf("after a failed look-up: %+v", got)
	}
	if got := a.Verdict(after(60 * time.Second)); got.State != Accept {
		t.Errorf("a minute later: %+v", got)
	}
}

// TestSilentServerIsRemembered holds that a server that has been silent for one
// value is not waited for again for the next, until it answers, or for a day.
func TestSilentServerIsRemembered(t *testing.T) {
	verdict := func(l *Ledger, name string, at time.Time, changes ...func(*Answer)) State {
		r := report(changes...)
		r.Name, r.Final, r.Value = name, name, name
		return Observation{Report: r, Entry: l.Observe("ca", r, at), At: at}.Verdict(at).State
	}
	var l Ledger
	for _, step := range []struct {
		name   string
		at     time.Duration
		second func(*Answer)
		want   State
	}{
		{"a.", 0, fails(Timeout), Wait},
		{"a.", 30 * time.Second, fails(Timeout), Accept},
		{"b.", time.Hour, fails(Timeout), Accept},
		{"c.", 2 * time.Hour, refuses, Accept},
		{"d.", 3 * time.Hour, has, Accept},
		{"e.", 4 * time.Hour, fails(Timeout), Wait},
		{"f.", 30 * time.Hour, fails(Timeout), Wait},
	} {
		if got := verdict(&l, step.name, after(step.at), has, step.second); got != step.want {
			t.Errorf("%s at %s: %s", step.name, step.at, got)
		}
	}
}

// TestAbsentSince holds from when on nobody has had the value.
func TestAbsentSince(t *testing.T) {
	var l Ledger
	for _, step := range []struct {
		at   time.Duration
		seen []func(*Answer)
		want time.Duration // negative is never
	}{
		{0, []func(*Answer){nxdomain, nodata}, 0},
		{time.Second, []func(*Answer){nxdomain, fails(Timeout)}, 0},
		{2 * time.Second, []func(*Answer){has, nxdomain}, -1},
		{3 * time.Second, []func(*Answer){nxdomain, nxdomain}, 3 * time.Second},
		{4 * time.Second, []func(*Answer){fails(Timeout), refuses}, -1},
	} {
		r := report(step.seen...)
		got := Observation{Report: r, Entry: l.Observe("ca", r, after(step.at)), At: after(step.at)}.Verdict(t0).AbsentSince
		want := time.Time{}
		if step.want >= 0 {
			want = after(step.want)
		}
		if !got.Equal(want) {
			t.Errorf("at %s: %s, want %s", step.at, got, want)
		}
	}
}

func TestLedger(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	var l Ledger
	l.Accepted(ca, "_ACME-challenge.example.com", after(0))
	l.Accepted("https://other.example", fqdn, after(0))
	steps := []LedgerEntry{
		l.Observe(ca, report(has, fails(Timeout)), after(time.Second)),
		l.Observe(ca, report(has, fails(Timeout)), after(30*time.Second)),
		l.Observe(ca, report(has, fails(Timeout)), after(31*time.Second)),
	}
	l.Concluded(ca, fqdn, false, after(32*time.Second))
	steps = append(steps,
		l.Observe(ca, report(has, has), after(33*time.Second)),
		l.Observe(ca, report(has, nxdomain), after(34*time.Second)),
	)
	open := []Lookup{{Started: after(0)}}
	closed := []Lookup{{Started: after(0), Ended: after(32 * time.Second)}}
	first := after(time.Second)
	want := []LedgerEntry{
		{Lookups: open, FirstProbe: first, Probes: 1, SilentSince: silentSince(first, 2)},
		{Lookups: open, FirstProbe: first, Probes: 2, SilentSince: silentSince(first, 2)},
		{Lookups: open, FirstProbe: first, Probes: 3, SilentSince: silentSince(first, 2), VisibleSince: after(31 * time.Second)},
		{Lookups: closed, FirstProbe: first, Probes: 4, VisibleSince: after(31 * time.Second)},
		{Lookups: closed, FirstProbe: first, Probes: 5},
	}
	if diff := cmp.Diff(want, steps, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	l.Forget(ca, fqdn, "v")
	if e := l.Observe(ca, report(has), after(40*time.Second)); e.Probes != 1 {
		t.Errorf("after Forget: %+v", e)
	}
	if e := l.Observe(ca, report(has), after(time.Hour)); len(e.Lookups) != 0 {
		t.Errorf("an hour later: %+v", e)
	}
}

func TestLedgerTakesRefusedBack(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	var l Ledger
	l.Refused(ca, fqdn, after(0))
	l.Accepted(ca, fqdn, after(0))
	l.Accepted(ca, fqdn, after(time.Second))
	l.Refused(ca, "_ACME-challenge.example.com", after(time.Second))
	want := []Lookup{{Started: after(0)}}
	if diff := cmp.Diff(want, l.Observe(ca, report(has), after(2*time.Second)).Lookups); diff != "" {
		t.Error(diff)
	}
	l.Concluded(ca, fqdn, false, after(3*time.Second))
	l.Refused(ca, fqdn, after(0))
	if got := l.Observe(ca, report(has), after(4*time.Second)).Lookups; len(got) != 1 {
		t.Errorf("a lookup that has ended was taken back: %+v", got)
	}
}

func TestLedgerSharesAliasesAndSignedZones(t *testing.T) {
	const ca = "https://ca.example/directory"
	at := func(name, final string, signed bool) Report {
		r := report(has)
		r.Name, r.Final, r.Signed = name, final, signed
		return r
	}
	var l Ledger
	l.Observe(ca, at("_acme-challenge.a.example.", "x.example.com.", false), after(0))
	l.Accepted(ca, "_acme-challenge.a.example.", after(time.Second))
	if e := l.Observe(ca, at("_acme-challenge.b.example.", "x.example.com.", false), after(2*time.Second)); len(e.Lookups) != 1 {
		t.Errorf("two aliases of one name: %+v", e.Lookups)
	}
	l.Observe(ca, at("_acme-challenge.c.example.", "_acme-challenge.c.example.", true), after(3*time.Second))
	l.Accepted(ca, "_acme-challenge.c.example.", after(4*time.Second))
	l.Concluded(ca, "_acme-challenge.c.example.", true, after(5*time.Second))
	failed := []Lookup{{Started: after(4 * time.Second), Ended: after(5 * time.Second), Failed: true}}
	e := l.Observe(ca, at("_acme-challenge.d.example.", "_acme-challenge.d.example.", true), after(6*time.Second))
	if diff := cmp.Diff(failed, e.Lookups); diff != "" {
		t.Errorf("another name of a signed zone: %s", diff)
	}
	e = l.Observe(ca, at("_acme-challenge.e.example.", "_acme-challenge.e.example.", false), after(6*time.Second))
	if len(e.Lookups) != 0 {
		t.Errorf("another name of an unsigned zone: %+v", e.Lookups)
	}
}

// A lookup that no probe preceded, as with waitInsteadOfSelfCheck or after a
// restart: its zone, and whether it is signed, are found out later.
func TestLedgerOfNameNeverProbed(t *testing.T) {
	const ca = "https://ca.example/directory"
	look := Lookup{Started: after(0), Ended: after(time.Second), Failed: true}
	var l Ledger
	l.Accepted(ca, "_acme-challenge.a.example.", after(0))
	l.Concluded(ca, "_ACME-challenge.a.example.", true, after(time.Second))
	l.Restore(ca, "_acme-challenge.well.example.", Lookup{Started: after(0), Ended: after(time.Second)}, after(0))
	for _, test := range []struct {
		name, zone string
		signed     bool
		want       []Lookup
	}{
		{"_acme-challenge.b.example.", "example.", true, []Lookup{look}},
		{"_acme-challenge.b.example.", "example.", false, nil},
		{"_acme-challenge.b.example.", "b.example.", true, nil},
	} {
		r := report(has)
		r.Name, r.Final, r.Zone, r.Signed = test.name, test.name, test.zone, test.signed
		if diff := cmp.Diff(test.want, l.Observe(ca, r, after(2*time.Second)).Lookups); diff != "" {
			t.Errorf("%s in %s, signed %t: -want +got:\n%s", test.name, test.zone, test.signed, diff)
		}
	}
}

// A stored time in the future neither wipes what the Ledger knows nor stops its
// sweeps.
func TestRestoreOfTheFuture(t *testing.T) {
	var l Ledger
	l.Accepted("ca", "a.example.", t0)
	l.Restore("ca", "b.example.", Lookup{Started: after(365 * 24 * time.Hour), Ended: t0}, t0)
	if got := len(l.Assumed("ca", "a.example.", after(time.Second)).Lookups); got != 1 {
		t.Errorf("%d look-ups of a name whose challenge was accepted a second ago", got)
	}
	for i := range 100 {
		at := after(time.Duration(i) * 24 * time.Hour)
		l.Accepted("ca", at.String()+".example.", at)
	}
	if len(l.lookups) > 10 {
		t.Errorf("%d names are kept after 100 days", len(l.lookups))
	}
}
