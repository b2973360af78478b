package dns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
)

// Config configures a Resolver. Only Servers is required.
type Config struct {
	// Servers are recursive resolvers, in the forms of CheckNameserver;
	// SystemServers returns the machine's own. They are asked in this order, each
	// only if those before it failed or are slow. One that did not answer is asked
	// after the others for a while.
	Servers []string
	// Timeout bounds each attempt of each query; 0 is DefaultTimeout.
	Timeout time.Duration
	// Port is where authoritative servers listen; 0 is 53. For tests.
	Port int
	// Clock gives the age of cached answers; nil is the system's.
	Clock clock.PassiveClock
	// Dial replaces the system's dialler, for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the authorities of resolvers that are asked over TLS or HTTPS; nil
	// means the system's.
	Roots *x509.CertPool
}

// Resolver asks recursive resolvers and authoritative servers. It is safe for
// concurrent use, and caches zone cuts and server sets for up to a minute.
type Resolver struct {
	// servers are the entries, upstreams what asks them, in the same order.
	servers   []string
	upstreams []*upstream
	transport Transport
	port      int
	clock     clock.PassiveClock
	cuts      cache[cut]
	sets      cache[serverSet]
	// own holds, by zone, whether the recursive resolvers have it themselves.
	own cache[bool]

	findingCut flight[cut]
	findingSet flight[serverSet]
}

const (
	// parallel is how many servers are asked at once.
	parallel = 16
	// parentBudget bounds the search for a zone's delegation at its parent, which
	// is only the second source of the set of servers.
	parentBudget = 2 * time.Second
)

// NewResolver checks the servers: one in another form than those of CheckNameserver
// is a User fault.
func NewResolver(c Config) (*Resolver, error) {
	if len(c.Servers) == 0 {
		return nil, fault.New(fault.User, "InvalidNameserver", "no recursive name server is configured")
	}
	r := &Resolver{
		servers:   append([]string(nil), c.Servers...),
		transport: Transport{Timeout: c.Timeout, Dial: c.Dial},
		port:      c.Port,
		clock:     c.Clock,
	}
	if r.port == 0 {
		r.port = 53
	}
	if r.clock == nil {
		r.clock = clock.RealClock{}
	}
	for _, s := range c.Servers {
		entry, err := parseEntry(s)
		if err != nil {
			return nil, err
		}
		r.upstreams = append(r.upstreams, r.newUpstream(entry, c.Roots))
	}
	r.cuts, r.sets, r.own = newCache[cut](r.clock), newCache[serverSet](r.clock), newCache[bool](r.clock)
	return r, nil
}

func (r *Resolver) newUpstream(entry nameServerEntry, roots *x509.CertPool) *upstream {
	u := &upstream{nameServerEntry: entry, transport: r.transport, clock: r.clock}
	u.tls = &tls.Config{RootCAs: roots, ServerName: entry.host, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessionCache)}
	if entry.protocol == overHTTPS {
		u.http = newHTTPClient(u.transport.dialer(), u.tls)
	}
	return u
}

// recurse asks the recursive resolvers in turn until one answers with NOERROR
// or NXDOMAIN, and returns the answer and the resolver. If none does, it returns
// an answer with another RCODE, or the errors.
func (r *Resolver) recurse(ctx context.Context, name string, qtype uint16) (*mdns.Msg, string, error) {
	m, failures := inTurn(ctx, r, func(ctx context.Context, u *upstream) (answer, error) {
		m, err := u.ask(ctx, query(name, qtype, true, false))
		switch {
		case err != nil:
			return answer{}, &noAnswer{server: u.text, err: err}
		case m.Rcode == mdns.RcodeSuccess || m.Rcode == mdns.RcodeNameError:
			return answer{m, u.text}, nil
		default:
			return answer{}, &otherRcode{answer{m, u.text}}
		}
	})
	if m.msg != nil {
		return m.msg, m.server, nil
	}
	for _, err := range slices.Backward(failures) {
		var other *otherRcode
		if errors.As(err, &other) {
			return other.msg, other.server, nil
		}
	}
	return nil, "", unanswered(failures)
}

// answer is a message and the resolver that sent it.
type answer struct {
	msg    *mdns.Msg
	server string
}

// otherRcode is the error for an answer with another RCODE than NOERROR and NXDOMAIN.
type otherRcode struct{ answer }

func (e *otherRcode) Error() string { return e.server + " answers " + RcodeText(e.msg.Rcode) }

// Authoritative reports whether all recursive resolvers serve a zone themselves,
// so that they cache nothing of it.
func (r *Resolver) Authoritative(ctx context.Context, zone string) bool {
	if own, ok := r.own.get(zone); ok {
		return own
	}
	own := true
	for _, u := range r.upstreams {
		m, err := u.ask(ctx, query(zone, mdns.TypeSOA, true, false))
		own = own && err == nil && m.Authoritative
	}
	r.own.put(zone, own, maxCacheTTL)
	return own
}

// noAnswer is the error for a resolver that did not reply.
type noAnswer struct {
	server string
	err    error
}

// Error names the resolver and what it does, in stable words.
func (e *noAnswer) Error() string { return e.server + " " + says(e.err) }

// Unwrap returns the cause.
func (e *noAnswer) Unwrap() error { return e.err }

// otherResolvers is what a user can do if the resolvers are the wrong ones.
const otherResolvers = "set --dns01-recursive-nameservers to name servers that "

// unanswered is the fault for a question to which none of the resolvers that were
// asked replied.
func unanswered(silent []error) error {
	var servers, causes []string
	for _, err := range silent {
		causes = append(causes, err.Error())
		var no *noAnswer
		if errors.As(err, &no) {
			servers = append(servers, no.server)
		}
	}
	return fault.New(fault.Transient, "NoAnswer", "no answer from the recursive name servers %v: %s; "+otherResolvers+"everleaf can reach",
		servers, strings.Join(causes, ", ")).Because(errors.Join(silent...))
}

// addresses looks up the A and AAAA records of a server's name. It fails if it
// finds no address and at least one of the two lookups failed.
func (r *Resolver) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	type result struct {
		addrs []netip.Addr
		err   error
	}
	look := func(qtype uint16) (found result) {
		defer recovered(&found.err)
		m, _, err := r.recurse(ctx, name, qtype)
		if err != nil {
			return result{err: err}
		}
		if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
			return result{err: fmt.Errorf("%s for the address of %s", RcodeText(m.Rcode), name)}
		}
		// The owner may be any: the addresses are at the end of a CNAME chain.
		for _, rr := range m.Answer {
			if addr, ok := addrOf(rr); ok {
				found.addrs = append(found.addrs, addr)
			}
		}
		return found
	}
	six := make(chan result, 1)
	go func() { six <- look(mdns.TypeAAAA) }()
	a := look(mdns.TypeA)
	b := <-six
	if a.err != nil && b.err != nil {
		return nil, a.err
	}
	if found := append(a.addrs, b.addrs...); len(found) > 0 {
		return found, nil
	}
	// One failed lookup is enough: half an answer is no proof that there is no
	// address.
	return nil, errors.Join(a.err, b.err)
}

func addrOf(rr mdns.RR) (netip.Addr, bool) {
	var ip net.IP
	switch rr := rr.(type) {
	case *mdns.A:
		ip = rr.A
	case *mdns.AAAA:
		ip = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}
