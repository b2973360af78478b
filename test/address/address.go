// Package address finds addresses for the servers of tests, without a change to the
// machine's interfaces.
package address

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
)

// tries bounds the search for an address with free ports.
const tries = 20

// Edge returns an address out of 127.0.0.0/8 whose TCP ports are free, for a server with
// fixed ports such as 80: the kernel accepts every address of that range. It is drawn at
// random, so that tests which run at the same time have different ones. Ports below 1024
// need root.
func Edge(ctx context.Context, ports ...uint16) (netip.Addr, error) {
	var err error
	for range tries {
		// 127.0.x.y is left to others.
		n := rand.Uint32N(1<<24-1<<16-1) + 1<<16
		addr := netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
		if err = Free(ctx, addr, ports...); err == nil {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("find an address of the loopback interface: %w", err)
}

// Free returns an error if a TCP port of an address cannot be listened on.
func Free(ctx context.Context, addr netip.Addr, ports ...uint16) error {
	for _, port := range ports {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// FreePort returns an address with a TCP port that is free now. Another process may take it
// before the caller does.
func FreePort(ctx context.Context, addr netip.Addr) (netip.AddrPort, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// Backend returns an address of this machine that an EndpointSlice may hold, IPv4 if there
// is one. The API server refuses those of the loopback interface (127.0.0.0/8 and ::1) and
// link-local ones.
func Backend() (netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, err
	}
	var found []netip.Addr
	for _, one := range all {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil && prefix.Addr().IsGlobalUnicast() {
			found = append(found, prefix.Addr())
		}
	}
	if len(found) == 0 {
		return netip.Addr{}, errors.New("this machine has only addresses of the loopback interface, and EndpointSlices may not hold those")
	}
	if i := slices.IndexFunc(found, netip.Addr.Is4); i >= 0 {
		return found[i], nil
	}
	return found[0], nil
}
