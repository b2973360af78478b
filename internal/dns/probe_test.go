package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	mdns "github.com/miekg/dns"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/test/nameserver"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const challenge = "_acme-challenge.example.test."

// world is a resolver that knows where things are, and the servers themselves:
// 127.53.10.N, all on one port.
type world struct {
	t        *testing.T
	port     string
	resolver *nameserver.Server
	clock    *clocktesting.FakePassiveClock

	mu    sync.Mutex
	asked []string // questions that the resolver saw
}

// newWorld starts the resolver. hosts maps server names to the N of their
// address.
func newWorld(t *testing.T, zones ...nameserver.Zone) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakePassiveClock(t0)}
	l, err := net.Listen("tcp", "127.53.10.1:0")
	if err != nil {
		t.Skipf("no 127.53.10.1 here: %v", err)
	}
	_, w.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	w.resolver = w.start(nameserver.Options{
		Listen: []string{"127.0.0.1:0"}, Zones: zones,
		OnMessage: func(m nameserver.Message) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asked = append(w.asked, strings.ToLower(m.Name)+" "+mdns.TypeToString[m.Type])
		},
	})
	return w
}

func (w *world) start(o nameserver.Options) *nameserver.Server {
	w.t.Helper()
	o.Clock = w.clock
	s, err := nameserver.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Stop)
	return s
}

func (w *world) addr(n int) string { return fmt.Sprintf("127.53.10.%d:%s", n, w.port) }

// serve runs an authoritative server on address n.
func (w *world) serve(n int, zones ...nameserver.Zone) *nameserver.Server {
	w.t.Helper()
	return w.start(nameserver.Options{Listen: []string{w.addr(n)}, Zones: zones})
}

