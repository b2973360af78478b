package validation

import (
	"net/netip"
	"regexp"
	"strings"
)

// maxDNSName is the longest DNS name in text, with its final dot (RFC 1035,
// section 2.3.4).
const maxDNSName = 254

const dnsLabel = "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"

var (
	dnsName   = regexp.MustCompile(`^([*][.])?` + dnsLabel + `([.]` + dnsLabel + `)*[.]?$`)
	printable = regexp.MustCompile(`^[ -~]*$`)
	port      = regexp.MustCompile(`:[0-9]+$`)
)

// adviceOn says what to do about a text that is no DNS name, although an issuer
// may sign it, or returns "".
func adviceOn(name string) string {
	_, err := netip.ParseAddr(name)
	address := err == nil
	switch {
	case dnsName.MatchString(name) && !address && len(name) <= maxDNSName:
		return ""
	case name == "":
		return "remove it, it is empty"
	case !printable.MatchString(name):
		return "write it in ASCII, as in xn--mller-kva.example.com"
	case strings.HasPrefix(name, " "), strings.HasSuffix(name, " "):
		return "leave out the space before or after it"
	case address, strings.HasPrefix(name, "["):
		return "put an address into ipAddresses"
	case strings.Contains(name, "://"):
		return "leave out the scheme and what follows the name, or put a URI into uris"
	case port.MatchString(name):
		return "leave out the port"
	case strings.Contains(name, "*"):
		return "a wildcard is the whole first label, as in *.example.com"
	default:
		return "it has letters, digits, hyphens and underscores between dots"
	}
}
