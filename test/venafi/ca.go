package venafi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"
)

// serving is how the server proves who it is.
func (s *Server) serving(t testing.TB) *tls.Config {
	t.Helper()
	cert := s.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "certificate-manager.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames: []string{"localhost"},
	}, s.root, &s.other.PublicKey, s.rootKey)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: s.other}}}
}

// deliver is the certificate for a signing request with its chain, the root last.
func (s *Server) deliver(csr *x509.CertificateRequest) ([]byte, error) {
	key := csr.PublicKey
	if s.foreign {
		key = &s.other.PublicKey
	}
	s.issued++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano() + int64(s.issued)), Subject: csr.Subject,
		DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses, URIs: csr.URIs, EmailAddresses: csr.EmailAddresses,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.intermediate, key, s.middle)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return encode(leaf, s.intermediate, s.root), nil
}

// makeCA makes the root and the CA below it.
func (s *Server) makeCA(t testing.TB) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	s.rootKey, s.middle, s.other = key(), key(), key()
	ca := func(name string, of, by *ecdsa.PrivateKey, issuer *x509.Certificate) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
		}
		if issuer == nil {
			issuer = template
		}
		return s.sign(t, template, issuer, &of.PublicKey, by)
	}
	s.root = ca("Test Root", s.rootKey, s.rootKey, nil)
	s.intermediate = ca("Test Issuing CA", s.middle, s.rootKey, s.root)
	s.CA = encode(s.root)
}

func (s *Server) sign(t testing.TB, template, issuer *x509.Certificate, key any, by *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func encode(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = slices.Concat(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out
}
