package dns

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/propagation"
)

const (
	// demotion is how long a resolver that did not answer is asked after the others.
	demotion = 30 * time.Second
	// encryptedFactor is how many timeouts an encrypted exchange may take: there are
	// more round trips before the first answer.
	encryptedFactor = 2
	// sessionCache is how many TLS sessions are kept for resumption, per resolver.
	sessionCache = 4
)

// upstream asks one recursive resolver.
type upstream struct {
	nameServerEntry
	transport Transport
	tls       *tls.Config
	http      *http.Client
	clock     clock.PassiveClock
	// demoted is until when the resolver is asked last, in Unix nanoseconds.
	demoted atomic.Int64
	// resting is set while the resolver asks to be left alone.
	resting atomic.Pointer[rest]
}

// ask sends a question and returns the answer, as Transport.ask does.
func (u *upstream) ask(ctx context.Context, q *mdns.Msg) (*mdns.Msg, error) {
	switch u.protocol {
	case onlyTCP:
		return askBy(ctx, q, func(ctx context.Context, query []byte) ([]byte, error) {
			return u.transport.RoundTrip(ctx, "tcp", u.address, query)
		})
	case overTLS:
		return askBy(ctx, q, u.exchangeTLS)
	case overHTTPS:
		// RFC 8484 section 4.1: ID 0, so that caches see equal queries.
		q = q.Copy()
		q.Id = 0
		return askBy(ctx, q, u.exchangeHTTPS)
	default:
		return u.transport.ask(ctx, u.address, q)
	}
}

// exchangeTLS sends a query over a TLS connection of its own. The certificate must be
// for the host of the entry.
func (u *upstream) exchangeTLS(ctx context.Context, query []byte) ([]byte, error) {
	t := u.transport
	t.Timeout = encryptedFactor * t.timeout()
	dial := t.dialer()
	t.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialAbsolute(ctx, dial, network, address)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(conn, u.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secured, nil
	}
	answer, err := t.RoundTrip(ctx, "tcp", u.address, query)
	return answer, u.explain(err)
}

// dialAbsolute dials a host name as an absolute name first: a search domain with a
// wildcard would answer for it with an address of its own. A name that exists only
// below a search domain is found, too.
func dialAbsolute(ctx context.Context, dial dialFunc, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if _, ip := netip.ParseAddr(host); err != nil || ip == nil || strings.HasSuffix(host, ".") || !strings.Contains(host, ".") {
		return dial(ctx, network, address)
	}
	conn, err := dial(ctx, network, net.JoinHostPort(host+".", port))
	var lookup *net.DNSError
	if errors.As(err, &lookup) && lookup.IsNotFound {
		return dial(ctx, network, address)
	}
	return conn, err
}

// rest is until when a resolver asked to be left alone, and how.
type rest struct {
	until time.Time
	says  *failed
}

// Unusable asks each resolver over TLS or HTTPS a question once, and returns an error for
// each that does not answer, with its entry: much that is wrong with such an entry, such
// as a certificate for another name, shows only then. ctx bounds the wait.
func (r *Resolver) Unusable(ctx context.Context) []error {
	errs := make([]error, len(r.upstreams))
	var group sync.WaitGroup
	for i, u := range r.upstreams {
		if u.protocol != overTLS && u.protocol != overHTTPS {
			continue
		}
		group.Go(func() {
			if _, err := u.ask(ctx, query(".", mdns.TypeNS, true, false)); err != nil && ctx.Err() == nil {
				errs[i] = &noAnswer{server: u.text, err: err}
			}
		})
	}
	group.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func (u *upstream) demote() { u.demoted.Store(u.clock.Now().Add(demotion).UnixNano()) }

// last reports whether the resolver did not answer lately.
func (u *upstream) last() bool { return u.clock.Now().UnixNano() < u.demoted.Load() }

// failed is an error with its class, and with what the resolver did, as it follows its
// name in a message.
type failed struct {
	failure propagation.Failure
	says    string
	err     error
}

// Error implements error.
func (f *failed) Error() string {
	if f.err == nil {
		return f.says
	}
	return f.says + ": " + f.err.Error()
}

// Unwrap returns the cause.
func (f *failed) Unwrap() error { return f.err }

// explain classifies what only resolvers with a name or a certificate do.
func (u *upstream) explain(err error) error {
	var (
		lookup    *net.DNSError
		untrusted *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	host := u.host
	if u.url != nil {
		host = u.url.Hostname()
	}
	switch {
	case errors.As(err, &lookup):
		return &failed{propagation.Unresolved, "has a host name that the resolver of this machine does not find: use its address, or a name that can be looked up here", err}
	case errors.As(err, &untrusted):
		return &failed{propagation.Untrusted, certificateSays(untrusted.Err, host), err}
	case errors.As(err, &record):
		return &failed{propagation.Malformed, "does not speak TLS on this port", err}
	default:
		return err
	}
}
