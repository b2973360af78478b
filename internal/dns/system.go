package dns

import (
	"net"

	mdns "github.com/miekg/dns"
)

// fallbackServers are asked if the machine has no resolver configured, as in
// cert-manager.
var fallbackServers = []string{"8.8.8.8:53", "8.8.4.4:53"}

// SystemServers returns the machine's recursive resolvers as host:port, from
// /etc/resolv.conf, or Google's public ones if there are none.
func SystemServers() []string { return systemServers("/etc/resolv.conf") }

func systemServers(path string) []string {
	c, err := mdns.ClientConfigFromFile(path)
	if err != nil || len(c.Servers) == 0 {
		return append([]string(nil), fallbackServers...)
	}
	out := make([]string, 0, len(c.Servers))
	for _, s := range c.Servers {
		out = append(out, net.JoinHostPort(s, c.Port))
	}
	return out
}
