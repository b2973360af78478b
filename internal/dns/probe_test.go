package dns

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/test/nameserver"
)

func TestProbeUnionOfDelegationAndZone(t *testing.T) {
	w := newWorld(t, testZone("ns1 ns2 ns3"), nameserver.Zone{Name: "test", NS: []string{"ns9"}, Records: []string{"ns9 A 127.53.10.9"}})
	w.serve(9, parentZone("ns1 ns2 ns3 ns4")) // delegates to ns4 too
	w.serve(1, testZone("ns1 ns2 ns3", txt))
	w.serve(2, testZone("ns1 ns2 ns3"))
	w.serve(3, testZone("ns1 ns2 ns3", `_acme-challenge 10 TXT "older"`))
	w.serve(4, testZone("ns1", txt))
	got, err := w.resolve(nil).Probe(context.Background(), "_ACME-challenge.Example.test", "v", propagation.Authoritative, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		challenge + " ns1.example.test. both NOERROR AA has",
		challenge + " ns2.example.test. both NXDOMAIN AA serial 1",
		challenge + " ns3.example.test. both NOERROR AA",
		challenge + " ns4.example.test. parent NOERROR AA has",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got.Answers = nil
	if diff := cmp.Diff(propagation.Report{Name: challenge, Final: challenge, Value: "v", Zone: "example.test.", NegativeTTL: 42 * time.Second}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	w.quiet()
}

func TestProbeWithoutParent(t *testing.T) {
	w := newWorld(t, testZone("ns1 ns2"))
	w.serve(1, testZone("ns1 ns2", txt))
	s := w.serve(2, testZone("ns1 ns2", txt))
	r := w.resolve(nil)
	probe := func() []string {
		t.Helper()
		got, err := r.Probe(context.Background(), challenge, "v", propagation.Authoritative, "")
		if err != nil {
			t.Fatal(err)
		}
		return lines(got)
	}
	first := challenge + " ns1.example.test. child NOERROR AA has"
	for _, test := range []struct {
		behaviour nameserver.Behaviour
		want      string
	}{
		{nameserver.Behaviour{}, "NOERROR AA has"},
		{nameserver.Behaviour{Truncate: true}, "NOERROR AA has"},
		{nameserver.Behaviour{Silent: true}, "Timeout"},
		{nameserver.Behaviour{Rcode: mdns.RcodeServerFailure}, "SERVFAIL"},
	} {
		s.Behave(0, test.behaviour)
		if diff := cmp.Diff([]string{first, challenge + " ns2.example.test. child " + test.want}, probe()); diff != "" {
			t.Errorf("%+v: -want +got:\n%s", test.behaviour, diff)
		}
	}
	s.Stop()
	if diff := cmp.Diff([]string{first, challenge + " ns2.example.test. child ConnectionRefused"}, probe()); diff != "" {
		t.Errorf("stopped: -want +got:\n%s", diff)
	}
	w.quiet()
}

func TestProbeFollowsAliases(t *testing.T) {
	other := func(records ...string) nameserver.Zone {
		return nameserver.Zone{Name: "acme.test", NS: []string{"ns3.example.test."}, Records: records}
	}
	w := newWorld(t, testZone("ns1 ns2"), other())
	alias := "_acme-challenge CNAME x.acme.test."
	w.serve(1, testZone("ns1 ns2", alias))
	w.serve(2, testZone("ns1 ns2"))
	w.serve(3, other(`x TXT "v"`, "_acme-challenge.loop CNAME y", "y CNAME _ACME-challenge.loop"))
	r := w.resolve(nil)
	got, err := r.Probe(context.Background(), challenge, "v", propagation.Authoritative, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		challenge + " ns1.example.test. child NOERROR AA -> x.acme.test.",
		challenge + " ns2.example.test. child NXDOMAIN AA serial 1",
		"x.acme.test. ns3.example.test. child NOERROR AA has",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	name, zone, err := r.Locate(context.Background(), challenge, true)
	if diff := cmp.Diff([]any{"x.acme.test.", "acme.test.", nil}, []any{name, zone, err}); diff != "" {
		t.Errorf("Locate: %s", diff)
	}
	_, err = r.Probe(context.Background(), "_acme-challenge.loop.acme.test.", "v", propagation.Authoritative, "")
	wantErr := `Found recursive CNAME record to "_acme-challenge.loop.acme.test." when looking up "_acme-challenge.loop.acme.test."`
	if err == nil || err.Error() != wantErr || fault.Of(err).Class != fault.User {
		t.Errorf("loop: %v", err)
	}
	w.quiet()
}

func TestProbeFollowsReferrals(t *testing.T) {
	sub := nameserver.Zone{Name: challenge, NS: []string{"ns3.example.test."}, Records: []string{`@ TXT "v"`}, NegativeTTL: time.Second}
	w := newWorld(t, testZone("ns1 ns2"))
	cut := "_acme-challenge NS ns3"
	w.serve(1, testZone("ns1 ns2", cut))
	w.serve(2, testZone("ns1 ns2", cut))
	w.serve(3, sub)
	r := w.resolve(nil)
	got, err := r.Probe(context.Background(), challenge, "v", propagation.Authoritative, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{challenge + " ns3.example.test. both NOERROR AA has"}, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Zone != challenge {
		t.Errorf("zone %s", got.Zone)
	}
	w.quiet()
}

func TestProbeHint(t *testing.T) {
	// The resolver knows nothing between the zone and the name.
	w := newWorld(t, testZone("ns1"))
	w.serve(1, testZone("ns1", `_acme-challenge.a.b.c TXT "v"`))
	got, err := w.resolve(nil).Probe(context.Background(), "_acme-challenge.a.b.c.example.test.", "v", propagation.Authoritative,
		"example.test")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"_acme-challenge.a.b.c.example.test. ns1.example.test. child NOERROR AA has",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.asked {
		if strings.Contains(q, ".c.example.test.") || strings.HasPrefix(q, "c.example.test.") {
			t.Errorf("the recursive resolver was asked for %s", q)
		}
	}
}

func TestProbeRecursiveOnly(t *testing.T) {
	w := newWorld(t, testZone("ns1", "_acme-challenge CNAME x", `x TXT "v" `))
	empty := w.serve(2, testZone("ns1"))
	r := w.resolve(func(c *Config) { c.Servers = append(c.Servers, empty.Addr()) })
	got, err := r.Probe(context.Background(), challenge, "v", propagation.RecursiveOnly, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		challenge + " " + w.resolver.Addr() + " recursive NOERROR AA has",
		challenge + " " + empty.Addr() + " recursive NXDOMAIN AA serial 1",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.NegativeTTL != 42*time.Second {
		t.Errorf("negative TTL %s", got.NegativeTTL)
	}
}
