package vault

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// reply is an answer of the server.
type reply struct {
	status int
	body   string
	header http.Header
}

// server answers as the documentation of Vault's API says.
type server struct {
	*httptest.Server
	t *testing.T

	mu sync.Mutex
	// seen are the requests: method, path, token and namespace.
	seen []string
	// bodies are those of the last request to each path.
	bodies map[string]map[string]any
	// replies are the answers by path; one that is missing is 404.
	replies map[string]func(r *http.Request) reply
	// shown are the common names of the client certificates of each request.
	shown []string
}

func newServer(t *testing.T, start func(*httptest.Server)) *server {
	t.Helper()
	s := &server{t: t, bodies: map[string]map[string]any{}, replies: map[string]func(*http.Request) reply{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	start(s.Server)
	t.Cleanup(s.Close)
	s.set("/v1/sys/health", http.StatusOK, `{"initialized":true,"sealed":false,"standby":false}`)
	s.set("/v1/sys/capabilities-self", http.StatusOK, `{"data":{"capabilities":["create","update"],"pki/sign/web":["create","update"]}}`)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	line := r.Method + " " + r.URL.Path
	if token := r.Header.Get("X-Vault-Token"); token != "" {
		line += " token=" + token
	}
	if namespaces := r.Header.Values("X-Vault-Namespace"); len(namespaces) > 0 {
		line += " namespace=" + strings.Join(namespaces, "|")
	}
	s.seen = append(s.seen, line)
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.bodies[r.URL.Path] = body
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		s.shown = append(s.shown, r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	answer := s.replies[r.URL.Path]
	s.mu.Unlock()
	out := reply{status: http.StatusNotFound, body: `{"errors":["no handler for route \"` + strings.TrimPrefix(r.URL.Path, "/v1/") + `\". route entry not found."]}`}
	if answer != nil {
		out = answer(r)
	}
	for name, values := range out.header {
		w.Header()[name] = values
	}
	w.WriteHeader(out.status)
	_, _ = w.Write([]byte(out.body))
}

// set has a path answered in one way.
func (s *server) set(path string, status int, body string) {
	s.answer(path, func(*http.Request) reply { return reply{status: status, body: body} })
}

func (s *server) answer(path string, f func(*http.Request) reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[path] = f
}

// took returns the requests since the last call.
func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

func plain(s *httptest.Server) { s.Start() }

// tokensOf has log-ins at a path answered with the tokens t1, t2 and so on.
func (s *server) tokensOf(path, more string) {
	n := 0
	s.answer(path, func(*http.Request) reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		n++
		return reply{status: http.StatusOK, body: fmt.Sprintf(`{"auth":{"client_token":"t%d"%s}}`, n, more)}
	})
}

// signer signs as Vault does: it is a CA below a root.
type signer struct {
	root, middle       *x509.Certificate
	rootKey, middleKey crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for a template; above is nil for a self-signed one.
func issue(t testing.TB, template pki.Template, key crypto.Signer, above *x509.Certificate, by crypto.Signer, o pki.SignOptions) *x509.Certificate {
	t.Helper()
	csr, err := pki.UnsignedRequest(template, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.CertificateFromRequest(csr, o)
	if err != nil {
		t.Fatal(err)
	}
	if above == nil {
		above, by = cert, key
	}
	signed, err := pki.Sign(cert, above, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func valid(isCA bool) pki.SignOptions {
	return pki.SignOptions{NotBefore: now.Add(-time.Minute), NotAfter: now.Add(24 * time.Hour), IsCA: isCA}
}

func newSigner(t testing.TB) *signer {
	s := &signer{rootKey: newKey(t), middleKey: newKey(t)}
	s.root = issue(t, pki.Template{CommonName: "root"}, s.rootKey, nil, nil, valid(true))
	s.middle = issue(t, pki.Template{CommonName: "middle"}, s.middleKey, s.root, s.rootKey, valid(true))
	return s
}

func encode(certs ...*x509.Certificate) string {
	return strings.TrimSpace(string(pki.EncodeChain(certs...)))
}

// leaf signs a signing request.
func (s *signer) leaf(t testing.TB, csrPEM string, o pki.SignOptions) *x509.Certificate {
	t.Helper()
	csr, err := pki.ParseRequest([]byte(csrPEM), pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.CertificateFromRequest(csr, o)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := pki.Sign(cert, s.middle, csr.PublicKey, s.middleKey)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// answer is the answer of a sign endpoint.
func (s *signer) answer(leaf *x509.Certificate, more string) string {
	text, _ := json.Marshal(map[string]any{
		"certificate": encode(leaf), "issuing_ca": encode(s.middle), "ca_chain": []string{encode(s.middle), encode(s.root)},
	})
	return `{"data":` + strings.TrimSuffix(string(text), "}") + more + `}}`
}

// signs has a path sign what is asked.
func (s *server) signs(path string, by *signer) {
	s.answer(path, func(*http.Request) reply {
		s.mu.Lock()
		csr, _ := s.bodies[path]["csr"].(string)
		s.mu.Unlock()
		return reply{status: http.StatusOK, body: by.answer(by.leaf(s.t, csr, valid(false)), "")}
	})
}

// secrets are the Secrets of a namespace by their names.
type secrets struct {
	mu sync.Mutex
	// cached are what the caches show, if that differs.
	cached map[string]string
	stored map[string]*corev1.Secret
	err    error
	reads  int
}

func (s *secrets) Version(namespace, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version, ok := s.cached[name]; ok {
		return version
	}
	if secret := s.stored[name]; secret != nil && namespace == "ns" {
		return secret.ResourceVersion
	}
	return ""
}

func (s *secrets) Live(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if namespace != "ns" || s.err != nil {
		return nil, s.err
	}
	return s.stored[name], nil
}

// put stores a Secret at the next version.
func (s *secrets) put(name string, data map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored == nil {
		s.stored = map[string]*corev1.Secret{}
	}
	version := 1
	if old := s.stored[name]; old != nil {
		_, _ = fmt.Sscan(old.ResourceVersion, &version)
		version++
	}
	secret := &corev1.Secret{Data: map[string][]byte{}}
	secret.Name, secret.Namespace, secret.ResourceVersion = name, "ns", fmt.Sprint(version)
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	s.stored[name] = secret
}

// tokens issues tokens of service accounts.
type tokens struct {
	asked []string
	err   error
}

func (t *tokens) ServiceAccountToken(_ context.Context, namespace, name string, audiences []string, lifetime time.Duration) (string, error) {
	t.asked = append(t.asked, fmt.Sprintf("%s/%s %q %s", namespace, name, audiences, lifetime))
	return "jwt-of-" + name, t.err
}

// lab is an issuer at a server.
type lab struct {
	*Type
	t       *testing.T
	server  *server
	secrets *secrets
	tokens  *tokens
	clock   *clocktesting.FakePassiveClock
	spec    cmv1.VaultIssuer
	// name is the issuer's.
	name types.NamespacedName
}

func newLab(t *testing.T, s *server) *lab {
	l := &lab{t: t, server: s, secrets: &secrets{}, tokens: &tokens{}, clock: clocktesting.NewFakePassiveClock(now)}
	l.Type = New(Config{Secrets: l.secrets, Tokens: l.tokens, Clock: l.clock})
	l.spec = cmv1.VaultIssuer{Server: s.URL, Path: "pki/sign/web", Auth: cmv1.VaultAuth{TokenSecretRef: ref("vault", "")}}
	l.name = types.NamespacedName{Namespace: "ns", Name: "vi"}
	l.secrets.put("vault", map[string]string{"token": " s.token\n", "secret-id": "the-secret-id\n", "jwt": "the-jwt\n"})
	return l
}

func ref(name, key string) *cmmeta.SecretKeySelector {
	return &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

func appRole() cmv1.VaultAuth {
	return cmv1.VaultAuth{AppRole: &cmv1.VaultAppRole{RoleId: " the-role-id ", SecretRef: *ref("vault", "secret-id")}}
}

func (l *lab) check() (issuer.Status, error) {
	return l.Check(l.t.Context(), issuer.Issuer{
		UID: "uid", Name: l.name, Namespace: "ns", Spec: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &l.spec}}, Now: l.clock.Now(),
	})
}

// newRequest returns a request for a new key with names of all kinds.
func (l *lab) request(template pki.Template) issuer.Request {
	l.t.Helper()
	csr, err := pki.BuildRequest(template, newKey(l.t), pki.Limits{})
	if err != nil {
		l.t.Fatal(err)
	}
	return issuer.Request{
		CSR: csr, Issuer: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &l.spec}}, IssuerUID: "uid", IssuerName: l.name,
		Namespace: "ns", Now: l.clock.Now(),
	}
}

func (l *lab) sign() (request.Outcome, error) {
	l.t.Helper()
	return l.Sign(l.t.Context(), l.request(pki.Template{CommonName: "web.example.com", DNSNames: []string{"web.example.com"}}))
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// verdict is what a fault says.
type verdict struct {
	Class           fault.Class
	Reason, Message string
	At              time.Time
}

func verdictOf(err error) verdict {
	f := fault.Of(err)
	if f == nil {
		return verdict{}
	}
	return verdict{f.Class, f.Reason, f.Message, f.At}
}

// names are the common names of certificates in PEM.
func names(t *testing.T, chain []byte) []string {
	t.Helper()
	var out []string
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, cert.Subject.CommonName)
	}
	return out
}

// pairPEM is a key pair for a TLS client.
func pairPEM(t *testing.T, name string) (cert, key string, root *x509.Certificate) {
	t.Helper()
	own := newKey(t)
	root = issue(t, pki.Template{CommonName: name}, own, nil, nil, pki.SignOptions{
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(100 * 24 * time.Hour), IsCA: true, Usages: []string{"client auth", "cert sign"},
	})
	encoded, err := pki.EncodeKey(own, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return encode(root), string(encoded), root
}
