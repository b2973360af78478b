package certificate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// mismatches are fields of a Certificate, such as "spec.dnsNames", nil if all
// match. Tools match on their names.
type mismatches []string

func (m *mismatches) add(field string, differs bool) {
	if differs {
		*m = append(*m, field)
	}
}

// requestMismatches names the fields that a request made earlier does not have as
// the spec wants them. Lists are compared as sets, addresses by value; usages
// with one meaning and absent values with their defaults are equal.
func requestMismatches(spec *cmv1.CertificateSpec, have *facts.Request) []string {
	want, csr := TemplateOf(spec), have.CSR
	var found mismatches
	found.add("spec.commonName", csr.CommonName != want.CommonName && csr.CommonName != want.CanonicalCommonName())
	found.add("spec.dnsNames", !sameSet(pki.CanonicalDNSNames(want.DNSNames), pki.CanonicalDNSNames(csr.DNSNames)))
	found.add("spec.ipAddresses", !sameIPs(want, csr.IPAddresses))
	found.add("spec.uris", !sameSet(pki.CanonicalURIs(want.URIs), csr.URIs))
	found.add("spec.emailAddresses", !sameSet(want.EmailAddresses, csr.EmailAddresses))
	subject := csr.Subject
	found.add("spec.subject.serialNumber", want.Subject.SerialNumber != subject.SerialNumber)
	found.add("spec.subject.organizations", !sameSet(want.Subject.Organizations, subject.Organizations))
	found.add("spec.subject.countries", !sameSet(want.Subject.Countries, subject.Countries))
	found.add("spec.subject.localities", !sameSet(want.Subject.Localities, subject.Localities))
	found.add("spec.subject.organizationalUnits", !sameSet(want.Subject.OrganizationalUnits, subject.OrganizationalUnits))
	// The API's own name for this field differs from what is reported.
	found.add("spec.subject.postCodes", !sameSet(want.Subject.PostalCodes, subject.PostalCodes))
	found.add("spec.subject.provinces", !sameSet(want.Subject.Provinces, subject.Provinces))
	found.add("spec.subject.streetAddresses", !sameSet(want.Subject.StreetAddresses, subject.StreetAddresses))
	found.add("spec.isCA", want.IsCA != have.IsCA)
	found.add("spec.usages", !sameSet(pki.CanonicalUsages(want.Usages), pki.CanonicalUsages(have.Usages)))
	found.add("spec.duration", cmp.Or(want.Duration, pki.DefaultDuration) != cmp.Or(have.Duration, pki.DefaultDuration))
	found.add("spec.issuerRef", !spec.IssuerRef.Equal(have.IssuerRef))
	return found
}

// leafMismatches is the loose comparison for a certificate whose request is not
// known: CAs move names between common name and DNS names, add some, and write
// their own subject.
func leafMismatches(spec *cmv1.CertificateSpec, leaf *pki.LeafFacts) []string {
	want := TemplateOf(spec)
	fold := func(name string) string { return strings.ToLower(pki.CanonicalDNSName(name)) }
	leafNames := map[string]bool{fold(leaf.CommonName): true}
	for _, name := range leaf.DNSNames {
		leafNames[fold(name)] = true
	}
	missing := func(name string) bool { return !leafNames[fold(name)] }

	var found mismatches
	if ip, ok := pki.ParseIP(want.CommonName); ok {
		found.add("spec.commonName", missing(want.CommonName) && !slices.Contains(leaf.IPAddresses, ip.String()))
	} else {
		found.add("spec.commonName", want.CommonName != "" && missing(want.CommonName))
	}
	found.add("spec.dnsNames", slices.ContainsFunc(want.DNSNames, missing))
	found.add("spec.ipAddresses", !sameIPs(want, leaf.IPAddresses))
	found.add("spec.uris", !sameSet(pki.CanonicalURIs(want.URIs), leaf.URIs))
	found.add("spec.emailAddresses", !sameSet(want.EmailAddresses, leaf.EmailAddresses))
	return found
}

// KeyMismatches names the field in which a key differs from what a spec wants:
// "spec.privateKey.algorithm", or else "spec.privateKey.size".
func KeyMismatches(spec *cmv1.CertificateSpec, have pki.KeySpec) []string {
	want := KeySpecOf(spec)
	var found mismatches
	found.add("spec.privateKey.algorithm", want.Algorithm != have.Algorithm)
	found.add("spec.privateKey.size", want.Algorithm == have.Algorithm && want.Size != have.Size)
	return found
}

// sameIPs compares addresses by value. The common name counts as an address if
// it is one, but need not be among them: not every issuer puts it there.
func sameIPs(want pki.Template, have []string) bool {
	var wanted []string
	for _, text := range want.IPAddresses {
		if ip, ok := pki.ParseIP(text); ok {
			text = ip.String()
		}
		wanted = append(wanted, text)
	}
	if sameSet(wanted, have) {
		return true
	}
	ip, ok := pki.ParseIP(want.CommonName)
	return ok && sameSet(append(wanted, ip.String()), have)
}

func sameSet(a, b []string) bool { return maps.Equal(setOf(a), setOf(b)) }

func setOf(values []string) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return set
}
