package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"
)

// temporaryIssuer is the common name of the issuer of temporary certificates, as
// cert-manager writes it.
const temporaryIssuer = "cert-manager.local"

// Temporary returns a certificate in PEM with the subject and the names of a
// template, for a server that needs any before an issuer answers. Its validity
// begins at now and has the template's duration. It is never a CA: nothing may be
// signed with it. Its own issuer's key exists only within this call, so that
// nobody can trust it.
func Temporary(t Template, key crypto.Signer, now time.Time, limits Limits) ([]byte, error) {
	t.IsCA, t.NameConstraints = false, nil
	encoded, err := BuildRequest(t, key, limits)
	if err != nil {
		return nil, err
	}
	csr, err := ParseRequest(encoded, limits)
	if err != nil {
		return nil, err
	}
	duration := t.Duration
	if duration == 0 {
		duration = DefaultDuration
	}
	template, err := CertificateFromRequest(csr, SignOptions{NotBefore: now, NotAfter: now.Add(duration), Usages: t.Usages})
	if err != nil {
		return nil, err
	}
	authority, err := GenerateKey(KeySpec{Algorithm: ECDSA, Size: 521})
	if err != nil {
		return nil, err
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: temporaryIssuer}, PublicKey: authority.Public()}
	cert, err := Sign(template, issuer, csr.PublicKey, authority)
	if err != nil {
		return nil, err
	}
	return EncodeChain(cert), nil
}
