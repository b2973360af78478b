package certificate

import (
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
// the spec wants them. Lists are compared without their order, addresses by value; usages
// with one meaning and absent values with their defaults are equal. Name
// constraints, the signature algorithm and whether usages are encoded are not
// compared, and a duration or other names only if the spec has some: a change of
// these shows at the next issuance.
func requestMismatches(spec *cmv1.CertificateSpec, have *facts.Request) []string {
	want, csr := TemplateOf(spec), have.CSR
	var found mismatches
	found.add("spec.ipAddresses", !sameIPs(want, csr.IPAddresses, sameValues))
	found.add("spec.uris", !sameValues(pki.CanonicalURIs(want.URIs), csr.URIs))
	found.add("spec.emailAddresses", !sameValues(want.EmailAddresses, csr.EmailAddresses))
	found.add("spec.dnsNames", !sameValues(pki.CanonicalDNSNames(want.DNSNames), pki.CanonicalDNSNames(csr.DNSNames)))
	found.add("spec.otherNames", spec.OtherNames != nil && !sameValues(pki.CanonicalOtherNames(want.OtherNames), csr.OtherNames))
	found.subject(want, csr)
	found.add("spec.isCA", want.IsCA != have.IsCA)
	found.add("spec.usages", !sameSet(pki.CanonicalUsages(want.Usages), pki.CanonicalUsages(have.Usages)))
	found.add("spec.duration", want.Duration != 0 && have.Duration != 0 && want.Duration != have.Duration)
	found.add("spec.issuerRef", !spec.IssuerRef.Equal(have.IssuerRef))
	return found
}

// subject adds the fields in which the subjects differ. A literal one is compared
// as a whole.
func (m *mismatches) subject(want pki.Template, csr pki.RequestFacts) {
	if want.LiteralSubject != "" {
		digest, err := want.SubjectDigest()
		m.add("spec.literalSubject", err != nil || digest != csr.SubjectDigest)
		return
	}
	m.add("spec.commonName", csr.CommonName != want.CommonName && csr.CommonName != want.CanonicalCommonName())
	subject := csr.Subject
	m.add("spec.subject.serialNumber", want.Subject.SerialNumber != subject.SerialNumber)
	m.add("spec.subject.organizations", !sameSet(want.Subject.Organizations, subject.Organizations))
	m.add("spec.subject.countries", !sameSet(want.Subject.Countries, subject.Countries))
	m.add("spec.subject.localities", !sameSet(want.Subject.Localities, subject.Localities))
	m.add("spec.subject.organizationalUnits", !sameSet(want.Subject.OrganizationalUnits, subject.OrganizationalUnits))
	// The API's own name for this field differs from what is reported.
	m.add("spec.subject.postCodes", !sameSet(want.Subject.PostalCodes, subject.PostalCodes))
	m.add("spec.subject.provinces", !sameSet(want.Subject.Provinces, subject.Provinces))
	m.add("spec.subject.streetAddresses", !sameSet(want.Subject.StreetAddresses, subject.StreetAddresses))
}

// leafMismatches is the loose comparison for a certificate whose request is not
// known: CAs move names between common name and DNS names, add some, and write
// their own subject.
func leafMismatches(spec *cmv1.CertificateSpec, leaf *pki.LeafFacts) []string {
	want := TemplateOf(spec)
	common := want.CanonicalCommonName()
	fold := func(name string) string { return strings.ToLower(pki.CanonicalDNSName(name)) }
	leafNames := map[string]bool{fold(leaf.CommonName): true}
	for _, name := range leaf.DNSNames {
		leafNames[fold(name)] = true
	}
	missing := func(name string) bool { return !leafNames[fold(name)] }

	var found mismatches
	if ip, ok := pki.ParseIP(common); ok {
		found.add("spec.commonName", missing(common) && !slices.Contains(leaf.IPAddresses, ip.String()))
	} else {
		found.add("spec.commonName", common != "" && missing(common))
	}
	found.add("spec.dnsNames", slices.ContainsFunc(want.DNSNames, missing))
	found.add("spec.ipAddresses", !sameIPs(want, leaf.IPAddresses, sameSet))
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

// sameIPs compares addresses by value. A common name that is an address may be among
// them: some issuers put it there.
func sameIPs(want pki.Template, have []string, same func(a, b []string) bool) bool {
	var wanted []string
	for _, text := range want.IPAddresses {
		if ip, ok := pki.ParseIP(text); ok {
			text = ip.String()
		}
		wanted = append(wanted, text)
	}
	if same(wanted, have) {
		return true
	}
	ip, ok := pki.ParseIP(want.CanonicalCommonName())
	return ok && same(append(wanted, ip.String()), have)
}

// sameValues compares lists without their order.
func sameValues[T comparable](a, b []T) bool { return maps.Equal(countsOf(a), countsOf(b)) }

// sameSet compares lists without their order, and however often a value is repeated: an
// issuer may leave repetitions out.
func sameSet[T comparable](a, b []T) bool {
	x, y := countsOf(a), countsOf(b)
	return maps.EqualFunc(x, y, func(int, int) bool { return true })
}

func countsOf[T comparable](values []T) map[T]int {
	counts := make(map[T]int, len(values))
	for _, v := range values {
		counts[v]++
	}
	return counts
}
