package cloudflare

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

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

const (
	goodToken = "v1-0123456789abcdefghijklmnopqrstuvwxyzABCD"
	readToken = "v1-readonly89abcdefghijklmnopqrstuvwxyzABCD"
	badToken  = "v1-wrong6789abcdefghijklmnopqrstuvwxyzABCD"
	goodKey   = "c2547eb745079dac9320b638f5e225cf483cc5cfdda41"
	email     = "user@example.com"
)

// pageSize is the stub's; Cloudflare may answer with smaller pages than it was asked for.
const pageSize = 2

// object is a JSON object.
type object = map[string]any

// stub is Cloudflare's API v4 as https://developers.cloudflare.com/api documents it, with
// three accounts' zones: of several zones of one name, one is active.
type stub struct {
	t *testing.T
	*dns01test.Vendor

	mu      sync.Mutex
	zones   []object
	records map[string][]object // by zone id
	last    int
}

func newStub(t *testing.T) *stub {
	s := &stub{t: t, records: map[string][]object{}}
	s.addZone("example.com", "pending")
	s.addZone("example.com", "moved")
	s.addZone("example.com", "active")
	s.addZone("deep.sub.example.com", "active")
	s.Vendor = dns01test.NewVendor(t, http.StripPrefix("/client/v4", s))
	return s
}

func (s *stub) endpoint() string { return s.URL + "/client/v4" }

func (s *stub) id() string {
	s.last++
	return fmt.Sprintf("023e105f4ecef8ad9ca31a83%08x", s.last)
}

// addZone adds a zone as in the response of List Zones,
// https://developers.cloudflare.com/api/resources/zones/methods/list/
func (s *stub) addZone(name, status string) {
	s.zones = append(s.zones, object{
		"id": s.id(), "name": name, "status": status, "type": "full", "paused": false,
		"account":      object{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "Example Account Name"},
		"activated_on": "2014-01-02T00:01:00.12345Z", "created_on": "2014-01-01T05:20:00.12345Z", "modified_on": "2014-01-01T05:20:00.12345Z",
		"development_mode": 7200,
		"meta":             object{"cdn_only": true, "custom_certificate_quota": 1, "dns_only": true, "foundation_dns": true, "page_rule_quota": 100, "phishing_detected": false, "step": 2},
		"name_servers":     []string{"bob.ns.cloudflare.com", "lola.ns.cloudflare.com"},
		"original_dnshost": "NameCheap", "original_name_servers": []string{"ns1.originaldnshost.com", "ns2.originaldnshost.com"}, "original_registrar": "GoDaddy",
		"owner": object{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "Example Org", "type": "organization"},
	})
}

// values returns the TXT values at a name in all zones.
func (s *stub) values(_ *testing.T, fqdn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, records := range s.records {
		for _, r := range records {
			if r["name"] == domain(fqdn) {
				values = append(values, text(r["content"].(string)))
			}
		}
	}
	return values
}

// answer writes an answer; every answer of Cloudflare has these fields.
func answer(w http.ResponseWriter, status int, fields object) {
	body := object{"success": status < 300, "errors": []any{}, "messages": []any{}, "result": nil}
	maps.Copy(body, fields)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("CF-Ray", "8f1b2c3d4e5f6071-FRA")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status, code int, message string, chain ...object) {
	e := object{"code": code, "message": message}
	if chain != nil {
		e["error_chain"] = chain
	}
	answer(w, status, object{"errors": []object{e}})
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("User-Agent") != "everleaf" {
		s.t.Errorf("User-Agent %q", r.Header.Get("User-Agent"))
	}
	readOnly := false
	switch {
	case r.Header.Get("Authorization") == "Bearer "+goodToken:
	case r.Header.Get("Authorization") == "Bearer "+readToken:
		readOnly = true
	case r.Header.Get("X-Auth-Key") == goodKey && r.Header.Get("X-Auth-Email") == email:
	default:
		refuse(w, http.StatusForbidden, 9109, "Invalid access token")
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && len(path) == 1 && path[0] == "zones":
		s.listZones(w, r.URL.Query())
	case len(path) >= 3 && path[0] == "zones" && path[2] == "dns_records" && s.zone(path[1]) == nil:
		refuse(w, http.StatusNotFound, 7003, "Could not route to /zones/"+path[1]+"/dns_records, perhaps your object identifier is invalid?")
	case r.Method == http.MethodGet && len(path) == 3 && path[2] == "dns_records":
		s.listRecords(w, path[1], r.URL.Query())
	case readOnly:
		refuse(w, http.StatusForbidden, 10000, "Authentication error")
	case r.Method == http.MethodPost && len(path) == 3 && path[2] == "dns_records":
		s.create(w, r, s.zone(path[1]))
	case r.Method == http.MethodDelete && len(path) == 4 && path[2] == "dns_records":
		s.remove(w, path[1], path[3])
	default:
		refuse(w, http.StatusBadRequest, 7000, "No route for that URI")
	}
}

