package propagation

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return t0.Add(d) }

// answerOf is one of a server nsN.example.com. at 192.0.2.N.
func answerOf(n byte, change func(*Answer)) Answer {
	a := Answer{
		Server: "ns" + string('0'+n) + ".example.com.", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 53), Role: RoleBoth,
		Zone: "example.com.", Name: "_acme-challenge.example.com.", Rcode: "NOERROR", Authoritative: true, Values: 1, Has: true,
	}
	change(&a)
	return a
}

func has(*Answer) {}

func nxdomain(a *Answer) { a.Rcode, a.Values, a.Has = "NXDOMAIN", 0, false }

func others(a *Answer) { a.Values, a.Has = 2, false }

func nodata(a *Answer) { a.Values, a.Has = 0, false }

func lame(a *Answer) { a.Authoritative, a.Values, a.Has = false, 0, false }

func refuses(a *Answer) { a.Rcode, a.Authoritative, a.Values, a.Has = "REFUSED", false, 0, false }

func noIPv6(a *Answer) {
	fails(NoRoute)(a)
	a.Addr = netip.MustParseAddrPort("[2001:db8::2]:53")
}

func fails(f Failure) func(*Answer) {
	return func(a *Answer) {
		a.Failure = f
		a.Rcode, a.Authoritative, a.Values, a.Has = "", false, 0, false
		if f == NoAddress {
			a.Addr = netip.AddrPort{}
		}
	}
}

func report(changes ...func(*Answer)) Report {
	r := Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Value: "v", Zone: "example.com.", NegativeTTL: 2 * time.Minute}
	for i, change := range changes {
		r.Answers = append(r.Answers, answerOf(byte(i+1), change))
	}
	return r
}

func silentSince(at time.Time, ns ...byte) map[string]time.Time {
	out := map[string]time.Time{}
	for _, n := range ns {
		out[answerOf(n, has).key()] = at
	}
	return out
}

const notYet = `DNS record for "example.com" not yet propagated`

