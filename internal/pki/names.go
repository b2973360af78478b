package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Tags of the GeneralName choices (RFC 5280, section 4.2.1.6).
const (
	tagOther = 0
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// names are subject alternative names in normal form, in their original order. One that
// is repeated stays: cert-manager compares a request with the spec by how often each is
// there.
type names struct {
	dns, emails []string
	ips         []netip.Addr
	uris        []string
	others      []OtherName
}

// names returns the names of t. An error names the field and the index in it.
func (t Template) names() (names, error) {
	n := names{dns: CanonicalDNSNames(t.DNSNames), emails: t.EmailAddresses}
	for i, name := range t.DNSNames {
		if err := checkASCII("dnsNames", i, CanonicalDNSName(name), asciiDNSName); err != nil {
			return names{}, err
		}
	}
	for i, address := range t.EmailAddresses {
		if err := checkASCII("emailAddresses", i, address, asciiEmail); err != nil {
			return names{}, err
		}
	}
	for _, text := range t.IPAddresses {
		ip, ok := ParseIP(text)
		if !ok {
			return names{}, fmt.Errorf("%q is not an IP address", text)
		}
		n.ips = append(n.ips, ip)
	}
	for i, text := range t.URIs {
		uri, err := url.Parse(text)
		if err != nil {
			return names{}, fmt.Errorf("%q is not a URI", text)
		}
		written := uri.String()
		if !isASCII(uri.Host) {
			// It is escaped in written, and no verifier takes that for a host.
			written = text
		}
		if err := checkASCII("uris", i, written, asciiURI); err != nil {
			return names{}, err
		}
		n.uris = append(n.uris, written)
	}
	n.others = CanonicalOtherNames(t.OtherNames)
	return n, nil
}

// extension encodes n, or returns nothing without names. critical is true if
// the certificate has no other subject.
func (n names) extension(critical bool) ([]pkix.Extension, error) {
	var general []asn1.RawValue
	add := func(tag int, values ...string) {
		for _, value := range values {
			general = append(general, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)})
		}
	}
	add(tagDNS, n.dns...)
	add(tagEmail, n.emails...)
	for _, ip := range n.ips {
		add(tagIP, string(ip.AsSlice()))
	}
	add(tagURI, n.uris...)
	for i, name := range n.others {
		encoded, err := name.encode()
		if err != nil {
			return nil, fmt.Errorf("otherNames[%d]: %w", i, err)
		}
		general = append(general, encoded)
	}
	if len(general) == 0 {
		return nil, nil
	}
	value, err := asn1.Marshal(general)
	if err != nil {
		return nil, fmt.Errorf("encode subject alternative names: %w", err)
	}
	return []pkix.Extension{{Id: oidSubjectAltName, Critical: critical, Value: value}}, nil
}

// ParseIP parses an address without a zone. An IPv4-mapped IPv6 address counts
// as IPv4, as it does in a certificate.
func ParseIP(text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

// CanonicalDNSNames returns DNS names as a request has them: without the final
// dot, which an absolute name may have in a spec and none has in a certificate
// (RFC 5280, section 4.2.1.6).
func CanonicalDNSNames(dnsNames []string) []string {
	canonical := make([]string, len(dnsNames))
	for i, name := range dnsNames {
		canonical[i] = CanonicalDNSName(name)
	}
	return canonical
}

// CanonicalDNSName returns a DNS name without its final dot.
func CanonicalDNSName(name string) string { return strings.TrimSuffix(name, ".") }

// CanonicalURIs returns URIs as a request has them. A list that no request can
// have stays as it is.
func CanonicalURIs(texts []string) []string {
	n, err := Template{URIs: texts}.names()
	if err != nil {
		return texts
	}
	return n.uris
}

func csrIPs(csr *x509.CertificateRequest) []string {
	var texts []string // nil if there are none
	for _, ip := range csr.IPAddresses {
		texts = append(texts, ip.String())
	}
	return texts
}

func uriTexts(uris []*url.URL) []string {
	var texts []string // nil if there are none
	for _, uri := range uris {
		texts = append(texts, uri.String())
	}
	return texts
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] > 0x7f {
			return false
		}
	}
	return true
}
