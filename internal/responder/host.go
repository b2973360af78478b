package responder

import (
	"net/netip"
	"strings"
)

// hostname returns a Host header without port and brackets.
func hostname(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, _, _ = strings.Cut(inner, "]")
		return inner
	}
	// An IPv6 address without brackets has no port.
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		return name
	}
	return host
}

// canonical returns a name, without port, in the one form in which names are compared: in
// lower case, without the final dot; an IP address as netip writes it.
func canonical(name string) string {
	if address, err := netip.ParseAddr(name); err == nil {
		return address.String()
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// maxHost is the longest name that is shown, in bytes: that of DNS.
const maxHost = 253

// shown returns a foreign Host as a message may have it. What no name and no address
// has becomes a question mark.
func shown(host string) string {
	if len(host) > maxHost {
		host = host[:maxHost]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(".-_:[]", r):
			return r
		}
		return '?'
	}, strings.Clone(host))
}
