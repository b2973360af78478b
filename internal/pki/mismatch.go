package pki

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// RequestFields are the parts of a certificate request that stand beside the
// PKCS #10 bytes.
type RequestFields struct {
	IsCA   bool
	Usages []string
	// Duration 0 means DefaultDuration.
	Duration time.Duration
}

// RequestMismatches names the fields of a certificate's spec, such as
// "spec.dnsNames", that a request made earlier does not have as wanted. Lists
// are compared as sets, addresses by value. It is nil if all match.
func RequestMismatches(want Template, have RequestFacts) []string {
	var found mismatches
	found.add("spec.commonName", want.CommonName != have.CommonName)
	found.add("spec.dnsNames", !sameSet(want.DNSNames, have.DNSNames))
	found.add("spec.ipAddresses", !sameIPs(want, have.IPAddresses))
	found.add("spec.uris", !sameSet(normalURIs(want.URIs), have.URIs))
	found.add("spec.emailAddresses", !sameSet(want.EmailAddresses, have.EmailAddresses))
	subject := have.Subject
	found.add("spec.subject.serialNumber", want.Subject.SerialNumber != subject.SerialNumber)
	found.add("spec.subject.organizations", !sameSet(want.Subject.Organizations, subject.Organizations))
	found.add("spec.subject.countries", !sameSet(want.Subject.Countries, subject.Countries))
	found.add("spec.subject.localities", !sameSet(want.Subject.Localities, subject.Localities))
	found.add("spec.subject.organizationalUnits", !sameSet(want.Subject.OrganizationalUnits, subject.OrganizationalUnits))
	// The API's own name for this field differs from what is reported; what is
	// reported is what tools match on.
	found.add("spec.subject.postCodes", !sameSet(want.Subject.PostalCodes, subject.PostalCodes))
	found.add("spec.subject.provinces", !sameSet(want.Subject.Provinces, subject.Provinces))
	found.add("spec.subject.streetAddresses", !sameSet(want.Subject.StreetAddresses, subject.StreetAddresses))
	return found
}

// RequestFieldMismatches is RequestMismatches for what stands beside the
// PKCS #10 bytes. Usages with one meaning and absent values with their
// defaults are equal.
func RequestFieldMismatches(want Template, have RequestFields) []string {
	var found mismatches
	found.add("spec.isCA", want.IsCA != have.IsCA)
	found.add("spec.usages", !sameSet(canonicalUsages(want.Usages), canonicalUsages(have.Usages)))
	found.add("spec.duration", durationOf(want.Duration) != durationOf(have.Duration))
	return found
}

// LeafMismatches is the loose comparison for a certificate whose request is
// not known: CAs move names between common name and DNS names, add some, and
// write their own subject.
func LeafMismatches(want Template, leaf LeafFacts) []string {
	leafNames := map[string]bool{strings.ToLower(leaf.CommonName): true}
	for _, name := range leaf.DNSNames {
		leafNames[strings.ToLower(name)] = true
	}
	missing := func(name string) bool { return !leafNames[strings.ToLower(name)] }

	var found mismatches
	if ip, ok := parseIP(want.CommonName); ok {
		found.add("spec.commonName", missing(want.CommonName) && !slices.Contains(leaf.IPAddresses, ip.String()))
	} else {
		found.add("spec.commonName", want.CommonName != "" && missing(want.CommonName))
	}
	found.add("spec.dnsNames", slices.ContainsFunc(want.DNSNames, missing))
	found.add("spec.ipAddresses", !sameIPs(want, leaf.IPAddresses))
	found.add("spec.uris", !sameSet(normalURIs(want.URIs), leaf.URIs))
	found.add("spec.emailAddresses", !sameSet(want.EmailAddresses, leaf.EmailAddresses))
	return found
}

// Mismatches names the fields in which a key, described by SpecOf or LeafFacts,
// differs from s: "spec.privateKey.algorithm", or else "spec.privateKey.size".
func (s KeySpec) Mismatches(have KeySpec) []string {
	s = s.WithDefaults()
	var found mismatches
	found.add("spec.privateKey.algorithm", s.Algorithm != have.Algorithm)
	found.add("spec.privateKey.size", s.Algorithm == have.Algorithm && s.Size != have.Size)
	return found
}

type mismatches []string

func (m *mismatches) add(field string, differs bool) {
	if differs {
		*m = append(*m, field)
	}
}

func durationOf(d time.Duration) time.Duration {
	if d == 0 {
		return DefaultDuration
	}
	return d
}

// sameIPs compares addresses by value. The common name counts as an address if
// it is one, but need not be among them: not every issuer puts it there.
func sameIPs(want Template, have []string) bool {
	wanted := normalIPs(want.IPAddresses)
	if sameSet(wanted, have) {
		return true
	}
	ip, ok := parseIP(want.CommonName)
	return ok && sameSet(append(wanted, ip.String()), have)
}

func normalIPs(texts []string) []string {
	normal := make([]string, 0, len(texts))
	for _, text := range texts {
		if ip, ok := parseIP(text); ok {
			text = ip.String()
		}
		normal = append(normal, text)
	}
	return normal
}

func normalURIs(texts []string) []string {
	n, err := Template{URIs: texts}.names()
	if err != nil {
		// A request cannot have it; as it stands it matches none.
		return texts
	}
	return n.uris
}

func sameSet(a, b []string) bool { return maps.Equal(setOf(a), setOf(b)) }

func setOf(values []string) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return set
}
