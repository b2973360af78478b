package selfcheck

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// serverTime bounds one question to one resolver, lookupTime all of them for one type.
	serverTime = 3 * time.Second
	lookupTime = 6 * time.Second
	// maxAddresses bounds the addresses of one family that are asked.
	maxAddresses = 4
)

// resolver returns the system's resolver, with its hosts file, or one for a question that
// asks the Nameservers in turn, beginning with another one each time. It is in Go alone,
// so that a question can be ended.
func (c *Checker) resolver() *net.Resolver {
	var next atomic.Uint32
	next.Store(c.questions.Add(1))
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if n := uint32(len(c.Nameservers)); n > 0 {
			address = c.Nameservers[next.Add(1)%n]
		}
		dialer := net.Dialer{Timeout: serverTime}
		conn, err := dialer.DialContext(ctx, network, address)
		switch conn := conn.(type) {
		case *net.UDPConn:
			return hurriedUDP{conn}, err
		case *net.TCPConn:
			return hurriedTCP{conn}, err
		default:
			return conn, err
		}
	}}
}

// hurriedUDP and hurriedTCP end a question after serverTime, so that there is time for
// another server. The resolver tells the two kinds apart by their methods.
type (
	hurriedUDP struct{ *net.UDPConn }
	hurriedTCP struct{ *net.TCPConn }
)

// SetDeadline implements net.Conn.
func (c hurriedUDP) SetDeadline(t time.Time) error { return c.UDPConn.SetDeadline(sooner(t)) }

// SetDeadline implements net.Conn.
func (c hurriedTCP) SetDeadline(t time.Time) error { return c.TCPConn.SetDeadline(sooner(t)) }

func sooner(t time.Time) time.Time {
	if limit := time.Now().Add(serverTime); t.IsZero() || limit.Before(t) {
		return limit
	}
	return t
}

// addresses looks the addresses of a name up: some of each family, those of IPv6 first.
// As a CA does, it asks for the name as it is. Only a name that can be one of the cluster
// alone is completed by the search domains.
func (c *Checker) addresses(ctx context.Context, name string) ([]netip.Addr, []Lookup) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	name = strings.TrimSuffix(name, ".")
	if !strings.Contains(name, ".") || strings.HasSuffix(name, ".svc") {
		if found, list := c.lookUp(ctx, name); len(found) > 0 {
			return found, list
		}
	}
	return c.lookUp(ctx, name+".")
}

// lookUp asks for the addresses of both families at once.
func (c *Checker) lookUp(ctx context.Context, name string) ([]netip.Addr, []Lookup) {
	var (
		group sync.WaitGroup
		found [2][]netip.Addr
		list  = []Lookup{{Type: AAAA}, {Type: A}}
	)
	for i, network := range []string{"ip6", "ip4"} {
		group.Go(func() { found[i], list[i].Failure = c.askResolver(ctx, network, name) })
	}
	group.Wait()
	var out []netip.Addr
	for i := range found {
		list[i].Addresses = len(found[i])
		out = append(out, found[i][:min(len(found[i]), maxAddresses)]...)
	}
	return out, list
}

// askResolver asks for the addresses of one family.
func (c *Checker) askResolver(ctx context.Context, network, name string) (found []netip.Addr, failure Failure) {
	defer recovered(func() { found, failure = nil, OtherFailure })
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := c.resolver().LookupNetIP(ctx, network, name)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	var dns *net.DNSError
	switch errors.As(err, &dns); {
	case err == nil, dns != nil && dns.IsNotFound:
		return slices.Compact(found), NoFailure
	case dns != nil && dns.IsTimeout, ctx.Err() != nil:
		return nil, Timeout
	default:
		return nil, OtherFailure
	}
}
