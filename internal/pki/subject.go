package pki

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Subject is a distinguished name without its common name.
type Subject struct {
	Organizations       []string
	Countries           []string
	OrganizationalUnits []string
	Localities          []string
	Provinces           []string
	StreetAddresses     []string
	PostalCodes         []string
	SerialNumber        string
}

// emptySubject is the DER of a name without attributes.
var emptySubject = []byte{0x30, 0}

// subject is the DER of the wanted subject.
func (t Template) subject() ([]byte, error) {
	if t.LiteralSubject == "" {
		return encodeName(pkix.Name{
			Country:            t.Subject.Countries,
			Organization:       t.Subject.Organizations,
			OrganizationalUnit: t.Subject.OrganizationalUnits,
			Locality:           t.Subject.Localities,
			Province:           t.Subject.Provinces,
			StreetAddress:      t.Subject.StreetAddresses,
			PostalCode:         t.Subject.PostalCodes,
			SerialNumber:       t.Subject.SerialNumber,
			CommonName:         t.CanonicalCommonName(),
		}.ToRDNSequence())
	}
	name, err := ParseLiteralSubject(t.LiteralSubject)
	if err != nil {
		return nil, fmt.Errorf("literalSubject: %w", err)
	}
	der, err := encodeName(name)
	if err != nil {
		return nil, fmt.Errorf("literalSubject: %w", err)
	}
	return der, nil
}

func encodeName(name pkix.RDNSequence) ([]byte, error) {
	der, err := asn1.Marshal(name)
	if err != nil {
		return nil, fmt.Errorf("encode the subject: %w", err)
	}
	return der, nil
}

// SubjectDigest identifies the DER of a subject.
type SubjectDigest [sha256.Size]byte

// SubjectDigest is that of the wanted subject. It fails for one that no request
// can have.
func (t Template) SubjectDigest() (SubjectDigest, error) {
	der, err := t.subject()
	return sha256.Sum256(der), err
}

// CanonicalCommonName is the common name as a request has it: that of the literal
// subject, if there is one, or without its final dot if it is one of the DNS names.
// That of a company may end with one.
func (t Template) CanonicalCommonName() string {
	if t.LiteralSubject != "" {
		name, _ := ParseLiteralSubject(t.LiteralSubject)
		return CommonNameOf(name)
	}
	if name := CanonicalDNSName(t.CommonName); slices.Contains(CanonicalDNSNames(t.DNSNames), name) {
		return name
	}
	return t.CommonName
}