func (s *stub) zone(id string) object {
	for _, z := range s.zones {
		if z["id"] == id {
			return z
		}
	}
	return nil
}

// documented refuses a request with a parameter that is not documented for it.
func (s *stub) documented(w http.ResponseWriter, query url.Values, names ...string) bool {
	for name := range query {
		if !slices.Contains(names, name) {
			s.t.Errorf("parameter %q is not documented", name)
			refuse(w, http.StatusBadRequest, 1004, "unknown parameter")
			return false
		}
	}
	return true
}

func (s *stub) listZones(w http.ResponseWriter, query url.Values) {
	if !s.documented(w, query, "name", "page", "per_page") {
		return
	}
	if !strings.Contains(query.Get("name"), ".") {
		s.t.Errorf("zones named %q were asked for", query.Get("name"))
	}
	page(w, s.zones, query, func(z object) bool { return z["name"] == query.Get("name") })
}

// listRecords is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/list/
func (s *stub) listRecords(w http.ResponseWriter, zone string, query url.Values) {
	if !s.documented(w, query, "name.exact", "content.contains", "type", "page", "per_page") {
		return
	}
	page(w, s.records[zone], query, func(r object) bool {
		content, part := strings.ToLower(r["content"].(string)), strings.ToLower(query.Get("content.contains"))
		return r["name"] == query.Get("name.exact") && r["type"] == query.Get("type") && strings.Contains(content, part)
	})
}

func page(w http.ResponseWriter, all []object, query url.Values, matches func(object) bool) {
	found := []object{}
	for _, o := range all {
		if matches(o) {
			found = append(found, o)
		}
	}
	n, _ := strconv.Atoi(query.Get("page"))
	n = max(n, 1)
	part := found[min((n-1)*pageSize, len(found)):min(n*pageSize, len(found))]
	answer(w, http.StatusOK, object{"result": part, "result_info": object{
		"count": len(part), "page": n, "per_page": pageSize, "total_count": len(found), "total_pages": (len(found) + pageSize - 1) / pageSize,
	}})
}

// create is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/create/
func (s *stub) create(w http.ResponseWriter, r *http.Request, zone object) {
	var body struct {
		Type, Name, Content string
		TTL                 int
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		s.t.Errorf("body of a new record: %v", err)
		refuse(w, http.StatusBadRequest, 9207, "Request body is invalid.")
		return
	}
	if diff := cmp.Diff([]any{"TXT", 60, true}, []any{body.Type, body.TTL, strings.HasPrefix(body.Content, `"`)}); diff != "" {
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
			refuse(w, http.StatusBadRequest, cnameExists, "A CNAME record with that host already exists. For more details, refer to <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>.")
			return
		case r["content"] == body.Content:
			refuse(w, http.StatusBadRequest, identicalRecord, "An identical record already exists.")
			return
		}
	}
	answer(w, http.StatusOK, object{"result": s.add(id, "TXT", body.Name, body.Content)})
}

// add adds a record as in the response of Create DNS Record.
func (s *stub) add(zone, kind, name, content string) object {
	record := object{
		"id": s.id(), "name": name, "type": kind, "content": content, "ttl": 60, "proxied": false, "proxiable": false,
		"comment": nil, "tags": []string{}, "settings": object{}, "meta": object{},
		"created_on": "2014-01-01T05:20:00.12345Z", "modified_on": "2014-01-01T05:20:00.12345Z",
	}
	s.records[zone] = append(s.records[zone], record)
	return record
}

// remove is
// https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/delete/
func (s *stub) remove(w http.ResponseWriter, zone, id string) {
	before := len(s.records[zone])
	s.records[zone] = slices.DeleteFunc(s.records[zone], func(r object) bool { return r["id"] == id })
	if len(s.records[zone]) == before {
		refuse(w, http.StatusNotFound, 81044, "Record does not exist.")
		return
	}
	answer(w, http.StatusOK, object{"result": object{"id": id}})
}
