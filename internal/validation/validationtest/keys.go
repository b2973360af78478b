package validationtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"

	"github.com/everleaf/everleaf/internal/pki"
)

var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// CSR is a CSR that asks for no usages, in base64. Bundle is a certificate.
var (
	CSR    = Encoded(csrOf(pki.Template{CommonName: "a"}))
	Bundle = Encoded("# a comment\n" + certificatePEM())
)

// csrOf is a CSR in PEM.
func csrOf(t pki.Template) string {
	data, err := pki.BuildRequest(t, key, pki.Limits{})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// constrained is a CSR with basic constraints (RFC 5280, section 4.2.1.9).
func constrained(isCA bool) string {
	value, err := asn1.Marshal(struct {
		IsCA bool `asn1:"optional"`
	}{isCA})
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "a"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: value}},
	}, key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// forged is a CSR whose signature is wrong.
func forged() string {
	block, _ := pem.Decode([]byte(csrOf(pki.Template{CommonName: "a"})))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return string(pem.EncodeToMemory(block))
}

func certificatePEM() string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
