package pki

import "crypto/x509"

// RequestFacts are the properties of a PKCS #10 request (RFC 2986) that are
// compared with a spec, in a fraction of the request's memory. Empty lists are
// nil.
type RequestFacts struct {
	CommonName string
	Subject    Subject
	DNSNames   []string
	// IPAddresses are in canonical form.
	IPAddresses    []string
	URIs           []string
	EmailAddresses []string
	// KeyDigest identifies the public key.
	KeyDigest KeyDigest
}

// FactsOfRequest returns the facts of a request.
func FactsOfRequest(csr *x509.CertificateRequest) RequestFacts {
	return RequestFacts{
		CommonName:     csr.Subject.CommonName,
		Subject:        subjectOf(csr.Subject),
		DNSNames:       csr.DNSNames,
		IPAddresses:    csrIPs(csr),
		URIs:           uriTexts(csr.URIs),
		EmailAddresses: csr.EmailAddresses,
		KeyDigest:      DigestOf(csr.PublicKey),
	}
}
