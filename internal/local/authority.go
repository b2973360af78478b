package local

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

const (
	// An authority lives ten years. A start in its last year replaces it, so
	// that no leaf outlives it.
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityRenew = leafLife
	// A leaf lives one year. Every start issues new leaves.
	leafLife = 365 * 24 * time.Hour
	// clockSkew is how far certificates are backdated.
	clockSkew = 5 * time.Minute
)

// keySpec is the kind of every key: ECDSA, which kube-apiserver reads for
// service accounts only in SEC 1 form (pki.PKCS1).
var keySpec = pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}

// authority is a certificate authority for one purpose. The API server and its
// clients share one, etcd has another, so that no client of the API server can
// talk to etcd.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// loadAuthority reads the authority NAME from dir. It makes a new one if there
// is none or if the present one is about to expire.
func loadAuthority(dir, name string, now time.Time) (*authority, error) {
	file := filepath.Join(dir, name+".crt")
	keyFile := filepath.Join(dir, name+".key")
	if a, err := readAuthority(file, keyFile); err == nil {
		if now.After(a.cert.NotBefore) && now.Add(authorityRenew).Before(a.cert.NotAfter) {
			return a, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("certificate authority %s: %w", file, err)
	}

	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	template := newTemplate(pkix.Name{CommonName: "everleaf local " + name}, now, authorityLife)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	cert, err := pki.Sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &authority{cert: cert, key: key}
	return a, writePair(filepath.Join(dir, name), a.PEM(), keyPEM)
}

func readAuthority(file, keyFile string) (*authority, error) {
	certPEM, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cert, err := pki.ParseCertificate(certPEM, pki.DefaultLimits)
	if err != nil {
		return nil, err
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	if !pki.PublicKeysEqual(key.Public(), cert.PublicKey) {
		return nil, fmt.Errorf("%s does not belong to it", keyFile)
	}
	return &authority{cert: cert, key: key}, nil
}

// PEM returns the authority's certificate.
func (a *authority) PEM() []byte { return pki.EncodeChain(a.cert) }

// issue signs a leaf, and returns it and its key as PEM: for a server with hosts
// (DNS names and IP addresses), for a client without.
func (a *authority) issue(subject pkix.Name, now time.Time, hosts ...string) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate(subject, now, leafLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := pki.Sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	return pki.EncodeChain(cert), keyPEM, nil
}

// writePair writes PATH.key and PATH.crt. The key first: an authority's certificate
// without its key would stop every later start.
func writePair(path string, certPEM, keyPEM []byte) error {
	if err := writeFile(path+".key", keyPEM); err != nil {
		return err
	}
	return writeFile(path+".crt", certPEM)
}

// ensureKey writes a new private key to path unless the file exists.
func ensureKey(path string) error {
	if _, err := readKey(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, text, err := newKey()
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := pki.ParseKey(text, pki.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// newKey generates a private key and returns its PEM too.
func newKey() (crypto.Signer, []byte, error) {
	key, err := pki.GenerateKey(keySpec)
	if err != nil {
		return nil, nil, err
	}
	text, err := pki.EncodeKey(key, pki.PKCS1)
	return key, text, err
}

// newTemplate leaves the serial number to crypto/x509, which chooses it at
// random.
func newTemplate(subject pkix.Name, now time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{Subject: subject, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(life)}
}

// writeFile replaces a file atomically: after a crash it is the old or the new
// one.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
