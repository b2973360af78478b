package named

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
)

// addAddresses adds the missing IPv4 addresses of 127.0.0.0/8 to the loopback
// interface: the kernel accepts all of them, but named lists addresses. It
// returns the addresses that it added, also with an error.
func addAddresses(ctx context.Context, listen []string) ([]string, error) {
	have, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, addr := range have {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil {
			known[prefix.Addr().String()] = true
		}
	}
	var added []string
	for _, l := range listen {
		host, _, err := splitAddr(l)
		if err != nil {
			return added, err
		}
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is4() || !addr.IsLoopback() || known[host] {
			continue
		}
		out, err := exec.CommandContext(ctx, "ip", "address", "add", host+"/32", "dev", "lo").CombinedOutput()
		if err != nil {
			return added, fmt.Errorf("add %s to the loopback interface (needs root and iproute2): %w: %s", host, err, strings.TrimSpace(string(out)))
		}
		known[host] = true
		added = append(added, host)
	}
	return added, nil
}

func removeAddresses(added []string) {
	for _, host := range added {
		_ = exec.Command("ip", "address", "del", host+"/32", "dev", "lo").Run()
	}
}

func splitAddr(addr string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("address %q: %w", addr, err)
	}
	return host, port, nil
}
