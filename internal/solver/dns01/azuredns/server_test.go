package azuredns

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	tenant       = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	client       = "11111111-2222-3333-4444-555555555555"
	secret       = "Xy8Q~ThisIsTheSecretOfTheClient_abcdefgh"
	subscription = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	group        = "dns-zones"
	resourceID   = "/subscriptions/" + subscription + "/resourcegroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/everleaf"
	object       = "99999999-8888-7777-6666-000000000000"
)

// storedSet is a TXT record set of the server.
type storedSet struct {
	etag     string
	ttl      int64
	values   [][]string
	metadata map[string]string
}

// server stands for Microsoft Entra ID, the instance metadata service and the Azure
// API of one cloud, at the documented addresses: its transport sends the requests for
// all hosts here. It knows what the documentation pages at the handlers say, and answers
// 400 to all else.
type server struct {
	t *testing.T
	*httptest.Server
	cloud azure

	mu sync.Mutex
	// tokenFile has the token of the service account.
	tokenFile string
	// identities are the client ids that the metadata service has.
	identities []string
	// zones are those of the group by type; a page has two.
	zones map[string][]string
	sets  map[string]*storedSet // by type/zone/name
	// tokens are those that were given, with what their holders may do.
	tokens map[string]string
	// role is that of the tokens that are given: "contributor", "zone" for a role at the
	// zones only, "none".
	role string
	// entra is an answer of Entra's token endpoint, imds one of the metadata service.
	entra, imds *answer
	// all is the answer to all requests, api to those to the API.
	all, api *answer
	// before is called before a record set is written.
	before func(name string)
	// exchanges counts the tokens, requests what was asked: "GET host/path".
	exchanges int
	requests  []string
	silent    chan struct{}
	serial    int
}

type answer struct {
	status int
	header http.Header
	body   string
}

