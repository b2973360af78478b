package dns_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

const (
	host  = "_acme-challenge.www.example.test."
	value = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
)

func dig(t *testing.T, addr, name string, qtype uint16) []string {
	t.Helper()
	q := new(mdns.Msg)
	q.SetQuestion(name, qtype)
	c := mdns.Client{Net: "tcp", Timeout: 5 * time.Second}
	m, _, err := c.Exchange(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{mdns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		if rr, ok := rr.(*mdns.TXT); ok {
			out = append(out, strings.Join(rr.Txt, ""))
		}
	}
	return out
}

func summary(r propagation.Report) []string {
	var out []string
	for _, a := range r.Answers {
		out = append(out, fmt.Sprintf("%s %s %s%s has=%t", a.Server, a.Role, a.Rcode, a.Failure, a.Has))
	}
	return out
}

// A delegation, a signed zone on a primary, a secondary that lags, and a
// validating resolver that keeps answers for a minute and derives others from
// NSEC records: the CA's as well as ours.
func TestSignedZoneBehindAggressiveResolver(t *testing.T) {
	const primary, secondary, parent, resolver = "127.53.0.1:53", "127.53.0.2:53", "127.53.0.3:53", "127.53.0.4:53"
	ctx := context.Background()
	p := named.Start(t, named.Options{Listen: []string{primary}, Zones: []named.Zone{{
		Name: "example.test", AllowUpdate: "any;", Signed: true,
		Text: named.ZoneText("example.test", 60, []string{"ns1", "ns2"}, "ns1 A 127.53.0.1", "ns2 A 127.53.0.2", "a A 192.0.2.1", "zz A 192.0.2.2"),
	}}})
	anchor, err := p.TrustAnchor("example.test")
	if err != nil {
		t.Fatal(err)
	}
	named.Start(t, named.Options{Listen: []string{secondary}, Zones: []named.Zone{{Name: "example.test", Primaries: []string{primary}}}})
	named.Start(t, named.Options{Listen: []string{parent}, Zones: []named.Zone{{Name: "test", Text: named.ZoneText("test", 60, []string{"ns"},
		"ns A 127.53.0.3", "example NS ns1.example", "example NS ns2.example", "ns1.example A 127.53.0.1", "ns2.example A 127.53.0.2")}}})
	unbound.Start(t, unbound.Options{
		Listen: resolver, Stubs: map[string][]string{"test": {parent}}, CacheMinTTL: 60, AggressiveNSEC: true, TrustAnchors: []string{anchor},
	})

	r, err := dns.NewResolver(dns.Config{Servers: []string{resolver}})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := rfc2136.New(rfc2136.Config{Nameserver: primary})
	if err != nil {
		t.Fatal(err)
	}
	probe := func(name, v string) propagation.Report {
		t.Helper()
		report, err := r.Probe(ctx, name, v, propagation.Authoritative, "example.test.")
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	// until probes again and again, as Judge says, until it accepts.
	var ledger propagation.Ledger
	until := func(name, v string) propagation.Verdict {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			report := probe(name, v)
			now := time.Now()
			verdict := propagation.Judge(report, ledger.Observe("ca", report, now), propagation.Policy{Floor: time.Minute, Retry: time.Second}, now)
			if verdict.State == propagation.Accept || verdict.Until.Sub(now) > 10*time.Second {
				return verdict
			}
			if now.After(deadline) {
				t.Fatalf("%+v\n%q", verdict, summary(report))
			}
			<-time.After(verdict.Until.Sub(now))
		}
	}

	before := probe(host, value)
	if !before.Signed || before.Zone != "example.test." || before.NegativeTTL != time.Minute {
		t.Errorf("zone %s, signed %t, negative TTL %s", before.Zone, before.Signed, before.NegativeTTL)
	}
	want := []string{"ns1.example.test. both NXDOMAIN has=false", "ns2.example.test. both NXDOMAIN has=false"}
	if diff := cmp.Diff(want, summary(before)); diff != "" {
		t.Errorf("before: -want +got:\n%s", diff)
	}
	if err := provider.Present(ctx, dns01.Record{FQDN: host, Value: value}); err != nil {
		t.Fatal(err)
	}
	if v := until(host, value); v.State != propagation.Accept {
		t.Fatalf("%+v", v)
	}
	ledger.Accepted("ca", host, time.Now())
	if diff := cmp.Diff([]string{"NOERROR", value}, dig(t, resolver, host, mdns.TypeTXT)); diff != "" {
		t.Errorf("the CA's resolver after the first accept: %s", diff)
	}
	ledger.Concluded("ca", host, false, time.Now())

	// A second value at the name has to wait for the resolver to forget.
	if err := provider.Present(ctx, dns01.Record{FQDN: host, Value: "second"}); err != nil {
		t.Fatal(err)
	}
	v := until(host, "second")
	if v.State != propagation.Wait || time.Until(v.Until) < 50*time.Second || time.Until(v.Until) > 62*time.Second {
		t.Errorf("second value: %+v", v)
	}
	if got := dig(t, resolver, host, mdns.TypeTXT); len(got) != 2 {
		t.Errorf("the resolver does not keep answers as this test assumes: %q", got)
	}

	// A validation of "b" that failed leaves an NSEC record in the resolver that
	// denies "c" as well: c, which the CA has never asked for, waits too.
	const b, c = "_acme-challenge.b.example.test.", "_acme-challenge.c.example.test."
	report := probe(b, value)
	ledger.Observe("ca", report, time.Now())
	ledger.Accepted("ca", b, time.Now())
	if diff := cmp.Diff([]string{"NXDOMAIN"}, dig(t, resolver, b, mdns.TypeTXT)); diff != "" {
		t.Error(diff)
	}
	ledger.Concluded("ca", b, true, time.Now())
	if err := provider.Present(ctx, dns01.Record{FQDN: c, Value: value}); err != nil {
		t.Fatal(err)
	}
	v = until(c, value)
	if v.State != propagation.Wait || time.Until(v.Until) < 50*time.Second || time.Until(v.Until) > 62*time.Second {
		t.Errorf("another name of the signed zone: %+v", v)
	}
	if diff := cmp.Diff([]string{"NXDOMAIN"}, dig(t, resolver, c, mdns.TypeTXT)); diff != "" {
		t.Errorf("the resolver derives no answers as this test assumes: %s", diff)
	}
}

// Where port 53 is intercepted a resolver answers in the place of the zone's
// servers.
func TestInterceptedPort53(t *testing.T) {
	const primary, resolver = "127.53.0.11:53", "127.53.0.12:53"
	ctx := context.Background()
	// The zone's only NS is the resolver.
	named.Start(t, named.Options{Listen: []string{primary}, Zones: []named.Zone{{
		Name: "example.test", AllowUpdate: "any;", Text: named.ZoneText("example.test", 60, []string{"ns1"}, "ns1 A 127.53.0.12"),
	}}})
	unbound.Start(t, unbound.Options{Listen: resolver, Stubs: map[string][]string{"example.test": {primary}}})
	r, err := dns.NewResolver(dns.Config{Servers: []string{resolver}})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := rfc2136.New(rfc2136.Config{Nameserver: primary, Walk: r.FindZone})
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Present(ctx, dns01.Record{FQDN: host, Value: value}); err != nil {
		t.Fatal(err)
	}
	report, err := r.Probe(ctx, host, value, propagation.Authoritative, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ns1.example.test. child NOERROR has=true"}, summary(report)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
