package akamai

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

const (
	host        = "akab-c113ntt0k3n4qtari252bfxxbsl-yvsdj.luna.akamaiapis.net"
	clientToken = "akab-c113ntt0k3nm3r1c4n4-0123456789abcdef"
	readToken   = "akab-r34d0nlyt0k3n4qtari-0123456789abcdef"
	accessToken = "akab-acc35t0k3nodujqunph-3w7hzp7gtm6ijtxr"
	goodSecret  = "C113nt53KR3TN6N90yVuAgICxIRwsObLi0E67/N8eRN="
	badSecret   = "Wr0ng53KR3TN6N90yVuAgICxIRwsObLi0E67/N8eRNA="
)

// stub is the Zone Management API v2 of Edge DNS as
// https://techdocs.akamai.com/edge-dns/reference documents it.
type stub struct {
	t *testing.T
	*dns01test.Vendor

	mu     sync.Mutex
	zones  map[string]string    // the type, by zone
	sets   map[string]recordSet // by name; all of type TXT
	nonces []string
	// between is called between a reading and the next change; another writer comes there.
	between func(s *stub)
}

func newStub(t *testing.T) *stub {
	s := &stub{t: t, zones: map[string]string{"example.com": "primary", "deep.sub.example.com": "primary", "copy.example.com": "secondary"}, sets: map[string]recordSet{}}
	s.Vendor = dns01test.NewVendor(t, s)
	return s
}

