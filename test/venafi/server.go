// Package venafi is a server for tests that answers like CyberArk Certificate Manager:
// Self-Hosted (TPP), SaaS and NGTS, as their public documentation describes the calls. It
// takes no field that the documentation does not have, and notes each call.
package venafi

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the server knows at its start.
const (
	Token        = "tpp-access-token-1"
	Username     = "svc-everleaf"
	Password     = "correct-horse"
	ClientID     = "cert-manager.io"
	APIKey       = "7d6c5b4a-9999-8888-7777-66554433221f"
	NGTSClient   = "ngts-client"
	NGTSSecret   = "ngts-client-secret"
	TSGID        = "1000000001"
	PolicyFolder = `\VED\Policy\Kube\web`
	Application  = "Shop App"
	Template     = "Default Tmpl"
)

// Call is one request that the server got.
type Call struct {
	Method, Path string
	// Auth is the header with the credentials.
	Auth      string
	UserAgent string
	Body      string
}

// Server is a Certificate Manager. Its zero value is not usable: see New.
type Server struct {
	// URL is that of the server, without a path, CA the PEM of its root, which has
	// also signed its own certificate.
	URL string
	CA  []byte

	http *httptest.Server

	mu    sync.Mutex
	calls []Call
	// tokens are those that TPP and NGTS take.
	tokens map[string]bool
	issued int
	// lifetime is that of the tokens that the server makes.
	lifetime time.Duration
	password string
	// held has requests wait for a person's approval.
	held bool
	// scripted are answers that come before the usual ones, by the end of the path.
	scripted map[string][]Answer
	// silent is closed when the server answers again, waiting counts the calls that wait
	// for that.
	silent  chan struct{}
	waiting int
	policy  map[string]any
	// objects are the certificates of TPP by DN, requests those of the SaaS by id.
	objects, requests map[string]*object

	root, intermediate     *x509.Certificate
	rootKey, middle, other *ecdsa.PrivateKey
	foreign                bool
}

// object is a certificate, or a request for one.
type object struct {
	csr *x509.CertificateRequest
	// made is when the SaaS has got the request.
	made time.Time
	// failed is TPP's sentence for an object in error.
	failed   string
	approved bool
	rejected bool
}

// Answer is an answer that a test wants.
type Answer struct {
	Status int
	Body   string
	Header http.Header
	// Cut has the server do what it is asked, and end the connection without an answer.
	Cut bool
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		tokens: map[string]bool{Token: true}, password: Password, lifetime: time.Hour, scripted: map[string][]Answer{},
		objects: map[string]*object{}, requests: map[string]*object{},
		policy: map[string]any{
			"CertificateAuthority": map[string]any{"Locked": false, "Value": `\VED\Policy\Kube\CA`},
			"CsrGeneration":        map[string]any{"Locked": false, "Value": "UserProvided"},
			"KeyPair": map[string]any{
				"KeyAlgorithm": map[string]any{"Locked": false, "Value": "RSA"},
				"KeySize":      map[string]any{"Locked": false, "Value": 2048},
			},
			"ManagementType":         map[string]any{"Locked": false, "Value": "Enrollment"},
			"PrivateKeyReuseAllowed": true, "SubjAltNameDnsAllowed": true, "SubjAltNameEmailAllowed": true,
			"SubjAltNameIpAllowed": true, "SubjAltNameUpnAllowed": true, "SubjAltNameUriAllowed": true,
			"Subject": map[string]any{
				"City": map[string]any{"Locked": false}, "Country": map[string]any{"Locked": false},
				"Organization": map[string]any{"Locked": false}, "OrganizationalUnit": map[string]any{"Locked": false, "Values": []string{}},
				"State": map[string]any{"Locked": false},
			},
			"UniqueSubjectEnforced": false, "WhitelistedDomains": []string{}, "WildcardsAllowed": true,
		},
	}
	s.makeCA(t)
	s.http = httptest.NewUnstartedServer(s)
	s.http.TLS = s.serving(t)
	// Clients that do not trust the server are no news.
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.http.StartTLS()
	t.Cleanup(func() {
		s.Speak()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	s.URL = s.http.URL
	return s
}

// Client is a transport that trusts the server.
func (s *Server) Client() http.RoundTripper {
	return &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots()}}
}