func newServer(t *testing.T, c azure) *server {
	s := &server{
		t: t, cloud: c, role: "contributor", identities: []string{client},
		zones: map[string][]string{
			"dnsZones":        {"example.org", "Example.com", "deep.sub.example.com", "xample.com"},
			"privateDnsZones": {"example.com", "deep.sub.example.com", "corp.internal"},
		},
		sets: map[string]*storedSet{}, tokens: map[string]string{},
		tokenFile: filepath.Join(t.TempDir(), "token"),
	}
	s.renew("1")
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// renew replaces the token of the service account.
func (s *server) renew(id string) {
	claims := fmt.Sprintf(`{"aud":["api://AzureADTokenExchange"],"iss":"https://oidc.example.com/cluster/","sub":"system:serviceaccount:everleaf:everleaf","jti":%q}`, id)
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
	if err := os.WriteFile(s.tokenFile, []byte(token), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// environment is what the webhook of azure-workload-identity sets.
func (s *server) environment() map[string]string {
	return map[string]string{
		envClientID: client, envTenantID: tenant, envTokenFile: s.tokenFile, envAuthority: s.cloud.ActiveDirectoryAuthorityHost,
	}
}

// toServer is the transport.
type toServer struct {
	host string
	http.RoundTripper
}

func (s *server) transport() http.RoundTripper {
	u, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	return toServer{u.Host, &http.Transport{ResponseHeaderTimeout: 500 * time.Millisecond}}
}

func (t toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Scheme", r.URL.Scheme)
	r.Host, r.URL.Host, r.URL.Scheme = r.URL.Host, t.host, "http"
	return t.RoundTripper.RoundTrip(r)
}

// refuse makes the API answer all requests so.
func (s *server) refuse(a answer) { s.set(func() { s.api = &a }) }

// set makes a change to the server.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.Host+r.URL.Path)
	all, silent := s.all, s.silent
	s.mu.Unlock()
	if silent != nil {
		select {
		case <-silent:
		case <-r.Context().Done():
			return
		}
	}
	if all != nil {
		write(w, *all)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(r.UserAgent(), "everleaf ") {
		badRequest(w, "user agent "+r.UserAgent())
		return
	}
	api := strings.TrimPrefix(s.cloud.Services["resourceManager"].Endpoint, "https://")
	switch scheme := r.Header.Get("X-Scheme"); {
	case r.Host == s.cloud.authority() && scheme == "https":
		s.serveEntra(w, r)
	case r.Host == "169.254.169.254" && scheme == "http":
		s.serveIMDS(w, r)
	case r.Host == api && scheme == "https":
		s.serveAPI(w, r)
	default:
		badRequest(w, "host "+r.Host)
	}
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// Real answers have an id, which no message may have.
	w.Header().Set("X-Ms-Request-Id", fmt.Sprint(time.Now().UnixNano()))
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = fmt.Fprint(w, a.body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	write(w, answer{status: status, body: string(body)})
}

func badRequest(w http.ResponseWriter, what string) {
	// A test that fails shows this text.
	write(w, answer{status: 400, body: fmt.Sprintf(`{"error":{"code":"BadRequest","message":%q}}`, what)})
}

type fields = map[string]any

// serveEntra answers as login.microsoftonline.com.
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
func (s *server) serveEntra(w http.ResponseWriter, r *http.Request) {
	host := "https://" + s.cloud.authority()
	known := host + "/" + tenant + "/v2.0/.well-known/openid-configuration"
	switch {
	case r.URL.Path == "/common/discovery/instance" && r.Method == http.MethodGet:
		if r.URL.Query().Get("api-version") != "1.1" {
			badRequest(w, "api-version")
			return
		}
		asked, _ := url.Parse(r.URL.Query().Get("authorization_endpoint"))
		of := strings.Split(strings.Trim(asked.Path, "/"), "/")[0]
		writeJSON(w, 200, fields{
			"tenant_discovery_endpoint": strings.Replace(known, tenant, of, 1), "api-version": "1.1",
			"metadata": []fields{{"preferred_network": s.cloud.authority(), "preferred_cache": s.cloud.authority(), "aliases": []string{s.cloud.authority()}}},
		})
	case strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration") && r.Method == http.MethodGet:
		if !strings.HasPrefix(r.URL.Path, "/"+tenant+"/") {
			write(w, entraError(400, "invalid_tenant", 90002, "Tenant 'x' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."))
			return
		}
		writeJSON(w, 200, fields{
			"token_endpoint":         host + "/" + tenant + "/oauth2/v2.0/token",
			"authorization_endpoint": host + "/" + tenant + "/oauth2/v2.0/authorize",
			"issuer":                 host + "/" + tenant + "/v2.0",
		})
	case r.URL.Path == "/"+tenant+"/oauth2/v2.0/token" && r.Method == http.MethodPost:
		s.serveToken(w, r)
	default:
		badRequest(w, r.Method+" "+r.URL.Path)
	}
}

// entraError is an error of Entra, with ids and a time as it has them.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response-1
func entraError(status int, name string, code int, text string) answer {
	id := fmt.Sprintf("%08x-ce95-4e8f-9cc4-000000000000", time.Now().UnixNano()&0xffffffff)
	body, _ := json.Marshal(fields{
		"error": name, "error_codes": []int{code}, "timestamp": "2016-01-09 02:02:12Z", "trace_id": id, "correlation_id": id,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: 2016-01-09 02:02:12Z", code, text, id, id),
	})
	return answer{status: status, body: string(body)}
}

// serveToken answers the requests of the client credentials flow.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *server) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		badRequest(w, "form")
		return
	}
	f := r.PostForm
	scope := s.cloud.Services["resourceManager"].Audience + "/.default"
	assertion, _ := os.ReadFile(s.tokenFile)
	switch {
	case s.entra != nil:
		write(w, *s.entra)
	case f.Get("grant_type") != "client_credentials", !slices.Contains(strings.Fields(f.Get("scope")), scope):
		badRequest(w, "grant_type or scope "+f.Get("scope"))
	case !slices.Contains(s.identities, f.Get("client_id")):
		write(w, entraError(400, "unauthorized_client", 700016, "Application with identifier 'x' was not found in the directory 'y'."))
	case f.Has("client_assertion"):
		if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Has("client_secret") {
			badRequest(w, "client_assertion_type")
			return
		}
		if f.Get("client_assertion") != string(assertion) {
			write(w, entraError(401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject 'x'."))
			return
		}
		s.giveToken(w, "expires_in", 3599)
	case f.Get("client_secret") != secret:
		write(w, entraError(401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."))
	default:
		s.giveToken(w, "expires_in", 3599)
	}
}

func (s *server) giveToken(w http.ResponseWriter, field string, expiry any) {
	s.exchanges++
	token := fmt.Sprintf("eyJ0.token-%d", s.exchanges)
	s.tokens[token] = s.role
	writeJSON(w, 200, fields{"token_type": "Bearer", "access_token": token, field: expiry, "ext_expires_in": 3599, "resource": s.cloud.Services["resourceManager"].Audience})
}

// serveIMDS answers as the instance metadata service.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (s *server) serveIMDS(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	imdsError := func(text string) {
		writeJSON(w, 400, fields{"error": "invalid_request", "error_description": text})
	}
	for name, v := range q {
		if !slices.Contains([]string{"api-version", "resource", "client_id", "msi_res_id"}, name) || len(v) != 1 || v[0] == "" {
			imdsError("Bad parameter " + name)
			return
		}
	}
	switch {
	case s.imds != nil:
		write(w, *s.imds)
	case r.Method != http.MethodGet || r.URL.Path != "/metadata/identity/oauth2/token":
		imdsError("Bad path " + r.URL.Path)
	case r.Header.Get("Metadata") != "true":
		imdsError("Required metadata header not specified")
	case q.Get("api-version") != "2018-02-01" || q.Get("resource") != s.cloud.Services["resourceManager"].Audience:
		imdsError("Bad api-version or resource " + q.Get("resource"))
	case q.Has("client_id") && q.Has("msi_res_id"):
		imdsError("Two ids")
	case q.Has("client_id") && !slices.Contains(s.identities, q.Get("client_id")), q.Has("msi_res_id") && q.Get("msi_res_id") != resourceID:
		imdsError("Identity not found")
	case !q.Has("client_id") && !q.Has("msi_res_id") && len(s.identities) > 1:
		imdsError("Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request")
	default:
		s.giveToken(w, "expires_on", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
	}
}
