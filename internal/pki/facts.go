package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"time"
)

// LeafFacts are the properties of a certificate that decisions need, in a
// fraction of its memory.
type LeafFacts struct {
	CommonName string
	Subject    Subject
	DNSNames   []string
	// IPAddresses are in canonical form.
	IPAddresses         []string
	URIs                []string
	EmailAddresses      []string
	NotBefore, NotAfter time.Time
	// Key is the spec of the public key, zero for an algorithm that the API
	// does not have.
	Key KeySpec
	// KeyDigest identifies the public key.
	KeyDigest KeyDigest
	// Digest is SHA-256 over the whole certificate.
	Digest [sha256.Size]byte
	// CertID identifies it to its CA (RFC 9773 section 4.1), empty if nothing does.
	CertID string
	// Temporary reports that its issuer is named as that of Temporary is.
	Temporary bool
}

// FactsOf returns the facts of a certificate.
func FactsOf(cert *x509.Certificate) LeafFacts {
	spec, _ := SpecOf(cert.PublicKey)
	f := LeafFacts{
		CommonName:     cert.Subject.CommonName,
		Subject:        subjectOf(cert.Subject),
		DNSNames:       cert.DNSNames,
		URIs:           uriTexts(cert.URIs),
		EmailAddresses: cert.EmailAddresses,
		NotBefore:      cert.NotBefore,
		NotAfter:       cert.NotAfter,
		Key:            spec,
		KeyDigest:      DigestOf(cert.PublicKey),
		Digest:         sha256.Sum256(cert.Raw),
		CertID:         CertID(cert),
		Temporary:      cert.Issuer.CommonName == temporaryIssuer,
	}
	for _, ip := range cert.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			f.IPAddresses = append(f.IPAddresses, addr.Unmap().String())
		}
	}
	return f
}

func subjectOf(name pkix.Name) Subject {
	return Subject{
		Organizations:       name.Organization,
		Countries:           name.Country,
		OrganizationalUnits: name.OrganizationalUnit,
		Localities:          name.Locality,
		Provinces:           name.Province,
		StreetAddresses:     name.StreetAddress,
		PostalCodes:         name.PostalCode,
		SerialNumber:        name.SerialNumber,
	}
}