func TestJudgeServers(t *testing.T) {
	now := after(time.Minute)
	first := LedgerEntry{FirstProbe: now, Probes: 1}
	for name, test := range map[string]struct {
		report Report
		entry  LedgerEntry
		want   Verdict
	}{
		"all have it": {report(has, has), first, Verdict{State: Accept}},
		"one does not": {
			report(has, nxdomain), first,
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns2.example.com. (192.0.2.2) answers NXDOMAIN; ns1.example.com. (192.0.2.1) has it"},
		},
		"each in its own way": {
			report(nodata, others, lame, refuses), first,
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) has no TXT record there; ns2.example.com. (192.0.2.2) has other values only; " +
				"ns3.example.com. (192.0.2.3) answers NOERROR without authority for the zone; ns4.example.com. (192.0.2.4) answers REFUSED"},
		},
		"many": {
			report(nxdomain, nxdomain, nxdomain, nxdomain, nxdomain, nxdomain, has, has), first,
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) answers NXDOMAIN; ns2.example.com. (192.0.2.2) answers NXDOMAIN; " +
				"ns3.example.com. (192.0.2.3) answers NXDOMAIN; ns4.example.com. (192.0.2.4) answers NXDOMAIN; and 2 more; " +
				"ns7.example.com. (192.0.2.7), ns8.example.com. (192.0.2.8) have it"},
		},
		"third probe backs off":           {report(nodata), LedgerEntry{FirstProbe: t0, Probes: 3}, Verdict{State: Wait, Until: now.Add(4 * time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) has no TXT record there"}},
		"ninth probe at the retry period": {report(nodata), LedgerEntry{FirstProbe: t0, Probes: 9}, Verdict{State: Wait, Until: now.Add(10 * time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) has no TXT record there"}},
		"after five minutes":              {report(nodata), LedgerEntry{FirstProbe: now.Add(-5 * time.Minute), Probes: 99}, Verdict{State: Stuck, Until: now.Add(10 * time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) has no TXT record there"}},
		"no route to IPv6 does not block": {report(has, noIPv6), first, Verdict{State: Accept, Message: "left out: ns2.example.com. (2001:db8::2) cannot be reached from here (no route)"}},
		"no route to IPv4 blocks":         {report(has, fails(NoRoute)), first, Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns2.example.com. (192.0.2.2) cannot be reached from here (no route); ns1.example.com. (192.0.2.1) has it"}},
		"a policy that forbids to ask blocks": {report(has, fails(Unreachable)), first, Verdict{
			State: Wait, Until: now.Add(time.Second),
			Message: notYet + ": ns2.example.com. (192.0.2.2) cannot be reached from here (host unreachable, or not permitted); ns1.example.com. (192.0.2.1) has it",
		}},
		"a policy that forbids to ask for 30 s": {
			report(has, fails(Unreachable)),
			LedgerEntry{FirstProbe: t0, Probes: 9, SilentSince: silentSince(t0, 2)},
			Verdict{State: Accept, Message: "left out: ns2.example.com. (192.0.2.2) cannot be reached from here (host unreachable, or not permitted)"},
		},
		"no address does not block": {report(has, fails(NoAddress)), first, Verdict{State: Accept, Message: "left out: ns2.example.com. has no address"}},
		"no route at all":           {report(fails(NoRoute)), first, Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) cannot be reached from here (no route)"}},
		"silent for 29 s": {
			report(has, fails(Timeout)),
			LedgerEntry{FirstProbe: t0, Probes: 9, SilentSince: silentSince(now.Add(-29*time.Second), 2)},
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns2.example.com. (192.0.2.2) does not answer; ns1.example.com. (192.0.2.1) has it"},
		},
		"silent for 30 s": {
			report(has, fails(Timeout)),
			LedgerEntry{FirstProbe: t0, Probes: 9, SilentSince: silentSince(now.Add(-30*time.Second), 2)},
			Verdict{State: Accept, Message: "left out: ns2.example.com. (192.0.2.2) does not answer"},
		},
		"silent for 30 s while another disagrees": {
			report(has, fails(Timeout), nxdomain),
			LedgerEntry{FirstProbe: t0, Probes: 1, SilentSince: silentSince(t0, 2)},
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns2.example.com. (192.0.2.2) does not answer; ns3.example.com. (192.0.2.3) answers NXDOMAIN; ns1.example.com. (192.0.2.1) has it"},
		},
		"silent once, answers now": {
			report(has, nxdomain),
			LedgerEntry{FirstProbe: t0, Probes: 1, SilentSince: silentSince(t0, 2)},
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns2.example.com. (192.0.2.2) answers NXDOMAIN; ns1.example.com. (192.0.2.1) has it"},
		},
		"all silent": {
			report(fails(Timeout)),
			LedgerEntry{FirstProbe: t0, Probes: 1, SilentSince: silentSince(t0, 1)},
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": ns1.example.com. (192.0.2.1) does not answer"},
		},
		"a lame server for 30 s": {
			report(has, refuses),
			LedgerEntry{FirstProbe: t0, Probes: 9, SilentSince: silentSince(t0, 2)},
			Verdict{State: Accept, Message: "left out: ns2.example.com. (192.0.2.2) answers REFUSED"},
		},
		"nobody to ask": {report(), first, Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet}},
		"an alias": {
			Report{Name: "_acme-challenge.example.com.", Final: "x.example.net.", Answers: []Answer{
				answerOf(1, func(a *Answer) { nodata(a); a.Target = "x.example.net." }),
				answerOf(2, func(a *Answer) { a.Name, a.Zone = "x.example.net.", "example.net." }),
				answerOf(3, func(a *Answer) { nxdomain(a); a.Name, a.Zone = "x.example.net.", "example.net." }),
			}},
			first,
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + " (an alias of x.example.net.), but the record was written at _acme-challenge.example.com.; " +
				"set cnameStrategy: Follow in the solver, or remove the CNAME record: ns3.example.com. (192.0.2.3) answers NXDOMAIN; ns2.example.com. (192.0.2.2) has it"},
		},
		"recursive waits for the negative TTL": {
			Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Mode: RecursiveOnly, Answers: []Answer{
				{Server: "192.0.2.1:53", Addr: netip.MustParseAddrPort("192.0.2.1:53"), Role: RoleRecursive, Rcode: "NXDOMAIN", NegativeTTL: 7 * time.Second},
			}},
			first,
			Verdict{State: Wait, Until: now.Add(7 * time.Second), Message: notYet + ": 192.0.2.1:53 answers NXDOMAIN"},
		},
		"a resolver with authority forgets at once": {
			Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Mode: RecursiveOnly, Answers: []Answer{
				{Server: "192.0.2.1:53", Role: RoleRecursive, Rcode: "NXDOMAIN", Authoritative: true, NegativeTTL: time.Hour},
			}},
			first,
			Verdict{State: Wait, Until: now.Add(time.Second), Message: notYet + ": 192.0.2.1:53 answers NXDOMAIN"},
		},
		"recursive waits for the retry period at most": {
			Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Mode: RecursiveOnly, Answers: []Answer{
				{Server: "192.0.2.1:53", Role: RoleRecursive, Rcode: "NOERROR", NegativeTTL: time.Hour},
			}},
			first,
			Verdict{State: Wait, Until: now.Add(10 * time.Second), Message: notYet + ": 192.0.2.1:53 has no TXT record there"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Judge(test.report, test.entry, Policy{}, now)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestJudgeCaches(t *testing.T) {
	visible := after(10 * time.Second)
	now := after(20 * time.Second)
	look := func(start, end time.Duration, failed bool) Lookup {
		l := Lookup{Started: after(start), Failed: failed}
		if end != 0 {
			l.Ended = after(end)
		}
		return l
	}
	for name, test := range map[string]struct {
		lookups  []Lookup
		ttl      time.Duration
		negative time.Duration
		want     time.Duration // until, after t0; 0 is accept
	}{
		"none":                          {want: 0},
		"before it was visible":         {lookups: []Lookup{look(1*time.Second, 3*time.Second, false)}, want: 64 * time.Second},
		"with a long TTL":               {lookups: []Lookup{look(1*time.Second, 3*time.Second, false)}, ttl: 5 * time.Minute, want: 304 * time.Second},
		"after it was visible":          {lookups: []Lookup{look(11*time.Second, 12*time.Second, false)}},
		"at the moment":                 {lookups: []Lookup{look(10*time.Second, 12*time.Second, false)}},
		"across the moment":             {lookups: []Lookup{look(5*time.Second, 15*time.Second, false)}, want: 71 * time.Second},
		"still open":                    {lookups: []Lookup{look(5*time.Second, 0, false)}, want: 71 * time.Second},
		"a later one hides no earlier":  {lookups: []Lookup{look(1*time.Second, 3*time.Second, false), look(12*time.Second, 13*time.Second, false)}, want: 64 * time.Second},
		"long ago":                      {lookups: []Lookup{look(-50*time.Second, -45*time.Second, false)}},
		"opened long ago, never closed": {lookups: []Lookup{look(-time.Hour, 0, false)}},
		"failed":                        {lookups: []Lookup{look(1*time.Second, 3*time.Second, true)}, negative: 2 * time.Minute, want: 124 * time.Second},
		"failed, small negative TTL":    {lookups: []Lookup{look(1*time.Second, 3*time.Second, true)}, negative: time.Second, want: 64 * time.Second},
		"failed, large negative TTL":    {lookups: []Lookup{look(1*time.Second, 3*time.Second, true)}, negative: time.Hour, want: 304 * time.Second},
		"failed after it was visible":   {lookups: []Lookup{look(11*time.Second, 12*time.Second, true)}, negative: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := report(has)
			r.NegativeTTL = test.negative
			want := Verdict{State: Accept}
			if test.want > 0 {
				want = Verdict{
					State: Wait, Until: after(test.want),
					Message: `DNS record for "example.com" is on every name server of example.com.; waiting until no resolver of the CA can have an older answer in its cache`,
				}
			}
			// This CA has shown that its resolvers keep answers longer than their TTL.
			e := LedgerEntry{Lookups: test.lookups, VisibleSince: visible, Probes: 1, KeepsLonger: true}
			got := Judge(r, e, Policy{TTL: test.ttl}, now)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !got.Until.IsZero() {
				if at := Judge(r, e, Policy{TTL: test.ttl}, got.Until); at.State != Accept {
					t.Errorf("at the deadline: %+v", at)
				}
			}
		})
	}
}

func TestJudgeObservedTTL(t *testing.T) {
	e := LedgerEntry{VisibleSince: after(10 * time.Second), Lookups: []Lookup{{Started: after(0), Ended: after(time.Second)}}, KeepsLonger: true}
	for ttl, want := range map[time.Duration]time.Duration{time.Second: 62 * time.Second, 2 * time.Minute: 122 * time.Second, 24 * time.Hour: 302 * time.Second} {
		r := report(func(a *Answer) { a.TTL = ttl })
		if got := Judge(r, e, Policy{TTL: 10 * time.Second}, after(20*time.Second)); !got.Until.Equal(after(want)) {
			t.Errorf("TTL %s: %+v", ttl, got)
		}
	}
}

// TestJudgeCachesOfUsualCA has a CA whose resolvers keep an answer for its TTL
// and for a minute at most, until a floor says more.
func TestJudgeCachesOfUsualCA(t *testing.T) {
	for name, test := range map[string]struct {
		failed                       bool
		written, seen, negative, min time.Duration
		want                         time.Duration // 0 is accept
	}{
		"not cached":                   {},
		"a second":                     {written: time.Second, want: 2 * time.Second},
		"a long TTL":                   {written: time.Hour, want: 61 * time.Second},
		"a TTL that the servers raise": {seen: 10 * time.Second, want: 11 * time.Second},
		"floor":                        {min: 5 * time.Second, want: 6 * time.Second},
		"a floor of minutes":           {min: 2 * time.Minute, written: time.Second, want: 121 * time.Second},
		"a TTL above the floor":        {min: 5 * time.Second, written: 10 * time.Second, want: 11 * time.Second},
		"failed":                       {failed: true, negative: 10 * time.Second, want: 11 * time.Second},
		"failed, large negative TTL":   {failed: true, negative: time.Hour, want: 61 * time.Second},
		"failed, never cached":         {failed: true},
		"failed, floor":                {failed: true, negative: time.Second, min: 5 * time.Second, want: 6 * time.Second},
		"succeeded, large negative":    {negative: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := report(func(a *Answer) { a.TTL = test.seen })
			r.NegativeTTL = test.negative
			e := LedgerEntry{VisibleSince: after(time.Second), Lookups: []Lookup{{Started: after(-time.Second), Ended: t0, Failed: test.failed}}}
			got := Judge(r, e, Policy{TTL: test.written, Floor: test.min}, after(time.Second))
			want := time.Time{}
			if test.want > 0 {
				want = after(test.want)
			}
			if !got.Until.Equal(want) || (got.State == Accept) != want.IsZero() {
				t.Errorf("%+v, want until %s", got, want)
			}
		})
	}
}

// TestLearn holds that a validation that finds nothing although every server had
// the value, and soon after another look-up, shows that the CA's resolvers keep
// answers longer than their TTL: from then on there is a wait for them.
func TestLearn(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	for name, test := range map[string]struct {
		since  time.Duration // of the earlier look-up
		failed bool          // it failed
		report Report
		want   bool
	}{
		"a look-up a moment ago":           {time.Second, false, report(has), true},
		"a look-up two minutes ago":        {2 * time.Minute, false, report(has), false},
		"a failed look-up two minutes ago": {2 * time.Minute, true, report(has), true},
		"the record is not there":          {time.Second, false, report(nxdomain), false},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			r := test.report
			r.NegativeTTL = time.Hour
			l.Restore(ca, fqdn, Lookup{Started: after(-test.since - time.Second), Ended: after(-test.since), Failed: test.failed}, after(0))
			o := Observation{Report: r, Entry: l.Observe(ca, r, t0), At: t0}
			if got := o.Stale(t0); got != test.want {
				t.Errorf("stale: %t", got)
			}
		})
	}
	var l Ledger
	l.Observe(ca, Report{Name: fqdn, Final: fqdn, Value: "older"}, t0)
	l.Missed(ca, fqdn, "v", `Incorrect TXT record "older" found`, t0)
	l.Accepted(ca, fqdn, t0)
	l.Concluded(ca, fqdn, false, after(time.Second))
	o := Observation{Report: report(has), Entry: l.Observe(ca, report(has), after(2*time.Second)), At: after(2 * time.Second)}
	if got := o.Verdict(after(2 * time.Second)); got.State != Wait || !got.Until.Equal(after(62*time.Second)) {
		t.Errorf("having learned: %+v", got)
	}
	if o.Stale(after(2 * time.Second)) {
		t.Error("it learns the same again")
	}
	if e := l.Observe("https://other.example", report(has), t0); e.KeepsLonger {
		t.Error("another CA has learned it too")
	}
}
