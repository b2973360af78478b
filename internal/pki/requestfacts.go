package pki

import "crypto/x509"

// RequestFacts is what is remembered of a PKCS #10 request: enough to compare
// it with a spec, and a fraction of its size in memory.
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

// FactsOfRequest extracts the facts of a request.
func FactsOfRequest(csr *x509.CertificateRequest) RequestFacts {
	f := RequestFacts{
		CommonName:     csr.Subject.CommonName,
		Subject:        subjectOf(csr.Subject),
		DNSNames:       csr.DNSNames,
		IPAddresses:    csrIPs(csr),
		EmailAddresses: csr.EmailAddresses,
		KeyDigest:      DigestOf(csr.PublicKey),
	}
	if len(csr.URIs) > 0 {
		f.URIs = uriTexts(csr.URIs)
	}
	return f
}
