package dns

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/propagation"
)

// network is a network in memory: some addresses have a name server with all records,
// some have no route, and packets to all others disappear.
type network struct {
	servers []string
	noRoute string // a prefix of addresses
	records []string
	change  func(answer *mdns.Msg) // nil for none

	mu    sync.Mutex
	asked []string
}

func (n *network) dial(ctx context.Context, protocol, address string) (net.Conn, error) {
	switch {
	case n.noRoute != "" && strings.HasPrefix(address, n.noRoute):
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	case protocol == "tcp":
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		query := make([]byte, maxMessage)
		size, err := server.Read(query)
		if err != nil || !slices.Contains(n.servers, address) {
			<-ctx.Done()
			time.Sleep(time.Second) // the client's deadline comes first
			return
		}
		q := new(mdns.Msg)
		if q.Unpack(query[:size]) != nil {
			return
		}
		raw, _ := n.answer(q).Pack()
		_, _ = server.Write(raw)
	}()
	return client, nil
}

func (n *network) answer(q *mdns.Msg) *mdns.Msg {
	n.mu.Lock()
	n.asked = append(n.asked, q.Question[0].Name)
	n.mu.Unlock()
	a := new(mdns.Msg)
	a.SetReply(q)
	a.Authoritative = true
	for _, record := range n.records {
		rr, err := mdns.NewRR(record)
		if err == nil && rr.Header().Rrtype == q.Question[0].Qtype && sameName(rr.Header().Name, q.Question[0].Name) {
			a.Answer = append(a.Answer, rr)
		}
	}
	if n.change != nil {
		n.change(a)
	}
	return a
}

var familyRecords = []string{
	"test. 60 SOA ns1 h 1 1 1 1 60", "example.test. 60 SOA ns1 h 1 1 1 1 60",
	"example.test. 60 NS ns1.example.test.", "example.test. 60 NS ns2.example.test.", "example.test. 60 NS ns3.example.test.",
	"ns1.example.test. 60 A 192.0.2.11", "ns1.example.test. 60 AAAA 2001:db8::11",
	"ns2.example.test. 60 AAAA 2001:db8::12", "ns3.example.test. 60 A 192.0.2.13",
	challenge + ` 10 TXT "v"`,
}

// TestOneFamily holds that every address of every server is asked, and how long a check
// takes if one family of addresses, or the first resolver, does not work.
func TestOneFamily(t *testing.T) {
	const one, three, six, seven = "ns1.example.test. [192.0.2.11]", "ns3.example.test. [192.0.2.13]", "ns1.example.test. [2001:db8::11]", "ns2.example.test. [2001:db8::12]"
	for _, test := range []struct {
		name      string
		resolvers []string
		network   *network
		most      time.Duration
		want      []string
		state     propagation.State
		later     propagation.State
	}{
		{
			name: "no route to IPv6", resolvers: []string{"192.0.2.1:53"}, network: &network{noRoute: "[2001:"},
			want:  []string{one + " has", six + " NoRoute", seven + " NoRoute", three + " has"},
			state: propagation.Accept, later: propagation.Accept,
		},
		{
			name: "IPv6 is a black hole", resolvers: []string{"192.0.2.1:53"}, most: 5 * time.Second,
			want:  []string{one + " has", six + " Timeout", seven + " Timeout", three + " has"},
			state: propagation.Wait, later: propagation.Accept,
		},
		{
			name: "and the first resolver is behind it", resolvers: []string{"[2606:4700:4700::1111]:53", "192.0.2.1:53"}, most: 6 * time.Second,
			want:  []string{one + " has", six + " Timeout", seven + " Timeout", three + " has"},
			state: propagation.Wait, later: propagation.Accept,
		},
		{
			name: "no route to IPv4", resolvers: []string{"[2001:db8::1]:53"}, network: &network{noRoute: "192.", servers: []string{"[2001:db8::1]:53", "[2001:db8::11]:53", "[2001:db8::12]:53"}},
			want:  []string{one + " NoRoute", six + " has", seven + " has", three + " NoRoute"},
			state: propagation.Wait, later: propagation.Accept,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := test.network
				if n == nil {
					n = &network{}
				}
				n.records = familyRecords
				if n.servers == nil {
					n.servers = []string{"192.0.2.1:53", "192.0.2.11:53", "192.0.2.13:53"}
				}
				r, err := NewResolver(Config{Servers: test.resolvers, Dial: n.dial})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				report, err := r.Probe(t.Context(), challenge, "v", propagation.Authoritative, "")
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > test.most {
					t.Errorf("the check took %s, want %s at most", took, test.most)
				}
				var got []string
				for _, a := range report.Answers {
					what := string(a.Failure)
					if a.Has {
						what = "has"
					}
					got = append(got, a.Server+" ["+a.Addr.Addr().String()+"] "+what)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				var ledger propagation.Ledger
				entry := ledger.Observe("ca", report, start)
				if got := propagation.Judge(report, entry, propagation.Policy{}, start); got.State != test.state {
					t.Errorf("at once: %+v", got)
				}
				entry = ledger.Observe("ca", report, start.Add(30*time.Second))
				if got := propagation.Judge(report, entry, propagation.Policy{}, start.Add(30*time.Second)); got.State != test.later {
					t.Errorf("after 30 s: %+v", got)
				}
				time.Sleep(time.Minute) // what is still under way ends within the bubble
			})
		})
	}
}

