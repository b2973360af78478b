package webhook

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

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
			if err := test.clients.configure(config, logr.Discard()); err != nil {
				t.Fatal(err)
			}
			if test.clients.Verify != config.SessionTicketsDisabled {
				t.Errorf("session tickets disabled: %t", config.SessionTicketsDisabled)
			}
			err := shake(config, ca, test.shows)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// shake is the handshake of a server with a client that trusts a CA and shows a
// certificate, if any, as the server sees it.
func shake(config *tls.Config, ca, shows *tls.Certificate) error {
	near, far := net.Pipe()
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	go func() {
		client := tls.Client(far, &tls.Config{RootCAs: roots, ServerName: "webhook", NextProtos: []string{"h2"}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if shows == nil {
				return &tls.Certificate{}, nil
			}
			return shows, nil
		}})
		if client.Handshake() == nil {
			_, _ = client.Read(make([]byte, 1))
		}
		far.Close()
	}()
	server := tls.Server(near, config)
	err := server.Handshake()
	near.Close()
	if protocol := server.ConnectionState().NegotiatedProtocol; err == nil && config.GetConfigForClient != nil && protocol != "h2" {
		err = fmt.Errorf("the protocol is %q", protocol)
	}
	return err
}

// TestClientCAsChange holds that the file of the CAs counts as it is when a client
// connects, and that one that cannot be read changes nothing.
func TestClientCAsChange(t *testing.T) {
	ca, next := issue(t, nil, "ca"), issue(t, nil, "next")
	path := filepath.Join(t.TempDir(), "ca.crt")
	write := func(text []byte) {
		t.Helper()
		// As a mounted Secret is replaced: by another file.
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(pki.EncodeChain(ca.Leaf))
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, strings.ReplaceAll(args, path, "PATH")) }, funcr.Options{})
	config := &tls.Config{Certificates: []tls.Certificate{*issue(t, ca, "", "webhook")}}
	if err := (&Clients{Verify: true, CAPath: path}).configure(config, log); err != nil {
		t.Fatal(err)
	}
	of, ofNext := issue(t, ca, "x"), issue(t, next, "x")
	for i, step := range []struct {
		change     func()
		good, nope *tls.Certificate
	}{
		{nil, of, ofNext},
		{func() { write([]byte("x")) }, of, ofNext},
		{func() { write(pki.EncodeChain(next.Leaf)) }, ofNext, of},
		{func() { os.Remove(path) }, ofNext, of},
		{func() { write(pki.EncodeChain(ca.Leaf)) }, of, ofNext},
	} {
		if step.change != nil {
			step.change()
		}
		for range 2 {
			if err := shake(config, ca, step.good); err != nil {
				t.Errorf("step %d: a client is refused: %v", i, err)
			}
			if err := shake(config, ca, step.nope); err == nil {
				t.Errorf("step %d: a client of another CA may connect", i)
			}
		}
	}
	const failed = `"msg"="Read the CAs of the clients again: failed; those of before are used until the file can be read" "error"="`
	if diff := cmp.Diff([]string{
		failed + `PATH has no certificate in PEM" "path"="PATH"`,
		`"level"=0 "msg"="The CAs of the clients have changed" "path"="PATH"`,
		failed + `stat PATH: no such file or directory" "path"="PATH"`,
		`"level"=0 "msg"="The CAs of the clients have changed" "path"="PATH"`,
	}, lines); diff != "" {
		t.Errorf("the log -want +got:\n%s", diff)
	}
}
