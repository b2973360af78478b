package pebble

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	configFile = "pebble.json"
	certFile   = "server.crt"
	keyFile    = "server.key"
)

type config struct {
	Pebble pebbleConfig `json:"pebble"`
}

type pebbleConfig struct {
	ListenAddress                  string                   `json:"listenAddress"`
	ManagementListenAddress        string                   `json:"managementListenAddress"`
	HTTPPort                       int                      `json:"httpPort"`
	TLSPort                        int                      `json:"tlsPort"`
	Certificate                    string                   `json:"certificate"`
	PrivateKey                     string                   `json:"privateKey"`
	ExternalAccountBindingRequired bool                     `json:"externalAccountBindingRequired"`
	ExternalAccountMACKeys         map[string]string        `json:"externalAccountMACKeys,omitempty"`
	DomainBlocklist                []string                 `json:"domainBlocklist,omitempty"`
	KeyAlgorithm                   string                   `json:"keyAlgorithm"`
	Profiles                       map[string]profileConfig `json:"profiles,omitempty"`
	RetryAfter                     retryAfterConfig         `json:"retryAfter"`
}

type profileConfig struct {
	Description    string `json:"description"`
	ValidityPeriod int64  `json:"validityPeriod"`
}

type retryAfterConfig struct {
	Authz int64 `json:"authz"`
	Order int64 `json:"order"`
}

// writeFiles writes the configuration and the server's certificate, and
// returns the PEM of the certificate's root.
func writeFiles(dir string, o Options) ([]byte, error) {
	c := pebbleConfig{
		ListenAddress:                  o.Listen,
		ManagementListenAddress:        o.Management,
		HTTPPort:                       cmp.Or(o.HTTPPort, 5002),
		TLSPort:                        cmp.Or(o.TLSPort, 5001),
		Certificate:                    filepath.Join(dir, certFile),
		PrivateKey:                     filepath.Join(dir, keyFile),
		ExternalAccountBindingRequired: len(o.EABKeys) > 0,
		ExternalAccountMACKeys:         map[string]string{},
		DomainBlocklist:                o.Blocklist,
		KeyAlgorithm:                   cmp.Or(o.KeyAlgorithm, "ecdsa"),
		Profiles:                       map[string]profileConfig{},
		RetryAfter: retryAfterConfig{
			Authz: int64(o.AuthzRetryAfter / time.Second),
			Order: int64(o.OrderRetryAfter / time.Second),
		},
	}
	for id, key := range o.EABKeys {
		c.ExternalAccountMACKeys[id] = base64.RawURLEncoding.EncodeToString(key)
	}
	for name, p := range o.Profiles {
		c.Profiles[name] = profileConfig{Description: p.Description, ValidityPeriod: int64(p.Validity / time.Second)}
	}
	data, err := json.MarshalIndent(config{Pebble: c}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), data, 0o600); err != nil {
		return nil, err
	}
	return writeServerCertificate(dir, o.Listen, o.Management)
}

// writeServerCertificate creates a root and a certificate below it for the
// names of loopback and the hosts of the addresses.
func writeServerCertificate(dir string, addresses ...string) (root []byte, err error) {
	ca, caKey, err := issue(&x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Pebble HTTPS test root"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost", "pebble"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			return nil, err
		}
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else if host != "" {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	cert, key, err := issue(leaf, ca, caKey)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, certFile), "CERTIFICATE", cert.Raw); err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, keyFile), "PRIVATE KEY", der); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), nil
}

// issue signs a template with a new key. Without a parent the result is
// self-signed.
func issue(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.AddDate(1, 0, 0)
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
