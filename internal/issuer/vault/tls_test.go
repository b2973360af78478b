package vault

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

// secure starts a server that asks for client certificates.
func secure(wants tls.ClientAuthType) func(*httptest.Server) {
	return func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: wants}
		s.StartTLS()
	}
}

// bundle is the CA of the server in PEM.
func (s *server) bundle() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestServerCertificate(t *testing.T) {
	s := newServer(t, secure(tls.NoClientCert))
	l := newLab(t, s)
	const initial = "Failed to verify Vault is initialized and unsealed: "
	_, err := l.check()
	begins(t, err, fault.Transient, "VaultError", initial+host(s.URL)+": its certificate is signed by an unknown authority; caBundle or caBundleSecretRef must have the certificate of that authority")

	l.spec.CABundle = []byte(s.bundle())
	l.checks()
	l.spec.ServerName = "vault.example.org"
	_, err = l.check()
	begins(t, err, fault.Transient, "VaultError", initial+host(s.URL)+": its certificate is for another name (it has example.com, *.example.com, 127.0.0.1, ::1); set serverName to a name in the certificate, or server to such a name")
	l.spec.ServerName = "example.com"
	l.checks()

	other, _, _ := pairPEM(t, "other")
	l.secrets.put("ca", map[string]string{"ca.crt": other})
	l.spec.CABundle, l.spec.CABundleSecretRef = nil, ref("ca", "")
	_, err = l.check()
	begins(t, err, fault.Transient, "VaultError", initial+host(s.URL)+": its certificate is signed by an unknown authority")
	l.secrets.put("ca", map[string]string{"ca.crt": s.bundle()})
	l.checks()

	// A bundle may have more than certificates.
	_, key, _ := pairPEM(t, "key")
	l.secrets.put("ca", map[string]string{"ca.crt": key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + s.bundle()})
	l.checks()
}

// TestClientCertificates: connections show the issuer's certificate, and the log-in its own.
func TestClientCertificates(t *testing.T) {
	const path = "/v1/auth/cert/login"
	s := newServer(t, secure(tls.RequireAnyClientCert))
	s.tokensOf(path, "")
	s.signs(pathSign, newSigner(t))
	l := newLab(t, s)
	l.spec.CABundle = []byte(s.bundle())
	_, err := l.check()
	begins(t, err, fault.Transient, "VaultError", "Failed to verify Vault is initialized and unsealed: "+host(s.URL)+": TLS handshake: certificate required")

	cert, key, _ := pairPEM(t, "first")
	l.secrets.put("cert", map[string]string{"c": cert})
	l.secrets.put("key", map[string]string{"tls.key": key})
	l.spec.ClientCertSecretRef, l.spec.ClientKeySecretRef = ref("cert", "c"), ref("key", "")
	l.checks()
	l.spec.Auth = certificate("")
	l.spec.Auth.ClientCertificate.Name = ""
	l.signs(1)
	same(t, "body", map[string]any{"name": ""}, s.bodies[path])
	same(t, "shown", []string{"first", "first", "first", "first"}, s.shown)

	s.shown = nil
	cert, key, _ = pairPEM(t, "login")
	l.secrets.put("login", map[string]string{"tls.crt": cert, "tls.key": key})
	l.spec.Auth = certificate("login")
	l.signs(1)
	same(t, "body", map[string]any{"name": "web"}, s.bodies[path])
	same(t, "shown with a certificate for the log-in", []string{"login", "first"}, s.shown)

	// A renewed pair, whose two Secrets are written one after the other.
	s.shown = nil
	cert, key, _ = pairPEM(t, "second")
	l.secrets.put("cert", map[string]string{"c": cert})
	_, err = l.sign()
	begins(t, err, fault.User, "VaultInitError", "Failed to initialise vault client for signing: failed to load vault client certificate: could not parse the TLS certificate")
	l.secrets.put("key", map[string]string{"tls.key": key})
	l.signs(1)
	same(t, "shown after a renewal", []string{"login", "second"}, s.shown)
}

// TestConnectionsAreKept: signatures share connections.
func TestConnectionsAreKept(t *testing.T) {
	s := newServer(t, secure(tls.NoClientCert))
	remotes := map[string]bool{}
	by := newSigner(t)
	s.signs(pathSign, by)
	sign := s.replies[pathSign]
	s.answer(pathSign, func(r *http.Request) reply {
		remotes[r.RemoteAddr] = true
		return sign(r)
	})
	l := newLab(t, s)
	l.spec.CABundle = []byte(s.bundle())
	l.signs(3)
	if len(remotes) != 1 {
		t.Errorf("%d connections", len(remotes))
	}
	if got := (*Type)(nil).Server(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{Server: "https://Vault.example.com:8200/x"}}}); got != "the Vault server vault.example.com:8200" {
		t.Errorf("server %q", got)
	}
	if strings.Contains(host("https://user:password@vault.example.com"), "password") {
		t.Error("the host has a password")
	}
}
