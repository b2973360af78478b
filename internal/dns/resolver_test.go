package dns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/test/nameserver"
)

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
