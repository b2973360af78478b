package address

import (
	"net"
	"net/netip"
	"testing"
)

func TestEdge(t *testing.T) {
	addr, err := Edge(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !addr.Is4() || !addr.IsLoopback() || addr.As4()[1] == 0 {
		t.Errorf("Edge() = %s, want an address of 127.0.0.0/8 outside of 127.0.0.0/16", addr)
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Free(t.Context(), addr, netip.MustParseAddrPort(l.Addr().String()).Port()); err == nil {
		t.Errorf("%s is free, although this test listens on it", l.Addr())
	}
}

func TestBackend(t *testing.T) {
	addr, err := Backend()
	if err != nil {
		t.Skip(err)
	}
	if addr.IsLoopback() || addr.IsLinkLocalUnicast() {
		t.Errorf("Backend() = %s, which an EndpointSlice may not hold", addr)
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatalf("the address is not one of this machine: %v", err)
	}
	l.Close()
}
