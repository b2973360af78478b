package acmedns

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

const (
	password      = "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z"
	wrongPassword = "pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q0"
)

// stub is a server of acme-dns as the API in its README documents it:
// https://github.com/joohoi/acme-dns#api
type stub struct {
	t *testing.T
	*dns01test.Vendor

	mu       sync.Mutex
	accounts map[string]map[string]any // as the Secret has them
	values   map[string][]string       // by subdomain, the newest last
}

func newStub(t *testing.T) *stub {
	s := &stub{t: t, accounts: map[string]map[string]any{}, values: map[string][]string{}}
	s.Vendor = dns01test.NewVendor(t, s)
	return s
}

// register adds an account as the answer to POST /register has it, for a DNS name, with
// a name in the server's zone.
func (s *stub) register(name, zone string) {
	n := len(s.accounts)
	subdomain := fmt.Sprintf("8e5700ea-a4bf-41c7-8a77-%012x", n)
	s.accounts[name] = map[string]any{
		"allowfrom": []string{}, "fulldomain": subdomain + "." + zone, "password": password,
		"subdomain": subdomain, "username": fmt.Sprintf("c36f50e8-4632-44f0-83fe-%012x", n),
	}
}

// secret is the Secret's value.
func (s *stub) secret() string {
	text, err := json.Marshal(s.accounts)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *stub) provider(t *testing.T, accounts string) *Provider {
	t.Helper()
	p, err := New(Config{Host: s.URL, Accounts: accounts, SecretName: "default/acmedns", Clock: clock.RealClock{}, HTTP: s.Transport})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// txt returns the TXT records that a CA finds for a challenge. A set has each value once.
func (s *stub) txt(_ *testing.T, fqdn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	subdomain, _ := s.accounts[dnsname.Identifier(fqdn)]["subdomain"].(string)
	values := slices.Clone(s.values[subdomain])
	slices.Sort(values)
	return slices.Compact(values)
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodPost || r.URL.Path != "/update" {
		s.t.Errorf("%s %s is not documented", r.Method, r.URL.Path)
		answer(w, http.StatusBadRequest, map[string]string{"error": "not_found"})
		return
	}
	if got := r.Header.Get("User-Agent"); got != "everleaf" {
		s.t.Errorf("User-Agent %q", got)
	}
	var update struct {
		Subdomain string `json:"subdomain"`
		Txt       string `json:"txt"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&update); err != nil {
		s.t.Errorf("body: %v", err)
		answer(w, http.StatusBadRequest, map[string]string{"error": "malformed_json_payload"})
		return
	}
	known := false
	for _, a := range s.accounts {
		known = known || a["username"] == r.Header.Get("X-Api-User") && a["subdomain"] == update.Subdomain
	}
	switch {
	case !known || r.Header.Get("X-Api-Key") != password:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "forbidden"})
	case len(update.Txt) != 43:
		answer(w, http.StatusBadRequest, map[string]string{"error": "bad_txt"})
	default:
		values := append(s.values[update.Subdomain], update.Txt)
		s.values[update.Subdomain] = values[max(len(values)-2, 0):]
		answer(w, http.StatusOK, map[string]string{"txt": update.Txt})
	}
}

// broken is a Secret's value with another password.
func broken(secret string) string { return strings.ReplaceAll(secret, password, wrongPassword) }
