package pki

import (
	"crypto/sha256"
	"crypto/x509"
)

// RequestFacts are the properties of a PKCS #10 request (RFC 2986) that are
// compared with a spec, in a fraction of the request's memory. Empty lists are
// nil.
type RequestFacts struct {
	CommonName string
	Subject    Subject
	// SubjectDigest identifies the whole subject.
	SubjectDigest SubjectDigest
	DNSNames      []string
	// IPAddresses are in canonical form.
	IPAddresses    []string
	URIs           []string
	EmailAddresses []string
	// OtherNames are in canonical form. One whose value is not a UTF-8 string is
	// empty.
	OtherNames []OtherName
	// KeyDigest identifies the public key.
	KeyDigest KeyDigest
	// Key is what kind of key it is, empty if it is none that can be made here.
	Key KeySpec
}

// FactsOfRequest returns the facts of a request.
func FactsOfRequest(csr *x509.CertificateRequest) RequestFacts {
	key, _ := SpecOf(csr.PublicKey)
	return RequestFacts{
		CommonName:     csr.Subject.CommonName,
		Subject:        subjectOf(csr.Subject),
		SubjectDigest:  sha256.Sum256(csr.RawSubject),
		DNSNames:       csr.DNSNames,
		IPAddresses:    csrIPs(csr),
		URIs:           uriTexts(csr.URIs),
		EmailAddresses: csr.EmailAddresses,
		OtherNames:     otherNamesOf(csr),
		KeyDigest:      DigestOf(csr.PublicKey),
		Key:            key,
	}
}
