package digitalocean

import (
	"encoding/json"
	"fmt"
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
	goodToken = "dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	readToken = "dop_v1_00000000000000000123456789abcdef0123456789abcdef0123456789abcdef"
	badToken  = "dop_v1_ffffffffffffffff0123456789abcdef0123456789abcdef0123456789abcdef"
)

// object is a JSON object.
type object = map[string]any

// stub is DigitalOcean's API v2 as https://docs.digitalocean.com/reference/api documents
// it.
type stub struct {
	t *testing.T
	*dns01test.Vendor
	// pageSize is the most records in a page.
	pageSize int

	mu      sync.Mutex
	records map[string][]object // by domain
	last    int
}

func newStub(t *testing.T) *stub {
	s := &stub{t: t, pageSize: 2, records: map[string][]object{"example.com": nil, "deep.sub.example.com": nil}}
	s.Vendor = dns01test.NewVendor(t, s)
	return s
}

// values returns the TXT values at a name in all domains.
func (s *stub) values(_ *testing.T, fqdn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for domain, records := range s.records {
		for _, r := range records {
			if r["type"] == "TXT" && absolute(r, domain) == plain(fqdn) {
				values = append(values, r["data"].(string))
			}
		}
	}
	return values
}

// absolute is the name of a record with its domain.
func absolute(record object, domain string) string {
	if record["name"] == "@" {
		return domain
	}
	return record["name"].(string) + "." + domain
}

func answer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("ratelimit-limit", "5000")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// refuse answers as https://docs.digitalocean.com/reference/api/intro/#http-statuses has it.
// Each answer has another request_id.
func (s *stub) refuse(w http.ResponseWriter, status int, id, message string) {
	s.last++
	answer(w, status, object{"id": id, "message": message, "request_id": fmt.Sprintf("4d9d8375-3c56-4925-a3e7-%012x", s.last)})
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("User-Agent") != "everleaf" {
		s.t.Errorf("User-Agent %q", r.Header.Get("User-Agent"))
	}
	readOnly := r.Header.Get("Authorization") == "Bearer "+readToken
	if !readOnly && r.Header.Get("Authorization") != "Bearer "+goodToken {
		s.refuse(w, http.StatusUnauthorized, "Unauthorized", "Unable to authenticate you")
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(path) < 3 || path[0] != "v2" || path[1] != "domains" {
		s.refuse(w, http.StatusBadRequest, "bad_request", "no such path")
		return
	}
	domain := path[2]
	if _, ok := s.records[domain]; !ok {
		if !strings.Contains(domain, ".") {
			s.t.Errorf("domain %q was asked for", domain)
		}
		s.refuse(w, http.StatusNotFound, "not_found", "The resource you were accessing could not be found.")
		return
	}
	switch {
	case r.Method == http.MethodGet && len(path) == 3:
		// https://docs.digitalocean.com/reference/api/reference/domains/#domains_get
		answer(w, http.StatusOK, object{"domain": object{"name": domain, "ttl": 1800, "zone_file": "$ORIGIN " + domain + ".\n$TTL 1800\n" + domain + ". IN SOA ns1.digitalocean.com. hostmaster." + domain + ". 1415982609 10800 3600 604800 1800\n"}})
	case r.Method == http.MethodGet && len(path) == 4 && path[3] == "records":
		s.list(w, domain, r.URL.Query())
	case readOnly:
		s.refuse(w, http.StatusForbidden, "Forbidden", "You are not authorized to perform this operation")
	case r.Method == http.MethodPost && len(path) == 4 && path[3] == "records":
		s.create(w, r, domain)
	case r.Method == http.MethodDelete && len(path) == 5 && path[3] == "records":
		before := len(s.records[domain])
		s.records[domain] = slices.DeleteFunc(s.records[domain], func(r object) bool { return strconv.Itoa(r["id"].(int)) == path[4] })
		if len(s.records[domain]) == before {
			s.refuse(w, http.StatusNotFound, "not_found", "The resource you were accessing could not be found.")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		s.refuse(w, http.StatusBadRequest, "bad_request", "no such path")
	}
}

// list is https://docs.digitalocean.com/reference/api/reference/domains/#domains_list_records
func (s *stub) list(w http.ResponseWriter, domain string, query url.Values) {
	for name := range query {
		if !slices.Contains([]string{"name", "type", "page", "per_page"}, name) {
			s.t.Errorf("parameter %q is not documented", name)
		}
	}
	if per, _ := strconv.Atoi(query.Get("per_page")); per < 1 || per > 200 {
		s.refuse(w, http.StatusBadRequest, "bad_request", "per_page must be from 1 to 200")
		return
	}
	found := []object{}
	for _, r := range s.records[domain] {
		if r["type"] == query.Get("type") && absolute(r, domain) == query.Get("name") {
			found = append(found, r)
		}
	}
	page := 1
	if n, err := strconv.Atoi(query.Get("page")); err == nil {
		page = n
	}
	last := max((len(found)+s.pageSize-1)/s.pageSize, 1)
	at := func(n int) string {
		return fmt.Sprintf("https://api.digitalocean.com/v2/domains/%s/records?page=%d", domain, n)
	}
	pages := object{}
	if page > 1 {
		pages["first"], pages["prev"] = at(1), at(page-1)
	}
	if page < last {
		pages["next"], pages["last"] = at(page+1), at(last)
	}
	links := object{}
	if len(pages) > 0 {
		links["pages"] = pages
	}
	answer(w, http.StatusOK, object{
		"domain_records": found[min((page-1)*s.pageSize, len(found)):min(page*s.pageSize, len(found))],
		"links":          links, "meta": object{"total": len(found)},
	})
}

// create is https://docs.digitalocean.com/reference/api/reference/domains/#domains_create_record
func (s *stub) create(w http.ResponseWriter, r *http.Request, domain string) {
	var body struct {
		Type, Name, Data, Tag              string
		Priority, Port, TTL, Weight, Flags int
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		s.t.Errorf("body of a new record: %v", err)
		s.refuse(w, http.StatusBadRequest, "bad_request", "invalid body")
		return
	}
	if diff := cmp.Diff([]any{"TXT", 30}, []any{body.Type, body.TTL}); diff != "" {
		s.t.Errorf("new record (-want +got):\n%s", diff)
	}
	for _, r := range s.records[domain] {
		if r["name"] == body.Name && r["type"] == "CNAME" {
			s.refuse(w, http.StatusUnprocessableEntity, "unprocessable_entity", "CNAME records cannot share a name with other records")
			return
		}
	}
	answer(w, http.StatusCreated, object{"domain_record": s.add(domain, body.Type, body.Name, body.Data)})
}

// add adds a record as in the response of Create a New Domain Record.
func (s *stub) add(domain, kind, name, data string) object {
	s.last++
	record := object{
		"id": 28448429 + s.last, "type": kind, "name": name, "data": data, "ttl": 30,
		"priority": nil, "port": nil, "weight": nil, "flags": nil, "tag": nil,
	}
	s.records[domain] = append(s.records[domain], record)
	return record
}