func (s *stub) provider(t *testing.T, token, secret string) *Provider {
	t.Helper()
	p, err := New(Config{
		Host: host, ClientToken: Credential{token, "default/akamai"}, ClientSecret: Credential{secret, "default/akamai"},
		AccessToken: Credential{accessToken, "default/akamai"}, Clock: clock.RealClock{}, HTTP: s.Transport, Endpoint: s.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// values returns the TXT values at a name.
func (s *stub) values(_ *testing.T, fqdn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, text := range s.sets[plain(fqdn)].Rdata {
		values = append(values, strings.Trim(text, `"`))
	}
	return values
}

// refuse answers with a problem, each time with another id.
func refuse(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "https://problems.luna.akamaiapis.net/authoritative-dns/problem", "title": title, "detail": detail, "status": status,
		"instance": fmt.Sprint("https://problems.luna.akamaiapis.net/", time.Now().UnixNano()), "requestId": fmt.Sprintf("%x", time.Now().UnixNano()),
	})
}

func sign(message, key string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// authorize verifies the signature of a request and returns the client token, as
// https://techdocs.akamai.com/developer/docs/edgegrid has it.
func (s *stub) authorize(r *http.Request, body []byte) (token, problem string) {
	unsigned, signature, ok := strings.Cut(r.Header.Get("Authorization"), "signature=")
	if !ok {
		return "", "Invalid authorization header"
	}
	fields := map[string]string{}
	for _, field := range strings.Split(strings.TrimPrefix(unsigned, "EG1-HMAC-SHA256 "), ";") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	at, err := time.Parse("20060102T15:04:05-0700", fields["timestamp"])
	if err != nil || time.Since(at).Abs() > 30*time.Second {
		return "", "Invalid timestamp"
	}
	if slices.Contains(s.nonces, fields["nonce"]) {
		return "", "Invalid nonce"
	}
	s.nonces = append(s.nonces, fields["nonce"])
	token = fields["client_token"]
	if token != clientToken && token != readToken || fields["access_token"] != accessToken {
		return "", "Inactive client token"
	}
	hash := ""
	if r.Method == http.MethodPost && len(body) > 0 {
		sum := sha256.Sum256(body)
		hash = base64.StdEncoding.EncodeToString(sum[:])
	}
	message := strings.Join([]string{r.Method, "http", r.Host, r.URL.RequestURI(), "", hash, unsigned}, "\t")
	if sign(message, sign(fields["timestamp"], goodSecret)) != signature {
		return "", "The signature does not match"
	}
	return token, ""
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("User-Agent") != "everleaf" {
		s.t.Errorf("User-Agent %q", r.Header.Get("User-Agent"))
	}
	token, problem := s.authorize(r, body)
	if problem != "" {
		refuse(w, http.StatusUnauthorized, "Not authorized", problem)
		return
	}
	if r.URL.RequestURI() == "/config-dns/v2/zones?showAll=true" && r.Method == http.MethodGet {
		s.listZones(w)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.RequestURI(), "/config-dns/v2/zones/"), "/")
	if len(path) != 5 || path[1] != "names" || path[3] != "types" || path[4] != "TXT" {
		s.t.Errorf("%s %s is not documented", r.Method, r.URL)
		refuse(w, http.StatusBadRequest, "Bad request", "no such path")
		return
	}
	zone, name := path[0], path[2]
	if _, ok := s.zones[zone]; !ok {
		refuse(w, http.StatusNotFound, "Not Found", "Zone "+zone+" does not exist")
		return
	}
	if name != zone && !strings.HasSuffix(name, "."+zone) {
		s.t.Errorf("%s is not in zone %s", name, zone)
	}
	if r.Method != http.MethodGet && token == readToken {
		refuse(w, http.StatusForbidden, "Forbidden", "The client does not have the grant needed for the request")
		return
	}
	if s.between != nil && r.Method != http.MethodGet {
		s.between(s)
	}
	s.records(w, r.Method, name, body)
}

// listZones is https://techdocs.akamai.com/edge-dns/reference/get-zones
func (s *stub) listZones(w http.ResponseWriter) {
	var zones []map[string]any
	for _, name := range slices.Sorted(maps.Keys(s.zones)) {
		zones = append(zones, map[string]any{
			"contractId": "1-2ABCDE", "zone": name, "type": s.zones[name], "aliasCount": 1, "signAndServe": true,
			"signAndServeAlgorithm": "RSA_SHA256", "versionId": "ae02357c-693d-4ac4-b33d-8352d9b7c786",
			"lastModifiedDate": "2017-01-03T12:00:00Z", "lastModifiedBy": "user28", "lastActivationDate": "2017-01-03T12:00:00Z", "activationState": "ACTIVE",
		})
	}
	answer(w, http.StatusOK, map[string]any{
		"metadata": map[string]any{"page": 1, "pageSize": 25, "showAll": true, "totalElements": len(zones), "contractIds": []string{"1-2ABCDE"}},
		"zones":    zones,
	})
}

// records are the methods of https://techdocs.akamai.com/edge-dns/reference/get-zone-name-type
// and of its neighbours post-, put- and delete-.
func (s *stub) records(w http.ResponseWriter, method, name string, body []byte) {
	set, exists := s.sets[name]
	switch {
	case method == http.MethodPost && exists:
		refuse(w, http.StatusConflict, "Record already exists", "Record set "+name+" TXT already exists")
	case method != http.MethodPost && !exists:
		refuse(w, http.StatusNotFound, "Not Found", "Record set "+name+" TXT does not exist")
	case method == http.MethodGet:
		answer(w, http.StatusOK, set)
	case method == http.MethodDelete:
		delete(s.sets, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		var made recordSet
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.DisallowUnknownFields()
		quoted := func(text string) bool {
			return len(text) > 2 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`)
		}
		if err := decoder.Decode(&made); err != nil || made.Name != name || made.Type != "TXT" || made.TTL < 1 || len(made.Rdata) == 0 || !quoted(made.Rdata[len(made.Rdata)-1]) {
			s.t.Errorf("record set %+v, %v", made, err)
			refuse(w, http.StatusBadRequest, "Bad request", "the record set is not valid")
			return
		}
		s.sets[name] = made
		answer(w, map[string]int{http.MethodPost: http.StatusCreated, http.MethodPut: http.StatusOK}[method], made)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
