package preflight

import (
	"strings"
	"testing"
)

func TestCanonicalDomain(t *testing.T) {
	for text, want := range map[string]string{
		"WWW.Example.com.":          "www.example.com",
		"*.example.com":             "*.example.com",
		"1.2.3.4.in-addr.arpa":      "1.2.3.4.in-addr.arpa",
		"192.0.2.1":                 `"192.0.2.1" is an IP address, which DNS-01 cannot validate (RFC 8738): `,
		"[2001:db8::1]":             `"[2001:db8::1]" is an IP address, `,
		"https://www.example.com/x": `"https://www.example.com/x" is a URL: give its domain only, www.example.com`,
		"https://":                  `"https://" is a URL: give its domain only`,
		"*.müller.example":          `"*.müller.example" is not plain ASCII: write it as *.xn--mller-kva.example`,
		"a\u2028.example":           `"a\u2028.example" is not plain ASCII, and has no ASCII form (xn--...)`,
		"www_a.example":             `"www_a.example" is not a domain name such as www.example.com or *.example.com: `,
		"www.example.com:443":       `"www.example.com:443" is not a domain name such as `,
		"a.*.example":               `"a.*.example" is not a domain name such as `,
		"":                          `"" is not a domain name such as `,
	} {
		got, err := canonicalDomain(text)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}
