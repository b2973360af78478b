// Package cloudflaretest stands for Cloudflare's API, for tests.
package cloudflaretest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

// Credentials that the Server knows, and WrongToken, which it does not know. ReadToken may not
// write.
const (
	Token      = "v1-0123456789abcdefghijklmnopqrstuvwxyzABCD"
	ReadToken  = "v1-readonly89abcdefghijklmnopqrstuvwxyzABCD"
	WrongToken = "v1-wrong6789abcdefghijklmnopqrstuvwxyzABCD"
	Key        = "c2547eb745079dac9320b638f5e225cf483cc5cfdda41"
	Email      = "user@example.com"
)

// pageSize is the Server's; Cloudflare may answer with smaller pages than it was asked for.
const pageSize = 2

// ttl is the least that the API takes, in seconds.
const ttl = 60

// Object is a JSON object.
type Object = map[string]any

// host and base are those of the URL of the API, which has the scheme https.
const (
	host = "api.cloudflare.com"
	base = "/client/v4"
)

// Server is Cloudflare's API v4 as https://developers.cloudflare.com/api documents it, with
// three accounts' zones: of several zones of one name, one is active. Its Transport sends
// the requests for the API's host here.
type Server struct {
	*dns01test.Vendor
	// Changed, if it is set before the first request, is called with the TXT values of each
	// name at which a record was written or removed.
	Changed func(fqdn string, ttl time.Duration, values []string)

	t       *testing.T
	mu      sync.Mutex
	zones   []Object
	records map[string][]Object // by zone id
	last    int
}

// New starts a Server. It stops at the end of the test.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{t: t, records: map[string][]Object{}}
	s.SetZones("example.com pending", "example.com moved", "example.com active", "deep.sub.example.com active")
	s.Vendor = dns01test.NewVendor(t, http.StripPrefix(base, s))
	s.Transport = toServer{strings.TrimPrefix(s.URL, "http://"), s.Transport}
	return s
}

// toServer is the transport.
type toServer struct {
	server string
	http.RoundTripper
}

