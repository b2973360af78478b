package dns

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
)

// protocol is how a recursive resolver is asked.
type protocol string

const (
	// plain is UDP, and TCP if the answer is truncated or late.
	plain protocol = "udp"
	// onlyTCP is TCP (RFC 7766).
	onlyTCP protocol = "tcp"
	// overTLS is DNS over TLS (RFC 7858).
	overTLS protocol = "tls"
	// overHTTPS is DNS over HTTPS (RFC 8484).
	overHTTPS protocol = "https"
)

// nameServerEntry is a recursive resolver as it is configured.
type nameServerEntry struct {
	// text is the entry itself, by which messages and Answers name the resolver.
	text     string
	protocol protocol
	// host is the name or the address, without brackets. address is host:port.
	// Both are empty for overHTTPS.
	host, address string
	// url is set for overHTTPS.
	url *url.URL
}

// Default ports: RFC 1035 section 4.2 and RFC 7858 section 3.1.
const (
	portDNS = "53"
	portTLS = "853"
)

// CheckNameserver returns a User fault if an entry is none of
//
//	host:port             UDP, and TCP if the answer is truncated or late
//	tcp://host[:53]       TCP
//	tls://host[:853]      DNS over TLS
//	https://host/path     DNS over HTTPS
//
// The message has the entry and the fix.
func CheckNameserver(entry string) error {
	_, err := parseEntry(entry)
	return err
}

func invalid(entry, format string, args ...any) error {
	return fault.New(fault.User, "InvalidNameserver", "name server %q "+format, append([]any{entry}, args...)...)
}

func parseEntry(entry string) (nameServerEntry, error) {
	scheme, rest, ok := strings.Cut(entry, "://")
	if !ok {
		return parsePlain(entry)
	}
	switch strings.ToLower(scheme) {
	case "tcp":
		return parseStream(entry, onlyTCP, rest, portDNS)
	case "tls":
		return parseStream(entry, overTLS, rest, portTLS)
	case "https":
		return parseURL(entry)
	case "http":
		return nameServerEntry{}, invalid(entry, "is not encrypted: DNS over HTTPS needs https://%s", rest)
	case "udp":
		return nameServerEntry{}, invalid(entry, "has a scheme that is not needed: write %s", rest)
	default:
		return nameServerEntry{}, invalid(entry, "has an unknown scheme; use host:port, tcp://host:port, tls://host or https://host/path")
	}
}

// parsePlain reads host:port.
func parsePlain(entry string) (nameServerEntry, error) {
	host, port, err := net.SplitHostPort(entry)
	switch {
	case err != nil && isAddress(entry), err == nil && host == "" && isAddress(entry):
		return nameServerEntry{}, invalid(entry, "is not of the form host:port: write %s", net.JoinHostPort(entry, portDNS))
	case err != nil || host == "":
		return nameServerEntry{}, invalid(entry, "is not of the form host:port, such as 9.9.9.9:53")
	case !isPort(port):
		return nameServerEntry{}, invalid(entry, "has no valid port")
	}
	return nameServerEntry{text: entry, protocol: plain, host: host, address: entry}, nil
}

// parseStream reads host or host:port after a scheme.
func parseStream(entry string, p protocol, rest, defaultPort string) (nameServerEntry, error) {
	if at := strings.IndexAny(rest, "/?#@"); at >= 0 {
		return nameServerEntry{}, invalid(entry, "must end after the host and the port: remove %q, and give the name in the server's certificate as the host", rest[at:])
	}
	host, port := rest, defaultPort
	switch bracketed := strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]"); {
	case isAddress(rest) && strings.Contains(rest, ":"):
		return nameServerEntry{}, invalid(entry, "is an IPv6 address, which needs brackets: %s://[%s]:%s", p, rest, defaultPort)
	case bracketed:
		host = rest[1 : len(rest)-1]
	case strings.Contains(rest, ":"):
		var err error
		if host, port, err = net.SplitHostPort(rest); err != nil {
			return nameServerEntry{}, invalid(entry, "is not of the form %s://host:port", p)
		}
	}
	switch {
	case host == "":
		return nameServerEntry{}, invalid(entry, "has no host: write %s://host", p)
	case !isPort(port):
		return nameServerEntry{}, invalid(entry, "has no valid port")
	}
	return nameServerEntry{text: entry, protocol: p, host: host, address: net.JoinHostPort(host, port)}, nil
}

// jsonEndpoints are the paths at which public resolvers speak JSON in place of DNS
// messages: developers.google.com/speed/public-dns/docs/doh/json.
var jsonEndpoints = []string{"/resolve"}

// parseURL reads the URL of a DNS over HTTPS server. The template variable that
// providers print at its end (RFC 8484 section 4.1) is for GET.
func parseURL(entry string) (nameServerEntry, error) {
	u, err := url.Parse(strings.TrimSuffix(entry, "{?dns}"))
	switch {
	case err != nil || u.Hostname() == "":
		return nameServerEntry{}, invalid(entry, "is not a URL such as https://dns.example/dns-query")
	case u.User != nil || u.Fragment != "":
		return nameServerEntry{}, invalid(entry, "must have neither credentials nor a fragment: write https://%s%s", u.Host, u.Path)
	case u.Port() != "" && !isPort(u.Port()):
		return nameServerEntry{}, invalid(entry, "has no valid port")
	case u.Path == "" || u.Path == "/":
		return nameServerEntry{}, invalid(entry, "has no path: DNS over HTTPS needs the one that the provider documents, usually https://%s/dns-query", u.Host)
	}
	for _, path := range jsonEndpoints {
		if strings.TrimSuffix(u.Path, "/") == path || u.Query().Has("ct") || u.Query().Has("name") {
			return nameServerEntry{}, invalid(entry, "speaks JSON, use https://%s/dns-query", u.Host)
		}
	}
	return nameServerEntry{text: entry, protocol: overHTTPS, url: u}, nil
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
