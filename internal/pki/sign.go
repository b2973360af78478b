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

// SignOptions is what a signer decides about a certificate, beside its
// request.
type SignOptions struct {
	// NotBefore and NotAfter bound the validity, both included; fractions of a
	// second are dropped.
	NotBefore, NotAfter time.Time
	IsCA                bool
	// PathLen is how many CAs may stand below this one; nil sets no bound. Only
	// with IsCA.
	PathLen *int
	// Usages are words of the API; none means DefaultUsages.
	Usages []string
	// URLs that the certificate carries for those who verify it.
	CRLDistributionPoints  []string
	OCSPServers            []string
	IssuingCertificateURLs []string
}

// CertificateFromRequest returns the template of a certificate for csr. The
// subject and the subject alternative names are copied byte for byte; usages
// and the role as a CA come from the options alone, whatever the request asks
// for. It checks no signature: see VerifyRequest.
func CertificateFromRequest(csr *x509.CertificateRequest, o SignOptions) (*x509.Certificate, error) {
	if !o.NotBefore.Before(o.NotAfter) {
		return nil, errors.New("the certificate would end before it begins")
	}
	for _, url := range slices.Concat(o.CRLDistributionPoints, o.OCSPServers, o.IssuingCertificateURLs) {
		// crypto/x509 would write an IA5String that is none.
		if url == "" || !isASCII(url) {
			return nil, fmt.Errorf("the issuer's URL %q cannot be encoded: it must be plain ASCII and not empty", url)
		}
	}
	keyUsage, extKeyUsage, err := ParseUsages(o.Usages, o.IsCA)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
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
		ExtraExtensions:       subjectAltNames(csr),
	}
	if o.IsCA && o.PathLen != nil {
		template.MaxPathLen, template.MaxPathLenZero = *o.PathLen, *o.PathLen == 0
	}
	return template, nil
}

// subjectAltNames copies the extension from a request. RFC 5280, section
// 4.1.2.6, wants it critical if the subject is empty.
func subjectAltNames(csr *x509.CertificateRequest) []pkix.Extension {
	for _, extension := range csr.Extensions {
		if extension.Id.Equal(oidSubjectAltName) {
			if len(csr.Subject.Names) == 0 {
				extension.Critical = true
			}
			return []pkix.Extension{extension}
		}
	}
	return nil
}

// newSerial returns a random positive number of up to 128 bits.
func newSerial() (*big.Int, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	// Zero is no serial number (RFC 5280, section 4.1.2.2).
	raw[len(raw)-1] |= 1
	return new(big.Int).SetBytes(raw), nil
}

// Sign issues template for the public key pub, in the name of issuer and with
// its key. To sign a certificate with its own key, issuer is the template
// itself. The hash follows the key. What comes back has been parsed again, so
// that nothing is issued that cannot be read.
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
		// The library leaves this out where subject and issuer have one name,
		// and the certificate would then look as if it had signed itself.
		signed.AuthorityKeyId = issuer.SubjectKeyId
	}
	der, err := x509.CreateCertificate(rand.Reader, &signed, issuer, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
