package local

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	// An authority lives ten years and is replaced at a start in its last
	// year, so that no leaf outlives it.
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityRenew = leafLife
	// A leaf lives one year and is made anew at every start.
	leafLife = 365 * 24 * time.Hour
	// clockSkew is how far certificates are dated back.
	clockSkew = 5 * time.Minute
)

// authority is a certificate authority that signs for one purpose: one of them
// for the API server and its clients, another one for etcd, so that no client
// of the API server can talk to etcd.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	file string
}

// pair is a certificate with its key as files, as child processes want them,
// and as PEM.
type pair struct {
	certFile, keyFile string
	certPEM, keyPEM   []byte
}

// loadAuthority reads the authority NAME from a directory, or makes it if it
// is not there, not readable as such, or about to expire.
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

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate("everleaf local "+name, now, authorityLife)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	// The key first: a certificate without its key would stop every later start.
	if err := writeFile(keyFile, keyPEM); err != nil {
		return nil, err
	}
	if err := writeFile(file, encodeCert(der)); err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, file: file}, nil
}

func readAuthority(file, keyFile string) (*authority, error) {
	certPEM, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	if public, ok := key.Public().(*ecdsa.PublicKey); !ok || !public.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%s does not belong to it", keyFile)
	}
	return &authority{cert: cert, key: key, file: file}, nil
}

// PEM returns the authority's certificate.
func (a *authority) PEM() []byte { return encodeCert(a.cert.Raw) }

// issue signs a leaf. hosts are the DNS names and IP addresses of a server and
// none for a client.
func (a *authority) issue(subject pkix.Name, now time.Time, hosts ...string) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template, err := newTemplate("", now, leafLife)
	if err != nil {
		return pair{}, err
	}
	template.Subject = subject
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
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{certPEM: encodeCert(der), keyPEM: keyPEM}, nil
}

// issueFile is issue with the result in DIR/NAME.crt and .key.
func (a *authority) issueFile(dir, name string, subject pkix.Name, now time.Time, hosts ...string) (pair, error) {
	p, err := a.issue(subject, now, hosts...)
	if err != nil {
		return pair{}, err
	}
	p.certFile = filepath.Join(dir, name+".crt")
	p.keyFile = filepath.Join(dir, name+".key")
	if err := writeFile(p.keyFile, p.keyPEM); err != nil {
		return pair{}, err
	}
	return p, writeFile(p.certFile, p.certPEM)
}

// ensureKey makes a private key file unless it is there.
func ensureKey(path string) error {
	if _, err := readKey(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	text, err := encodeKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func newTemplate(commonName string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(life),
	}, nil
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// encodeKey writes SEC 1, the one form of an ECDSA key that kube-apiserver reads
// for service accounts.
func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// writeFile replaces a file at once: a crash leaves the old or the new one.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
