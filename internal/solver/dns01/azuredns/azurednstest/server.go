// Package azurednstest stands for the Azure services that package azuredns uses, for tests.
package azurednstest

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

// What the Server knows: an application with a secret and a managed identity, which both
// have the id Client, and where its zones are.
const (
	Tenant       = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	Client       = "11111111-2222-3333-4444-555555555555"
	Secret       = "Xy8Q~ThisIsTheSecretOfTheClient_abcdefgh"
	Subscription = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	Group        = "dns-zones"
	ResourceID   = "/subscriptions/" + Subscription + "/resourcegroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/everleaf"
	Object       = "99999999-8888-7777-6666-000000000000"
)

// Cloud is one of Azure's clouds.
type Cloud struct {
	// Name is that of the API's field environment.
	Name string
	// Authority is the host that gives tokens, API the one of the API.
	Authority, API string
	// Audience is that of the tokens for the API.
	Audience string
}

// The clouds.
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure#guidance-for-developers
// https://learn.microsoft.com/azure/china/resources-developer-guide
var (
	Public     = Cloud{"AzurePublicCloud", "login.microsoftonline.com", "management.azure.com", "https://management.core.windows.net/"}
	Government = Cloud{"AzureUSGovernmentCloud", "login.microsoftonline.us", "management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/"}
	China      = Cloud{"AzureChinaCloud", "login.chinacloudapi.cn", "management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/"}
)

// MetadataHost is the address of the instance metadata service.
const MetadataHost = "169.254.169.254"

// Set is a TXT record set.
type Set struct {
	ETag     string
	TTL      int64
	Values   [][]string
	Metadata map[string]string
}

// Answer is an answer of the Server.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Server stands for Microsoft Entra ID, the instance metadata service and the Azure
// API of one cloud, at the documented addresses: its Transport sends the requests for
// all hosts here. It knows what the documentation pages at the handlers say, and answers
// 400 to all else.
//
// Do guards its fields while there are requests.
type Server struct {
	// Identities are the client ids that the metadata service has.
	Identities []string
	// Zones are those of the group by type, dnsZones or privateDnsZones; a page has two.
	Zones map[string][]string
	Sets  map[string]*Set // by type/zone/name, in lower case
	// Tokens are those that were given, with what their holders may do.
	Tokens map[string]string
	// Role is that of the tokens that are given: "contributor", "zone" for a role at the
	// zones only, "none".
	Role string
	// Entra is an answer of Entra's token endpoint, IMDS one of the metadata service.
	Entra, IMDS *Answer
	// All is the answer to all requests, API to those to the API.
	All, API *Answer
	// Before is called once before a record set is written.
	Before func(name string)
	// Changed is called with the values of each record set that was written or removed.
	Changed func(fqdn string, ttl time.Duration, values []string)
	// Exchanges counts the tokens, Requests what was asked: "GET host/path".
	Exchanges int
	Requests  []string
	// Silent, if it is not nil, holds all answers until it is closed.
	Silent chan struct{}
	// TokenFile has the token of the service account.
	TokenFile string

	t      testing.TB
	cloud  Cloud
	url    *url.URL
	mu     sync.Mutex
	serial int
}

// New starts a Server. It stops at the end of the test.
func New(t testing.TB, c Cloud) *Server {
	t.Helper()
	s := &Server{
		t: t, cloud: c, Role: "contributor", Identities: []string{Client},
		Zones: map[string][]string{
			"dnsZones":        {"example.org", "Example.com", "deep.sub.example.com", "xample.com"},
			"privateDnsZones": {"example.com", "deep.sub.example.com", "corp.internal"},
		},
		Sets: map[string]*Set{}, Tokens: map[string]string{},
		TokenFile: filepath.Join(t.TempDir(), "token"),
	}
	s.Renew("1")
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	var err error
	if s.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return s
}

