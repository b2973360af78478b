package dns

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	clocktesting "k8s.io/utils/clock/testing"

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
