package webhook

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

// issue returns a certificate of a CA for a name, and its key; without a CA, one that is
// a CA itself.
func issue(t *testing.T, ca *tls.Certificate, cn string, dnsNames ...string) *tls.Certificate {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, DNSNames: dnsNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey.(crypto.Signer)
	} else {
		template.IsCA, template.KeyUsage = true, template.KeyUsage|x509.KeyUsageCertSign
	}
	cert, err := pki.Sign(template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func TestClients(t *testing.T) {
	ca, other := issue(t, nil, "ca"), issue(t, nil, "other")
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, pki.EncodeChain(ca.Leaf), 0o600); err != nil {
		t.Fatal(err)
	}
	serving := issue(t, ca, "", "webhook")
	names := []string{"kube-apiserver", "aggregator.example"}
	for name, test := range map[string]struct {
		clients Clients
		shows   *tls.Certificate
		want    string
	}{
		"not verified":   {Clients{}, nil, ""},
		"none":           {Clients{Verify: true, CAPath: path}, nil, "tls: client didn't provide a certificate"},
		"of another CA":  {Clients{Verify: true, CAPath: path}, issue(t, other, "kube-apiserver"), "x509: certificate signed by unknown authority"},
		"any name":       {Clients{Verify: true, CAPath: path}, issue(t, ca, "x"), ""},
		"common name":    {Clients{Verify: true, CAPath: path, Subjects: names}, issue(t, ca, "kube-apiserver"), ""},
		"DNS name":       {Clients{Verify: true, CAPath: path, Subjects: names}, issue(t, ca, "x", "y.example", "aggregator.example"), ""},
		"another name":   {Clients{Verify: true, CAPath: path, Subjects: names}, issue(t, ca, "x", "y.example", "z.example"), "unauthorized client certificate: CN=x DNS=[y.example z.example]"},
		"without a name": {Clients{Verify: true, CAPath: path, Subjects: names}, issue(t, ca, ""), "unauthorized client certificate: CN= DNS=[]"},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{*serving}}
			if err := test.clients.configure(config); err != nil {
				t.Fatal(err)
			}
			if test.clients.Verify != config.SessionTicketsDisabled {
				t.Errorf("session tickets disabled: %t", config.SessionTicketsDisabled)
			}
			near, far := net.Pipe()
			roots := x509.NewCertPool()
			roots.AddCert(ca.Leaf)
			go func() {
				client := tls.Client(far, &tls.Config{RootCAs: roots, ServerName: "webhook", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if test.shows == nil {
						return &tls.Certificate{}, nil
					}
					return test.shows, nil
				}})
				if client.Handshake() == nil {
					_, _ = client.Read(make([]byte, 1))
				}
				far.Close()
			}()
			err := tls.Server(near, config).Handshake()
			near.Close()
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
