package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// SignOptions are the properties of a certificate that the signer decides, not
// the request.
type SignOptions struct {
	// NotBefore and NotAfter bound the validity, both inclusive. Fractions of a
	// second are dropped.
	NotBefore, NotAfter time.Time
	IsCA                bool
	// PathLen is the number of CAs allowed below this one (RFC 5280, section
	// 4.2.1.9); nil sets no limit. Only with IsCA.
	PathLen *int
	// Usages are the API's words; none means DefaultUsages.
	Usages []string
	// URLs for those who verify the certificate (RFC 5280, sections 4.2.1.13
	// and 4.2.2.1).
	CRLDistributionPoints  []string
	OCSPServers            []string
	IssuingCertificateURLs []string
}

// CertificateFromRequest returns the template of a certificate for csr. It
// copies the subject, the subject alternative names and, for a CA, the name
// constraints byte for byte. The path length is the lesser of the request's and
// the options'. Usages and IsCA come from the options only: see CheckEncoded. It
// fails for a request with another extension that is critical or restricts what
// the certificate is good for, and verifies no signature: see VerifyRequest.
func CertificateFromRequest(csr *x509.CertificateRequest, o SignOptions) (*x509.Certificate, error) {
	if !o.NotBefore.Before(o.NotAfter) {
		return nil, errors.New("the certificate would end before it begins")
	}
	for _, url := range slices.Concat(o.CRLDistributionPoints, o.OCSPServers, o.IssuingCertificateURLs) {
		// crypto/x509 would encode an invalid IA5String.
		if url == "" || !isASCII(url) {
			return nil, fmt.Errorf("the issuer's URL %q cannot be encoded: it must be plain ASCII and not empty", url)
		}
	}
	keyUsage, extKeyUsage, err := ParseUsages(o.Usages, o.IsCA)
	if err != nil {
		return nil, err
	}
	asked, err := requestedOf(csr, o.IsCA)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		PublicKey:             csr.PublicKey,
		RawSubject:            csr.RawSubject,
		Subject:               csr.Subject,
		NotBefore:             o.NotBefore.UTC().Truncate(time.Second),
		NotAfter:              o.NotAfter.UTC().Truncate(time.Second),
		KeyUsage:              keyUsage,
		ExtKeyUsage:           extKeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  o.IsCA,
		MaxPathLen:            -1,
		CRLDistributionPoints: o.CRLDistributionPoints,
		OCSPServer:            o.OCSPServers,
		IssuingCertificateURL: o.IssuingCertificateURLs,
		ExtraExtensions:       append(subjectAltNames(csr), asked.nameConstraints...),
	}
	if o.IsCA {
		for _, bound := range []*int{o.PathLen, asked.pathLen} {
			if bound != nil && (template.MaxPathLen < 0 || *bound < template.MaxPathLen) {
				template.MaxPathLen, template.MaxPathLenZero = *bound, *bound == 0
			}
		}
	}
	return template, nil
}

// subjectAltNames copies the extension from a request. It is critical if, and only
// if, the subject is empty (RFC 5280, section 4.2.1.6).
func subjectAltNames(csr *x509.CertificateRequest) []pkix.Extension {
	for _, extension := range csr.Extensions {
		if extension.Id.Equal(oidSubjectAltName) {
			extension.Critical = len(csr.Subject.Names) == 0
			return []pkix.Extension{extension}
		}
	}
	return nil
}

// newSerial returns a random positive number of up to 128 bits.
func newSerial() *big.Int {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	// A serial number must not be zero (RFC 5280, section 4.1.2.2).
	raw[len(raw)-1] |= 1
	return new(big.Int).SetBytes(raw)
}

// Sign issues template for the public key pub, signed by issuer's key. For a
// self-signed certificate, issuer is the template itself. The key determines
// the hash. Sign parses the result again, so that it never issues an unreadable
// certificate.
func Sign(template, issuer *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	algorithm, err := SignatureAlgorithm(key.Public())
	if err != nil {
		return nil, err
	}
	signed := *template
	signed.SignatureAlgorithm = algorithm
	if issuer == template {
		issuer = &signed
	} else {
		// crypto/x509 omits this extension if subject and issuer have the same
		// name, and the certificate would then look self-signed.
		signed.AuthorityKeyId = issuer.SubjectKeyId
	}
	der, err := x509.CreateCertificate(rand.Reader, &signed, issuer, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