func (t toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Host != host {
		return nil, fmt.Errorf("%s://%s is not the API", r.URL.Scheme, r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", t.server
	return t.RoundTripper.RoundTrip(r)
}

// Host is the one that the Server stands for.
func (s *Server) Host() string { return host }

// SetZones replaces the zones, each given as its name and its status. The new ones have
// other ids.
func (s *Server) SetZones(zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = nil
	for _, z := range zones {
		name, status, _ := strings.Cut(z, " ")
		s.addZone(name, status)
	}
}

// ZoneID returns the id of the i-th zone.
func (s *Server) ZoneID(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zones[i]["id"].(string)
}

// Add adds a record to the i-th zone.
func (s *Server) Add(i int, kind, name, content string) {
	id := s.ZoneID(i)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(id, kind, name, content)
}

func (s *Server) id() string {
	s.last++
	return fmt.Sprintf("023e105f4ecef8ad9ca31a83%08x", s.last)
}

// addZone adds a zone as in the response of List Zones,
// https://developers.cloudflare.com/api/resources/zones/methods/list/
func (s *Server) addZone(name, status string) {
	s.zones = append(s.zones, Object{
		"id": s.id(), "name": name, "status": status, "type": "full", "paused": false,
		"account":      Object{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "Example Account Name"},
		"activated_on": "2014-01-02T00:01:00.12345Z", "created_on": "2014-01-01T05:20:00.12345Z", "modified_on": "2014-01-01T05:20:00.12345Z",
		"development_mode": 7200,
		"meta":             Object{"cdn_only": true, "custom_certificate_quota": 1, "dns_only": true, "foundation_dns": true, "page_rule_quota": 100, "phishing_detected": false, "step": 2},
		"name_servers":     []string{"bob.ns.cloudflare.com", "lola.ns.cloudflare.com"},
		"original_dnshost": "NameCheap", "original_name_servers": []string{"ns1.originaldnshost.com", "ns2.originaldnshost.com"}, "original_registrar": "GoDaddy",
		"owner": Object{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "Example Org", "type": "organization"},
	})
}

// Values returns the TXT values at a name in all zones.
func (s *Server) Values(_ *testing.T, fqdn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values(strings.ToLower(strings.TrimSuffix(fqdn, ".")))
}

func (s *Server) values(name string) []string {
	var values []string
	for _, records := range s.records {
		for _, r := range records {
			if r["name"] == name && r["type"] == "TXT" {
				values = append(values, strings.Trim(r["content"].(string), `"`))
			}
		}
	}
	return values
}

func (s *Server) changed(name string) {
	if s.Changed != nil {
		s.Changed(name+".", ttl*time.Second, s.values(name))
	}
}

// Answer writes an answer; every answer of Cloudflare has these fields.
func Answer(w http.ResponseWriter, status int, fields Object) {
	body := Object{"success": status < 300, "errors": []any{}, "messages": []any{}, "result": nil}
	maps.Copy(body, fields)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("CF-Ray", "8f1b2c3d4e5f6071-FRA")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Refuse writes an answer with an error.
func Refuse(w http.ResponseWriter, status, code int, message string, chain ...Object) {
	e := Object{"code": code, "message": message}
	if chain != nil {
		e["error_chain"] = chain
	}
	Answer(w, status, Object{"errors": []Object{e}})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("User-Agent") != "everleaf" {
		s.t.Errorf("User-Agent %q", r.Header.Get("User-Agent"))
	}
	readOnly := false
	switch {
	case r.Header.Get("Authorization") == "Bearer "+Token:
	case r.Header.Get("Authorization") == "Bearer "+ReadToken:
		readOnly = true
	case r.Header.Get("X-Auth-Key") == Key && r.Header.Get("X-Auth-Email") == Email:
	default:
		Refuse(w, http.StatusForbidden, 9109, "Invalid access token")
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && len(path) == 1 && path[0] == "zones":
		s.listZones(w, r.URL.Query())
	case len(path) >= 3 && path[0] == "zones" && path[2] == "dns_records" && s.zone(path[1]) == nil:
		Refuse(w, http.StatusNotFound, 7003, "Could not route to /zones/"+path[1]+"/dns_records, perhaps your object identifier is invalid?")
	case r.Method == http.MethodGet && len(path) == 3 && path[2] == "dns_records":
		s.listRecords(w, path[1], r.URL.Query())
	case readOnly:
		Refuse(w, http.StatusForbidden, 10000, "Authentication error")
	case r.Method == http.MethodPost && len(path) == 3 && path[2] == "dns_records":
		s.create(w, r, s.zone(path[1]))
	case r.Method == http.MethodDelete && len(path) == 4 && path[2] == "dns_records":
		s.remove(w, path[1], path[3])
	default:
		Refuse(w, http.StatusBadRequest, 7000, "No route for that URI")
	}
}

func (s *Server) zone(id string) Object {
	for _, z := range s.zones {
		if z["id"] == id {
			return z
		}
	}
	return nil
}

// documented refuses a request with a parameter that is not documented for it.
func (s *Server) documented(w http.ResponseWriter, query url.Values, names ...string) bool {
	for name := range query {
		if !slices.Contains(names, name) {
			s.t.Errorf("parameter %q is not documented", name)
			Refuse(w, http.StatusBadRequest, 1004, "unknown parameter")
			return false
		}
	}
	return true
}

func (s *Server) listZones(w http.ResponseWriter, query url.Values) {
	if !s.documented(w, query, "name", "page", "per_page") {
		return
	}
	if !strings.Contains(query.Get("name"), ".") {
		s.t.Errorf("zones named %q were asked for", query.Get("name"))
	}
	page(w, s.zones, query, func(z Object) bool { return z["name"] == query.Get("name") })
}

// listRecords is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/list/
func (s *Server) listRecords(w http.ResponseWriter, zone string, query url.Values) {
	if !s.documented(w, query, "name.exact", "content.contains", "type", "page", "per_page") {
		return
	}
	page(w, s.records[zone], query, func(r Object) bool {
		content, part := strings.ToLower(r["content"].(string)), strings.ToLower(query.Get("content.contains"))
		return r["name"] == query.Get("name.exact") && r["type"] == query.Get("type") && strings.Contains(content, part)
	})
}

func page(w http.ResponseWriter, all []Object, query url.Values, matches func(Object) bool) {
	found := []Object{}
	for _, o := range all {
		if matches(o) {
			found = append(found, o)
		}
	}
	n, _ := strconv.Atoi(query.Get("page"))
	n = max(n, 1)
	part := found[min((n-1)*pageSize, len(found)):min(n*pageSize, len(found))]
	Answer(w, http.StatusOK, Object{"result": part, "result_info": Object{
		"count": len(part), "page": n, "per_page": pageSize, "total_count": len(found), "total_pages": (len(found) + pageSize - 1) / pageSize,
	}})
}

// create is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/create/
func (s *Server) create(w http.ResponseWriter, r *http.Request, zone Object) {
	var body struct {
		Type, Name, Content string
		TTL                 int
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		s.t.Errorf("body of a new record: %v", err)
		Refuse(w, http.StatusBadRequest, 9207, "Request body is invalid.")
		return
	}
	if diff := cmp.Diff([]any{"TXT", ttl, true}, []any{body.Type, body.TTL, strings.HasPrefix(body.Content, `"`)}); diff != "" {
		s.t.Errorf("new record (-want +got):\n%s", diff)
	}
	if name := zone["name"].(string); body.Name != name && !strings.HasSuffix(body.Name, "."+name) {
		s.t.Errorf("%s is not in zone %s", body.Name, name)
	}
	id := zone["id"].(string)
	for _, r := range s.records[id] {
		switch {
		case r["name"] != body.Name:
		case r["type"] == "CNAME":
			Refuse(w, http.StatusBadRequest, 81054, "A CNAME record with that host already exists. For more details, refer to <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>.")
			return
		case r["content"] == body.Content:
			Refuse(w, http.StatusBadRequest, 81058, "An identical record already exists.")
			return
		}
	}
	record := s.add(id, "TXT", body.Name, body.Content)
	s.changed(body.Name)
	Answer(w, http.StatusOK, Object{"result": record})
}

// add adds a record as in the response of Create DNS Record.
func (s *Server) add(zone, kind, name, content string) Object {
	record := Object{
		"id": s.id(), "name": name, "type": kind, "content": content, "ttl": ttl, "proxied": false, "proxiable": false,
		"comment": nil, "tags": []string{}, "settings": Object{}, "meta": Object{},
		"created_on": "2014-01-01T05:20:00.12345Z", "modified_on": "2014-01-01T05:20:00.12345Z",
	}
	s.records[zone] = append(s.records[zone], record)
	return record
}

// remove is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/delete/
func (s *Server) remove(w http.ResponseWriter, zone, id string) {
	at := slices.IndexFunc(s.records[zone], func(r Object) bool { return r["id"] == id })
	if at < 0 {
		Refuse(w, http.StatusNotFound, 81044, "Record does not exist.")
		return
	}
	name := s.records[zone][at]["name"].(string)
	s.records[zone] = slices.Delete(s.records[zone], at, at+1)
	s.changed(name)
	Answer(w, http.StatusOK, Object{"result": Object{"id": id}})
}