func (s *Server) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.root)
	return pool
}

// Stop has nobody listen at the server's address any more.
func (s *Server) Stop() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Silence has the server take requests and not answer them until Speak.
func (s *Server) Silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent == nil {
		s.silent = make(chan struct{})
	}
}

// Speak ends a Silence.
func (s *Server) Speak() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent != nil {
		close(s.silent)
		s.silent = nil
	}
}

// Waiting is how many calls wait for an answer during a Silence.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Calls returns what was asked since the last time.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Count is how many calls there were whose path has an end, since Calls.
func (s *Server) Count(end string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if strings.HasSuffix(c.Path, end) {
			n++
		}
	}
	return n
}

// Paths are the methods and paths of calls.
func Paths(calls []Call) []string {
	var paths []string
	for _, c := range calls {
		paths = append(paths, c.Method+" "+c.Path)
	}
	return paths
}

// Script has the next calls whose path has an end answered in this way.
func (s *Server) Script(end string, answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripted[end] = append(s.scripted[end], answers...)
}

// Accept has the server take a token.
func (s *Server) Accept(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = true
}

// Revoke has the server take no token that it has taken before.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]bool{}
}

// SetPassword changes the user's password.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// Hold has requests wait for a person's approval from now on.
func (s *Server) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// Approve approves all requests that wait, and those to come.
func (s *Server) Approve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	for _, o := range s.all() {
		o.approved = true
	}
}

// Reject refuses all requests that wait.
func (s *Server) Reject() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.all() {
		o.rejected = true
	}
}

// Break has all objects of TPP be in error, with a sentence, until they are reset.
func (s *Server) Break(sentence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.objects {
		o.failed = sentence
	}
}

// DeliverForeignKeys has the server deliver certificates for a key of its own.
func (s *Server) DeliverForeignKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign = true
}

// Policy changes an entry of the policy of TPP's folder.
func (s *Server) Policy(entry string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy[entry] = value
}

// Requests is how many requests the server has taken: objects of TPP, and requests to the
// SaaS.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all())
}

func (s *Server) all() []*object {
	var all []*object
	for _, o := range s.objects {
		all = append(all, o)
	}
	for _, o := range s.requests {
		all = append(all, o)
	}
	return all
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	silent := s.silent
	if silent != nil {
		s.waiting++
	}
	s.mu.Unlock()
	if silent != nil {
		gone := false
		select {
		case <-silent:
		case <-r.Context().Done():
			gone = true
		}
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
		if gone {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	auth := r.Header.Get("Authorization")
	if key := r.Header.Get("tppl-api-key"); key != "" {
		auth = "tppl-api-key " + key
	}
	path := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	s.calls = append(s.calls, Call{Method: r.Method, Path: path, Auth: auth, UserAgent: r.UserAgent(), Body: string(body)})
	for end, answers := range s.scripted {
		if strings.HasSuffix(r.URL.Path, end) && len(answers) > 0 {
			s.scripted[end] = answers[1:]
			if answers[0].Cut {
				s.answer(httptest.NewRecorder(), r, body)
				panic(http.ErrAbortHandler)
			}
			maps.Copy(w.Header(), answers[0].Header)
			w.WriteHeader(answers[0].Status)
			_, _ = io.WriteString(w, answers[0].Body)
			return
		}
	}
	s.answer(w, r, body)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	for _, api := range []func(http.ResponseWriter, *http.Request, []byte) bool{s.tpp, s.saas} {
		if api(w, r, body) {
			return
		}
	}
	http.Error(w, "<html>404 Not Found</html>", http.StatusNotFound)
}

// reply sends JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// decode reads JSON, without fields that the documentation does not have.
func decode(w http.ResponseWriter, body []byte, into any) bool {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"Error": "The request is invalid: " + err.Error()})
		return false
	}
	return true
}

// parse reads a signing request.
func parse(text string) *x509.CertificateRequest {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil
	}
	return csr
}