func (w *world) resolve(change func(*Config)) *Resolver {
	w.t.Helper()
	var port int
	if _, err := fmt.Sscan(w.port, &port); err != nil {
		w.t.Fatal(err)
	}
	c := Config{Servers: []string{w.resolver.Addr()}, Port: port, Clock: w.clock, Timeout: 100 * time.Millisecond}
	if change != nil {
		change(&c)
	}
	r, err := NewResolver(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// quiet fails if the resolver was asked for a challenge name.
func (w *world) quiet() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.asked {
		if strings.HasPrefix(q, "_acme-challenge.") {
			w.t.Errorf("the recursive resolver was asked for %s", q)
		}
	}
}

// lines are a report's answers in short.
func lines(r propagation.Report) []string {
	var out []string
	for _, a := range r.Answers {
		what := string(a.Failure)
		if a.Failure == propagation.NoFailure {
			what = a.Rcode
		}
		for _, note := range []struct {
			on   bool
			text string
		}{{a.Authoritative, "AA"}, {a.Has, "has"}, {a.Target != "", "-> " + a.Target}, {a.Serial != 0, fmt.Sprint("serial ", a.Serial)}} {
			if note.on {
				what += " " + note.text
			}
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", a.Name, a.Server, a.Role, what))
	}
	return out
}

func testZone(ns string, records ...string) nameserver.Zone {
	z := nameserver.Zone{Name: "example.test", NS: strings.Fields(ns), Records: []string{
		"ns1 A 127.53.10.1", "ns2 A 127.53.10.2", "ns3 A 127.53.10.3", "ns4 A 127.53.10.4",
	}, NegativeTTL: 42 * time.Second, Update: []string{nameserver.AnyUpdate}}
	z.Records = append(z.Records, records...)
	return z
}

func parentZone(ns string) nameserver.Zone {
	z := nameserver.Zone{Name: "test", NS: []string{"ns9"}, Records: []string{"ns9 A 127.53.10.9"}}
	for i, name := range strings.Fields(ns) {
		z.Records = append(z.Records, fmt.Sprintf("example NS %s.example", name), fmt.Sprintf("%s.example A 127.53.10.%d", name, i+1))
	}
	return z
}

const txt = `_acme-challenge 10 TXT "v"`

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

func TestFindZoneAndAlias(t *testing.T) {
	w := newWorld(t, testZone("ns1", "alias CNAME Real", "a CNAME B", "b CNAME A"), nameserver.Zone{Name: "test"})
	r := w.resolve(nil)
	ctx := context.Background()
	for name, want := range map[string]string{
		"example.test.":                  "example.test.",
		"_acme-challenge.X.example.test": "example.test.",
		"alias.example.test.":            "example.test.",
		"other.test.":                    "test.",
	} {
		if got, err := r.FindZone(ctx, name); err != nil || got != want {
			t.Errorf("FindZone(%s) = %s, %v", name, got, err)
		}
	}
	_, err := r.FindZone(ctx, "www.example.com.")
	want := fmt.Sprintf("When querying the SOA record for the domain 'www.example.com.' using nameservers [%s], rcode was expected to be 'NOERROR' or 'NXDOMAIN', but got 'REFUSED'; check the domain, or set --dns01-recursive-nameservers to name servers that know it", w.resolver.Addr())
	if err == nil || err.Error() != want {
		t.Errorf("FindZone: %v", err)
	}
	for name, want := range map[string]string{"alias.example.test": "real.example.test.", "A.example.test.": "b.example.test.", "www.example.test.": ""} {
		if got, err := r.Alias(ctx, name); err != nil || got != want {
			t.Errorf("Alias(%s) = %q, %v", name, got, err)
		}
	}
	for zone, want := range map[string]bool{"example.test.": true, "example.com.": false} {
		if got := r.Authoritative(ctx, zone); got != want {
			t.Errorf("Authoritative(%s) = %t", zone, got)
		}
	}
	// Cached answers expire with their TTL.
	w.resolver.Behave(0, nameserver.Behaviour{Rcode: mdns.RcodeServerFailure})
	if _, err := r.FindZone(ctx, "example.test."); err != nil {
		t.Errorf("cached: %v", err)
	}
	w.clock.SetTime(t0.Add(61 * time.Second))
	if _, err := r.FindZone(ctx, "example.test."); err == nil {
		t.Error("the cached zone outlived its TTL")
	}
}

func TestNextResolverOnError(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	silent := w.serve(5)
	silent.Behave(0, nameserver.Behaviour{Silent: true})
	refusing := w.serve(6)
	r := w.resolve(func(c *Config) { c.Servers = []string{silent.Addr(), refusing.Addr(), w.resolver.Addr()} })
	if got, err := r.FindZone(context.Background(), challenge); err != nil || got != "example.test." {
		t.Errorf("FindZone = %s, %v", got, err)
	}
	r = w.resolve(func(c *Config) { c.Servers = []string{silent.Addr()} })
	_, err := r.FindZone(context.Background(), challenge)
	if want := fmt.Sprintf("no answer from the recursive name servers [%s]: %[1]s does not answer; set --dns01-recursive-nameservers to name servers that everleaf can reach", silent.Addr()); err == nil || err.Error() != want {
		t.Errorf("FindZone: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Probe(ctx, challenge, "v", propagation.Authoritative, ""); err == nil {
		t.Error("a probe went on without its context")
	}
}

// TestResolversThatFail holds that a failure names every resolver that was asked,
// with its cause, and what to do.
func TestResolversThatFail(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	silent := w.serve(5)
	silent.Behave(0, nameserver.Behaviour{Silent: true})
	root := w.serve(6, nameserver.Zone{Name: "test"})
	nowhere := w.serve(8)
	nowhere.Behave(0, nameserver.Behaviour{Rcode: mdns.RcodeNameError})
	down := w.addr(7)
	const reach = "; set --dns01-recursive-nameservers to name servers that everleaf can reach"
	const know = "; check the domain, or set --dns01-recursive-nameservers to name servers that know it"
	for _, test := range []struct {
		name    string
		servers []string
		want    string
	}{
		{"down", []string{down}, "no answer from the recursive name servers [DOWN]: DOWN refuses connections" + reach},
		{"down and silent", []string{down, silent.Addr()}, "no answer from the recursive name servers [DOWN SILENT]: DOWN refuses connections, SILENT does not answer" + reach},
		{
			"down and without the zone",
			[]string{root.Addr(), down},
			"When querying the SOA record for the domain 'www.example.com.' using nameservers [ROOT DOWN], rcode was expected to be 'NOERROR' or 'NXDOMAIN', but got 'REFUSED' " +
				"(ROOT answers REFUSED, DOWN refuses connections)" + know,
		},
		{
			"without the name",
			[]string{nowhere.Addr()},
			"Could not find the SOA record in the DNS tree for the domain 'www.example.com.' using nameservers [NOWHERE]" + know,
		},
		{
			"silent and without the name",
			[]string{silent.Addr(), nowhere.Addr()},
			"Could not find the SOA record in the DNS tree for the domain 'www.example.com.' using nameservers [SILENT NOWHERE] " +
				"(SILENT does not answer, NOWHERE knows no zone above it)" + know,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.resolve(func(c *Config) { c.Servers = test.servers })
			want := strings.NewReplacer("DOWN", down, "SILENT", silent.Addr(), "ROOT", root.Addr(), "NOWHERE", nowhere.Addr()).Replace(test.want)
			_, err := r.FindZone(t.Context(), "www.example.com.")
			if err == nil || err.Error() != want {
				t.Errorf("FindZone: got  %v\nwant %s", err, want)
			}
			if _, err := r.Alias(t.Context(), "www.example.com."); strings.HasPrefix(want, "no answer") && (err == nil || err.Error() != want) {
				t.Errorf("Alias: got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestNoServers(t *testing.T) {
	const begin = `Could not determine authoritative nameservers for "example.com."`
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, begin},
		{context.Canceled, begin},
		{unanswered([]error{&noAnswer{server: "192.0.2.1:53", err: syscall.ECONNREFUSED}}), begin + ": no answer from the recursive name servers [192.0.2.1:53]: " +
			"192.0.2.1:53 refuses connections; set --dns01-recursive-nameservers to name servers that everleaf can reach"},
	} {
		if got := noServers("example.com.", test.err).Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestNewResolver(t *testing.T) {
	for server, want := range map[string]string{
		"192.0.2.1:53":                  "",
		"[2001:db8::1]:53":              "",
		"192.0.2.1":                     `name server "192.0.2.1" is not of the form host:port`,
		"192.0.2.1:x":                   `name server "192.0.2.1:x" has no valid port`,
		"https://dns.example/dns-query": `name server "https://dns.example/dns-query": DNS over HTTPS is not built yet; give the address of a resolver as host:port`,
	} {
		_, err := NewResolver(Config{Servers: []string{server}})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s", server, got)
		}
	}
}

func TestSystemServers(t *testing.T) {
	dir := t.TempDir()
	if diff := cmp.Diff([]string{"8.8.8.8:53", "8.8.4.4:53"}, systemServers(dir+"/missing"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestLocateUnanswered holds that a CNAME record which could not be asked for does
// not count as missing: the record would be written at a wrong name.
func TestLocateUnanswered(t *testing.T) {
	alias := "_acme-challenge CNAME x.acme.test."
	w := newWorld(t, testZone("ns1 ns2"), nameserver.Zone{Name: "acme.test", NS: []string{"ns3.example.test."}})
	one, two := w.serve(1, testZone("ns1 ns2", alias)), w.serve(2, testZone("ns1 ns2", alias))
	w.serve(3, nameserver.Zone{Name: "acme.test", NS: []string{"ns3.example.test."}})
	r := w.resolve(nil)
	silent, broken := nameserver.Behaviour{Silent: true}, nameserver.Behaviour{Rcode: mdns.RcodeServerFailure}
	at := func(n int) string { return fmt.Sprintf("ns%d.example.test. (%s)", n, w.addr(n)) }
	for _, test := range []struct {
		name     string
		one, two nameserver.Behaviour
		want     string
		timedOut bool
	}{
		{"both answer", nameserver.Behaviour{}, nameserver.Behaviour{}, "", false},
		{"one answers", silent, nameserver.Behaviour{}, "", false},
		{"none answers", silent, silent, at(1) + " does not answer; " + at(2) + " does not answer", true},
		{"both fail", broken, broken, at(1) + " answers SERVFAIL; " + at(2) + " answers SERVFAIL", false},
		{"one fails, the other does not answer", broken, silent, at(1) + " answers SERVFAIL; " + at(2) + " does not answer", true},
	} {
		one.Behave(0, test.one)
		two.Behave(0, test.two)
		name, _, err := r.Locate(context.Background(), challenge, true)
		if test.want == "" {
			if err != nil || name != "x.acme.test." {
				t.Errorf("%s: %q, %v", test.name, name, err)
			}
			continue
		}
		want := `Could not find out whether "_acme-challenge.example.test." has a CNAME record: ` + test.want + "; check these name servers, and that they can be reached from here"
		if f := fault.Of(err); err == nil || f.Class != fault.Transient || f.Message != want || errors.Is(err, os.ErrDeadlineExceeded) != test.timedOut {
			t.Errorf("%s: %q, %v, want %q", test.name, name, err, want)
		}
	}
	w.quiet()
}

// TestAliasUnanswered holds the same of recursive resolvers.
func TestAliasUnanswered(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	w.resolver.Behave(0, nameserver.Behaviour{Rcode: mdns.RcodeServerFailure})
	target, err := w.resolve(nil).Alias(context.Background(), challenge)
	want := fmt.Sprintf(`Could not find out whether "_acme-challenge.example.test." has a CNAME record: %s answers SERVFAIL; set --dns01-recursive-nameservers to name servers that know it`, w.resolver.Addr())
	if err == nil || fault.Of(err).Class != fault.Transient || err.Error() != want {
		t.Errorf("%q, %v, want %q", target, err, want)
	}
}
