package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	clocktesting "k8s.io/utils/clock/testing"
)

// canary is in every body. No error text may contain it.
const canary = "CANARY-5f0e"

var (
	testKey = mustKey()
	epoch   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func mustKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// signed is a request whose signature the server has verified.
type signed struct {
	Path, Payload, Nonce, KeyID string
	Embedded                    bool
}

// server is an ACME server that checks each signature, accepts each nonce once
// and answers as the test configures.
type server struct {
	*httptest.Server
	t     testing.TB
	clock *clocktesting.FakePassiveClock

	mu       sync.Mutex
	issued   int
	nonces   map[string]bool
	posts    []signed
	requests []string
	handlers map[string]http.HandlerFunc
	profiles map[string]string
	// noRenewalInfo leaves renewal information out of the directory.
	noRenewalInfo bool
}

func newServer(t testing.TB) *server {
	s := &server{
		t:        t,
		clock:    clocktesting.NewFakePassiveClock(epoch),
		nonces:   map[string]bool{},
		handlers: map[string]http.HandlerFunc{},
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// client returns a client with the account /acct/1.
func (s *server) client() *Client {
	return New(Config{
		DirectoryURL: s.URL + "/dir", Key: testKey, AccountURL: s.URL + "/acct/1", HTTPClient: s.Client(), Clock: s.clock,
	})
}

// handle sets the handler of a path.
func (s *server) handle(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[path] = h
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	h := s.handlers[r.URL.Path]
	s.mu.Unlock()
	if r.Method == http.MethodPost {
		if problem := s.verify(r); problem != "" {
			w.Header().Set("Replay-Nonce", s.nonce())
			sendProblem(w, 400, `{"type":"`+ErrorNamespace+problem+`","detail":"refused"}`)
			return
		}
	}
	if (r.Method == http.MethodPost || r.URL.Path == "/nonce") && h == nil {
		w.Header().Set("Replay-Nonce", s.nonce())
	}
	switch {
	case h != nil:
		h(w, r)
	case r.URL.Path == "/dir":
		s.sendDirectory(w)
	case r.URL.Path == "/nonce":
	default:
		sendJSON(w, 200, `{"status":"valid"}`)
	}
}

func (s *server) sendDirectory(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	directory := map[string]any{
		"newNonce": s.URL + "/nonce", "newAccount": s.URL + "/new-acct", "newOrder": s.URL + "/new-order",
		"meta": map[string]any{"profiles": s.profiles, "termsOfService": "https://ca.example/terms"},
	}
	if !s.noRenewalInfo {
		directory["renewalInfo"] = s.URL + "/renewal-info"
	}
	data, err := json.Marshal(directory)
	if err != nil {
		s.t.Error(err)
	}
	sendJSON(w, 200, string(data))
}

func (s *server) nonce() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	n := fmt.Sprintf("nonce-%d", s.issued)
	s.nonces[n] = true
	return n
}

// verify returns the error type of an invalid request, or "".
func (s *server) verify(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/jose+json" || r.UserAgent() == "" {
		return TypeMalformed
	}
	jws, err := jose.ParseSignedJSON(string(body), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return TypeMalformed
	}
	payload, err := jws.Verify(testKey.Public())
	if err != nil {
		return TypeMalformed
	}
	header := jws.Signatures[0].Protected
	if header.ExtraHeaders["url"] != s.URL+r.URL.RequestURI() || (header.JSONWebKey == nil) == (header.KeyID == "") {
		return TypeMalformed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, signed{
		Path: r.URL.Path, Payload: string(payload), Nonce: header.Nonce, KeyID: strings.TrimPrefix(header.KeyID, s.URL),
		Embedded: header.JSONWebKey != nil,
	})
	if !s.nonces[header.Nonce] {
		return TypeBadNonce
	}
	delete(s.nonces, header.Nonce)
	return ""
}

func (s *server) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if r == request {
			n++
		}
	}
	return n
}

func sendJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func sendProblem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
