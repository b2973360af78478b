package preflight

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
	"k8s.io/apimachinery/pkg/util/validation"
)

// canonicalDomain returns a domain as a user gives it in lower case, without the last dot.
// The error says what is wrong with it, and what it should be, if that can be known.
func canonicalDomain(text string) (string, error) {
	domain := strings.TrimSuffix(strings.ToLower(text), ".")
	name := strings.TrimPrefix(domain, "*.")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", fmt.Errorf("%q is an IP address, which DNS-01 cannot validate (RFC 8738): it needs HTTP-01 or TLS-ALPN-01", text)
	}
	if strings.Contains(domain, "://") {
		if u, err := url.Parse(domain); err == nil && u.Hostname() != "" {
			return "", fmt.Errorf("%q is a URL: give its domain only, %s", text, u.Hostname())
		}
		return "", fmt.Errorf("%q is a URL: give its domain only", text)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > '\x7f' }) {
		if ascii, err := idna.Lookup.ToASCII(name); err == nil {
			return "", fmt.Errorf("%q is not plain ASCII: write it as %s", text, strings.TrimSuffix(domain, name)+ascii)
		}
		return "", fmt.Errorf("%q is not plain ASCII, and has no ASCII form (xn--...)", text)
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", fmt.Errorf("%q is not a domain name such as www.example.com or *.example.com: its labels have letters, digits and hyphens, with a letter or digit first and last", text)
	}
	return domain, nil
}
