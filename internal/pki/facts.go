package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
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
	IsCA                bool
	// Usages are the API's words, see UsageWords.
	Usages []string
	// Serial is the serial number in hexadecimal, as its DER content octets,
	// including a leading 00 if the encoding has one (RFC 9773, section 4.1).
	Serial string
	// Key is the spec of the public key, zero for an algorithm that the API
	// does not have.
	Key KeySpec
	// KeyDigest identifies the public key.
	KeyDigest        KeyDigest
	IssuerCommonName string
	// SubjectKeyID and AuthorityKeyID are in hexadecimal, or empty.
	SubjectKeyID   string
	AuthorityKeyID string
	// Digest is SHA-256 over the whole certificate.
	Digest [sha256.Size]byte
}

// FactsOf returns the facts of a certificate.
func FactsOf(cert *x509.Certificate) LeafFacts {
	spec, _ := SpecOf(cert.PublicKey)
	f := LeafFacts{
		CommonName:       cert.Subject.CommonName,
		Subject:          subjectOf(cert.Subject),
		DNSNames:         cert.DNSNames,
		URIs:             uriTexts(cert.URIs),
		EmailAddresses:   cert.EmailAddresses,
		NotBefore:        cert.NotBefore,
		NotAfter:         cert.NotAfter,
		IsCA:             cert.BasicConstraintsValid && cert.IsCA,
		Usages:           UsageWords(cert.KeyUsage, cert.ExtKeyUsage),
		Serial:           hex.EncodeToString(serialOctets(cert)),
		Key:              spec,
		KeyDigest:        DigestOf(cert.PublicKey),
		IssuerCommonName: cert.Issuer.CommonName,
		SubjectKeyID:     hex.EncodeToString(cert.SubjectKeyId),
		AuthorityKeyID:   hex.EncodeToString(cert.AuthorityKeyId),
		Digest:           sha256.Sum256(cert.Raw),
	}
	for _, ip := range cert.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			f.IPAddresses = append(f.IPAddresses, addr.Unmap().String())
		}
	}
	return f
}

// serialOctets are the content octets of a positive INTEGER in DER.
func serialOctets(cert *x509.Certificate) []byte {
	octets := cert.SerialNumber.Bytes()
	if len(octets) == 0 || octets[0]&0x80 != 0 {
		octets = append([]byte{0}, octets...)
	}
	return octets
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
