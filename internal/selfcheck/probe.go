package selfcheck

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

const (
	// checkTime bounds a check, proxyTime the part of it that a proxy may take.
	checkTime = 10 * time.Second
	proxyTime = 5 * time.Second
)

// Config configures a Checker. The zero value is usable.
type Config struct {
	// Nameservers are the resolvers, each ip:port, that are asked in rotation
	// (--acme-http01-solver-nameservers); none means the system's, with its hosts file.
	Nameservers []string
	// UserAgent is the header of the requests.
	UserAgent string
	// Clock gives the time of a Report; nil is the system's.
	Clock clock.PassiveClock
	// Retry is the longest time between two checks (--dns01-check-retry-period); 0 is
	// propagation.DefaultRetry.
	Retry time.Duration
	// Proxy returns the proxy for a URL, nil for none; nil is that of the environment
	// (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
	Proxy func(*url.URL) (*url.URL, error)
	// Port and TLSPort are asked in the place of 80 and 443, unless they are 0. For tests.
	Port, TLSPort int
}

// Checker looks for challenges. It is safe for concurrent use, and keeps nothing of what it sees.
type Checker struct {
	Config
	// questions counts what the resolvers were asked.
	questions atomic.Uint32
}

// New checks the Nameservers: one that is not ip:port is a User fault.
func New(c Config) (*Checker, error) {
	for _, s := range c.Nameservers {
		if _, err := netip.ParseAddrPort(s); err != nil {
			return nil, fault.New(fault.User, "InvalidNameserver", "the name server %q must be ip:port, such as 8.8.8.8:53", s).Because(err)
		}
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.Proxy == nil {
		c.Proxy = func(u *url.URL) (*url.URL, error) { return http.ProxyFromEnvironment(&http.Request{URL: u}) }
	}
	c.Retry = cmp.Or(c.Retry, propagation.DefaultRetry)
	c.Port, c.TLSPort = cmp.Or(c.Port, 80), cmp.Or(c.TLSPort, 443)
	return &Checker{Config: c}, nil
}

// Check looks for a challenge, in at most 10 s. With a proxy it asks that, and the
// addresses of the name only if the answer is not the right one; without, it asks every
// address, or 4 of each family if there are more. Of several answers of one address, the
// first one that is not right counts.
func (c *Checker) Check(ctx context.Context, t Target) Report {
	r := Report{Name: t.DNSName, At: c.Clock.Now(), Since: t.Since, Retry: c.Retry, Nameservers: c.Nameservers}
	if r.Since.IsZero() {
		r.Since = r.At
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	c.ask(ctx, t, &r)
	r.Took = c.Clock.Since(r.At)
	return r
}

// ask asks who can be asked, and puts what they say into a Report.
func (c *Checker) ask(ctx context.Context, t Target, r *Report) {
	addresses, lookups := c.addresses(ctx, t.DNSName)
	r.Lookups = lookups
	if proxy := c.proxyFor(t, addresses); proxy != nil {
		answer := c.throughProxy(ctx, t, proxy)
		r.Answers = append(r.Answers, answer)
		if answer.Right() {
			return
		}
	}
	asks := max(t.Asks, 1)
	answers := make([]Answer, len(addresses)*asks)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = c.fetch(ctx, t, addresses[i/asks], nil) })
	}
	group.Wait()
	for of := range slices.Chunk(answers, asks) {
		wrong := slices.IndexFunc(of, func(a Answer) bool { return !a.Right() })
		r.Answers = append(r.Answers, of[max(wrong, 0)])
	}
}

// proxyFor returns the proxy for a challenge, nil for none. NO_PROXY can name networks:
// they count for the addresses of the name too.
func (c *Checker) proxyFor(t Target, addresses []netip.Addr) *url.URL {
	proxy, err := c.Proxy(challengeURL(t.DNSName, t.Token))
	if err != nil || proxy == nil {
		return nil
	}
	for _, a := range addresses {
		if p, err := c.Proxy(challengeURL(a.String(), t.Token)); err != nil || p != nil {
			return proxy
		}
	}
	if len(addresses) == 0 {
		return proxy
	}
	return nil
}

func (c *Checker) throughProxy(ctx context.Context, t Target, proxy *url.URL) Answer {
	ctx, cancel := context.WithTimeout(ctx, proxyTime)
	defer cancel()
	return c.fetch(ctx, t, netip.Addr{}, proxy)
}

const path = "/.well-known/acme-challenge/"

// challengeURL is where a CA looks for a challenge.
func challengeURL(name, token string) *url.URL {
	if addr, err := netip.ParseAddr(name); err == nil && addr.Is6() {
		name = "[" + name + "]"
	}
	return &url.URL{Scheme: "http", Host: name, Path: path + token}
}
