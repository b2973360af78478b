package pki

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// checkASCII returns an error for a name of a field that is empty or not plain
// ASCII: subject alternative names are IA5String (RFC 5280, section 4.2.1.6).
// ascii converts such a name, or returns "" if it has no such form.
func checkASCII(field string, index int, name string, ascii func(string) string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s[%d] is empty", field, index)
	case isASCII(name):
		return nil
	}
	err := fmt.Errorf("%s[%d] is %q, which is not plain ASCII", field, index, name)
	if written := ascii(name); written != "" {
		err = fmt.Errorf("%w: write it as %s", err, written)
	}
	return err
}

// asciiDNSName is a DNS name with its labels as A-labels (RFC 5890, section
// 2.3.2.1). A wildcard stays as it is.
func asciiDNSName(name string) string {
	rest, wildcard := strings.CutPrefix(name, "*.")
	ascii, err := idna.Lookup.ToASCII(rest)
	switch {
	case err != nil:
		return ""
	case wildcard:
		return "*." + ascii
	default:
		return ascii
	}
}

// asciiEmail is an email address with its domain in ASCII. What precedes the
// domain has no such form.
func asciiEmail(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !isASCII(address[:at]) {
		return ""
	}
	domain := asciiDNSName(address[at+1:])
	if domain == "" {
		return ""
	}
	return address[:at+1] + domain
}

// asciiURI is a URI with its host in ASCII.
func asciiURI(text string) string {
	uri, err := url.Parse(text)
	if err != nil {
		return ""
	}
	host := asciiDNSName(uri.Hostname())
	if host == "" {
		return ""
	}
	if port := uri.Port(); port != "" {
		host += ":" + port
	}
	uri.Host = host
	return uri.String()
}