// Renew replaces the token of the service account.
func (s *Server) Renew(id string) {
	claims := fmt.Sprintf(`{"aud":["api://AzureADTokenExchange"],"iss":"https://oidc.example.com/cluster/","sub":"system:serviceaccount:everleaf:everleaf","jti":%q}`, id)
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
	if err := os.WriteFile(s.TokenFile, []byte(token), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Environment is what the webhook of azure-workload-identity sets.
// https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html
func (s *Server) Environment() map[string]string {
	return map[string]string{
		"AZURE_CLIENT_ID": Client, "AZURE_TENANT_ID": Tenant, "AZURE_FEDERATED_TOKEN_FILE": s.TokenFile,
		"AZURE_AUTHORITY_HOST": "https://" + s.cloud.Authority + "/",
	}
}

// Hosts are those that the Server stands for.
func (s *Server) Hosts() []string { return []string{s.cloud.Authority, s.cloud.API, MetadataHost} }

// toServer is the transport.
type toServer struct {
	host string
	http.RoundTripper
}

// Transport sends all requests to the Server. It waits half a second for an answer.
func (s *Server) Transport() http.RoundTripper {
	return toServer{s.url.Host, &http.Transport{ResponseHeaderTimeout: 500 * time.Millisecond}}
}

func (t toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Scheme", r.URL.Scheme)
	r.Host, r.URL.Host, r.URL.Scheme = r.URL.Host, t.host, "http"
	return t.RoundTripper.RoundTrip(r)
}

// Do makes a change to the Server.
func (s *Server) Do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// At returns the record set at a name, nil if there is none.
func (s *Server) At(kind, fqdn string) *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	fqdn = strings.ToLower(fqdn)
	for key, set := range s.Sets {
		parts := strings.Split(key, "/")
		if parts[0] == strings.ToLower(kind) && ownerName(parts[1], parts[2]) == fqdn {
			return set
		}
	}
	return nil
}

// ownerName is the absolute name of a record set of a zone.
func ownerName(zone, name string) string { return strings.TrimPrefix(name+"."+zone+".", "@.") }

// Texts are the values of a Set, nil if there is none.
func (s *Set) Texts() []string {
	var values []string
	if s != nil {
		for _, v := range s.Values {
			values = append(values, strings.Join(v, ""))
		}
	}
	return values
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.Requests = append(s.Requests, r.Method+" "+r.Host+r.URL.Path)
	all, silent := s.All, s.Silent
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
	switch scheme := r.Header.Get("X-Scheme"); {
	case r.Host == s.cloud.Authority && scheme == "https":
		s.serveEntra(w, r)
	case r.Host == MetadataHost && scheme == "http":
		s.serveIMDS(w, r)
	case r.Host == s.cloud.API && scheme == "https":
		s.serveAPI(w, r)
	default:
		badRequest(w, "host "+r.Host)
	}
}

func write(w http.ResponseWriter, a Answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// Real answers have an id, which no message may have.
	w.Header().Set("X-Ms-Request-Id", fmt.Sprint(time.Now().UnixNano()))
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.Status)
	_, _ = fmt.Fprint(w, a.Body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	write(w, Answer{Status: status, Body: string(body)})
}

func badRequest(w http.ResponseWriter, what string) {
	// A test that fails shows this text.
	write(w, Answer{Status: 400, Body: fmt.Sprintf(`{"error":{"code":"BadRequest","message":%q}}`, what)})
}

type fields = map[string]any

// serveEntra answers as login.microsoftonline.com.
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
func (s *Server) serveEntra(w http.ResponseWriter, r *http.Request) {
	host := "https://" + s.cloud.Authority
	known := host + "/" + Tenant + "/v2.0/.well-known/openid-configuration"
	switch {
	case r.URL.Path == "/common/discovery/instance" && r.Method == http.MethodGet:
		if r.URL.Query().Get("api-version") != "1.1" {
			badRequest(w, "api-version")
			return
		}
		asked, _ := url.Parse(r.URL.Query().Get("authorization_endpoint"))
		of := strings.Split(strings.Trim(asked.Path, "/"), "/")[0]
		writeJSON(w, 200, fields{
			"tenant_discovery_endpoint": strings.Replace(known, Tenant, of, 1), "api-version": "1.1",
			"metadata": []fields{{"preferred_network": s.cloud.Authority, "preferred_cache": s.cloud.Authority, "aliases": []string{s.cloud.Authority}}},
		})
	case strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration") && r.Method == http.MethodGet:
		if !strings.HasPrefix(r.URL.Path, "/"+Tenant+"/") {
			write(w, EntraError(400, "invalid_tenant", 90002, "Tenant 'x' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."))
			return
		}
		writeJSON(w, 200, fields{
			"token_endpoint":         host + "/" + Tenant + "/oauth2/v2.0/token",
			"authorization_endpoint": host + "/" + Tenant + "/oauth2/v2.0/authorize",
			"issuer":                 host + "/" + Tenant + "/v2.0",
		})
	case r.URL.Path == "/"+Tenant+"/oauth2/v2.0/token" && r.Method == http.MethodPost:
		s.serveToken(w, r)
	default:
		badRequest(w, r.Method+" "+r.URL.Path)
	}
}

// EntraError is an error of Entra, with ids and a time as it has them.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response-1
func EntraError(status int, name string, code int, text string) Answer {
	id := fmt.Sprintf("%08x-ce95-4e8f-9cc4-000000000000", time.Now().UnixNano()&0xffffffff)
	body, _ := json.Marshal(fields{
		"error": name, "error_codes": []int{code}, "timestamp": "2016-01-09 02:02:12Z", "trace_id": id, "correlation_id": id,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: 2016-01-09 02:02:12Z", code, text, id, id),
	})
	return Answer{Status: status, Body: string(body)}
}

// serveToken answers the requests of the client credentials flow.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		badRequest(w, "form")
		return
	}
	f := r.PostForm
	scope := s.cloud.Audience + "/.default"
	assertion, _ := os.ReadFile(s.TokenFile)
	switch {
	case s.Entra != nil:
		write(w, *s.Entra)
	case f.Get("grant_type") != "client_credentials", !slices.Contains(strings.Fields(f.Get("scope")), scope):
		badRequest(w, "grant_type or scope "+f.Get("scope"))
	case !slices.Contains(s.Identities, f.Get("client_id")):
		write(w, EntraError(400, "unauthorized_client", 700016, "Application with identifier 'x' was not found in the directory 'y'."))
	case f.Has("client_assertion"):
		if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Has("client_secret") {
			badRequest(w, "client_assertion_type")
			return
		}
		if f.Get("client_assertion") != string(assertion) {
			write(w, EntraError(401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject 'x'."))
			return
		}
		s.giveToken(w, "expires_in", 3599)
	case f.Get("client_secret") != Secret:
		write(w, EntraError(401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."))
	default:
		s.giveToken(w, "expires_in", 3599)
	}
}

func (s *Server) giveToken(w http.ResponseWriter, field string, expiry any) {
	s.Exchanges++
	token := fmt.Sprintf("eyJ0.token-%d", s.Exchanges)
	s.Tokens[token] = s.Role
	writeJSON(w, 200, fields{"token_type": "Bearer", "access_token": token, field: expiry, "ext_expires_in": 3599, "resource": s.cloud.Audience})
}

// serveIMDS answers as the instance metadata service.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (s *Server) serveIMDS(w http.ResponseWriter, r *http.Request) {
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
	case s.IMDS != nil:
		write(w, *s.IMDS)
	case r.Method != http.MethodGet || r.URL.Path != "/metadata/identity/oauth2/token":
		imdsError("Bad path " + r.URL.Path)
	case r.Header.Get("Metadata") != "true":
		imdsError("Required metadata header not specified")
	case q.Get("api-version") != "2018-02-01" || q.Get("resource") != s.cloud.Audience:
		imdsError("Bad api-version or resource " + q.Get("resource"))
	case q.Has("client_id") && q.Has("msi_res_id"):
		imdsError("Two ids")
	case q.Has("client_id") && !slices.Contains(s.Identities, q.Get("client_id")), q.Has("msi_res_id") && q.Get("msi_res_id") != ResourceID:
		imdsError("Identity not found")
	case !q.Has("client_id") && !q.Has("msi_res_id") && len(s.Identities) > 1:
		imdsError("Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request")
	default:
		s.giveToken(w, "expires_on", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
	}
}