// TestSlowResolverIsAskedLast holds that a resolver without an answer costs one look-up
// half a timeout, and those after it nothing until it is asked first again.
func TestSlowResolverIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{records: familyRecords, servers: []string{"192.0.2.2:53"}}
		r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53", "192.0.2.2:53"}, Dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{time.Second, 0, 0} {
			start := time.Now()
			if _, err := r.Alias(t.Context(), "www.example.test."); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("look-up %d took %s, want %s", i+1, took, want)
			}
		}
		time.Sleep(demotion)
		start := time.Now()
		if _, err := r.Alias(t.Context(), "www.example.test."); err != nil || time.Since(start) != time.Second {
			t.Errorf("after %s: %s, %v", demotion, time.Since(start), err)
		}
		time.Sleep(time.Minute)
	})
}

// TestAbsoluteNames holds that no search domain is added to a name.
func TestAbsoluteNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{records: familyRecords, servers: []string{"192.0.2.1:53", "192.0.2.11:53", "192.0.2.13:53"}, noRoute: "[2001:"}
		r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53"}, Dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		if zone, err := r.FindZone(t.Context(), "www.example.test"); err != nil || zone != "example.test." {
			t.Errorf("FindZone = %q, %v", zone, err)
		}
		if _, err := r.Probe(t.Context(), challenge, "v", propagation.Authoritative, ""); err != nil {
			t.Error(err)
		}
		known := []string{"www.example.test.", "example.test.", "test.", challenge, "ns1.example.test.", "ns2.example.test.", "ns3.example.test."}
		for _, name := range n.asked {
			if !slices.Contains(known, name) {
				t.Errorf("a name server was asked for %q", name)
			}
		}
		time.Sleep(time.Minute)
	})
}

// TestResolverWithoutTime holds that an error names the resolver also if there was no
// time left to ask it.
func TestResolverWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53", "192.0.2.2:53"}, Dial: (&network{}).dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		_, err = r.Alias(ctx, "www.example.test.")
		want := "no answer from the recursive name servers [192.0.2.1:53]: 192.0.2.1:53 does not answer; set --dns01-recursive-nameservers to name servers that everleaf can reach"
		if err == nil || err.Error() != want || FailureOf(err) != propagation.Timeout {
			t.Errorf("got  %v (%s)\nwant %s", err, FailureOf(err), want)
		}
		time.Sleep(time.Minute)
	})
}
