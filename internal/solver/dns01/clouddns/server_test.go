package clouddns

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// vendor is Cloud DNS and Google's token endpoint. It verifies tokens, and refuses what
// the reference does not document: https://cloud.google.com/dns/docs/reference/rest/v1
// and https://developers.google.com/identity/protocols/oauth2/service-account.
type vendor struct {
	*httptest.Server
	mu sync.Mutex
	// keys has the service accounts. Those in readers may only read.
	keys    map[string]*rsa.PublicKey
	readers map[string]bool
	// tokens has the access tokens and their accounts.
	tokens map[string]string
	zones  []managedZone
	sets   map[string][]rrset // by zone
	// changes counts; each is pending for the next pending questions about it.
	changes, pending int
	page             int // zones per page
	// fail answers in the server's place, if it returns true.
	fail func(w http.ResponseWriter, r *http.Request) bool
	// between is called before a change is carried out, for changes of others.
	between func()
	silence chan struct{}
	// seen has each request as "METHOD host/path?query".
	seen []string
}

type managedZone struct{ Name, DNSName, Visibility string }

// rrset is https://cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets.
type rrset struct {
	Kind    string   `json:"kind,omitempty"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	TTL     *int64   `json:"ttl"`
	Rrdatas []string `json:"rrdatas"`
}

const project = "my-project-123"

// rsaKeys are generated once: that takes a while.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// keyJSON is a service account's key, as
// https://cloud.google.com/iam/docs/keys-create-delete shows it.
func keyJSON(name string, key *rsa.PrivateKey) []byte {
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	text, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": project, "private_key_id": "0123456789abcdef0123456789abcdef01234567",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": email(name), "client_id": "123456789012345678901",
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://attacker.example/token",
		"auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs", "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/" + email(name),
	})
	return text
}

func email(name string) string { return name + "@" + project + ".iam.gserviceaccount.com" }

func newVendor(t *testing.T) *vendor {
	v := &vendor{
		keys:    map[string]*rsa.PublicKey{email("dns"): &rsaKeys()[0].PublicKey, email("reader"): &rsaKeys()[0].PublicKey},
		readers: map[string]bool{email("reader"): true},
		tokens:  map[string]string{},
		zones: []managedZone{
			{"example-com", "example.com.", "public"},
			{"sub-private", "sub.example.com.", "private"},
			{"deep", "deep.sub.example.com.", "public"},
		},
		sets: map[string][]rrset{}, page: 100,
	}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

// client sends requests for all hosts to the server. A server that is silent is given
// up soon.
func (v *vendor) client() http.RoundTripper {
	transport := &http.Transport{ResponseHeaderTimeout: 300 * time.Millisecond}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme != "https" {
			return nil, fmt.Errorf("request without TLS: %s", r.URL)
		}
		r = r.Clone(r.Context())
		r.Host = cmp.Or(r.Host, r.URL.Host)
		r.URL.Scheme, r.URL.Host = "http", v.Listener.Addr().String()
		return transport.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var (
	zonesPath  = regexp.MustCompile(`^/dns/v1/projects/` + project + `/managedZones$`)
	zonePath   = regexp.MustCompile(`^/dns/v1/projects/` + project + `/managedZones/([a-z0-9-]+)$`)
	rrsetsPath = regexp.MustCompile(`^/dns/v1/projects/` + project + `/managedZones/([a-z0-9-]+)/rrsets$`)
	changePath = regexp.MustCompile(`^/dns/v1/projects/` + project + `/managedZones/([a-z0-9-]+)/changes(?:/([0-9]+))?$`)
)

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	silence := v.silence
	v.mu.Unlock()
	if silence != nil {
		select {
		case <-silence:
		case <-r.Context().Done():
		}
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	query := r.URL.Query()
	query.Del("alt")
	query.Del("prettyPrint")
	v.seen = append(v.seen, strings.TrimSuffix(r.Method+" "+r.Host+r.URL.Path+"?"+query.Encode(), "?"))
	if v.fail != nil && v.fail(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if r.Host == "oauth2.googleapis.com" && r.URL.Path == "/token" && r.Method == "POST" {
		v.token(w, body)
		return
	}
	account, ok := v.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	switch {
	case r.Host != "dns.googleapis.com":
		w.WriteHeader(404)
		return
	case !ok:
		refuse(w, 401, "authError", "Invalid Credentials")
		return
	case !strings.Contains(r.Header.Get("User-Agent"), "everleaf"):
		refuse(w, 400, "badRequest", "user agent "+r.Header.Get("User-Agent"))
		return
	}
	change := changePath.FindStringSubmatch(r.URL.Path)
	switch {
	case r.Method == "GET" && zonesPath.MatchString(r.URL.Path):
		v.listZones(w, query)
	case r.Method == "GET" && zonePath.MatchString(r.URL.Path):
		v.getZone(w, zonePath.FindStringSubmatch(r.URL.Path)[1])
	case r.Method == "GET" && rrsetsPath.MatchString(r.URL.Path):
		v.listSets(w, rrsetsPath.FindStringSubmatch(r.URL.Path)[1], query)
	case r.Method == "POST" && change != nil && change[2] == "":
		if v.readers[account] {
			refuse(w, 403, "forbidden", "Forbidden")
			return
		}
		v.change(w, change[1], body)
	case r.Method == "GET" && change != nil && change[2] != "":
		v.getChange(w, change[2])
	default:
		refuse(w, 404, "notFound", "Not Found")
	}
}

// token answers as "HTTP/REST" of the page on service accounts.
func (v *vendor) token(w http.ResponseWriter, body []byte) {
	form, _ := url.ParseQuery(string(body))
	parts := strings.Split(form.Get("assertion"), ".")
	grant := func(description string) {
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": description})
	}
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 || len(form) != 2 {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
		return
	}
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Exp, Iat        int64
	}
	decode(parts[0], &header)
	decode(parts[1], &claims)
	key, ok := v.keys[claims.Iss]
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	switch {
	case !ok:
		grant("Invalid grant: account not found")
	case header.Alg != "RS256" || header.Typ != "JWT" || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil:
		grant("Invalid JWT Signature.")
	case claims.Scope != "https://www.googleapis.com/auth/ndev.clouddns.readwrite" || claims.Aud != "https://oauth2.googleapis.com/token":
		grant("Invalid JWT: scope or aud")
	case claims.Iat > now+300 || claims.Exp < now || claims.Exp-claims.Iat > 3600+60:
		grant("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.")
	default:
		token := fmt.Sprintf("1/8xbJqaOZXSUZbHLl5EOtu1pxz3fmmetKx9W8CV4t79M-%d", len(v.tokens))
		v.tokens[token] = claims.Iss
		_, _ = fmt.Fprintf(w, `{"access_token": %q, "scope": %q, "token_type": "Bearer", "expires_in": 3600}`, token, claims.Scope)
	}
}

func decode(part string, into any) {
	text, _ := base64.RawURLEncoding.DecodeString(part)
	_ = json.Unmarshal(text, into)
}

// refuse answers as https://cloud.google.com/dns/docs/reference/rest/v1#errors, in the
// error format of Google's JSON APIs.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": status, "message": message,
		"errors": []map[string]string{{"message": message, "domain": "global", "reason": reason}},
	}})
}

func (z managedZone) json() map[string]any {
	return map[string]any{
		"kind": "dns#managedZone", "name": z.Name, "dnsName": z.DNSName, "description": "", "id": "3120412414", "visibility": z.Visibility,
		"nameServers": []string{"ns-cloud-e1.googledomains.com."}, "creationTime": "2020-01-02T03:04:05.678Z",
	}
}

// listZones is managedZones.list.
func (v *vendor) listZones(w http.ResponseWriter, query url.Values) {
	var zones []map[string]any
	for _, z := range v.zones {
		if name := query.Get("dnsName"); name == "" || name == z.DNSName {
			zones = append(zones, z.json())
		}
	}
	start := 0
	_, _ = fmt.Sscanf(query.Get("pageToken"), "page-%d", &start)
	end := min(start+v.page, len(zones))
	answer := map[string]any{"kind": "dns#managedZonesListResponse", "managedZones": zones[start:end]}
	if end < len(zones) {
		answer["nextPageToken"] = fmt.Sprintf("page-%d", end)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (v *vendor) getZone(w http.ResponseWriter, id string) {
	if i := slices.IndexFunc(v.zones, func(z managedZone) bool { return z.Name == id }); i >= 0 {
		_ = json.NewEncoder(w).Encode(v.zones[i].json())
		return
	}
	noZone(w, id)
}

func noZone(w http.ResponseWriter, id string) {
	refuse(w, 404, "notFound", fmt.Sprintf("The 'parameters.managedZone' resource named '%s' does not exist.", id))
}

// listSets is resourceRecordSets.list.
func (v *vendor) listSets(w http.ResponseWriter, id string, query url.Values) {
	if !slices.ContainsFunc(v.zones, func(z managedZone) bool { return z.Name == id }) {
		noZone(w, id)
		return
	}
	sets := []rrset{}
	for _, set := range v.sets[id] {
		if set.Name == query.Get("name") && set.Type == query.Get("type") {
			set.Kind = "dns#resourceRecordSet"
			sets = append(sets, set)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "dns#resourceRecordSetsListResponse", "rrsets": sets})
}

// change is changes.create: all or nothing.
func (v *vendor) change(w http.ResponseWriter, id string, body []byte) {
	if v.between != nil {
		v.between()
	}
	var change struct{ Additions, Deletions []rrset }
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&change); err != nil {
		refuse(w, 400, "badRequest", err.Error())
		return
	}
	at := slices.IndexFunc(v.zones, func(z managedZone) bool { return z.Name == id })
	if at < 0 {
		noZone(w, id)
		return
	}
	sets := slices.Clone(v.sets[id])
	find := func(set rrset) int {
		return slices.IndexFunc(sets, func(s rrset) bool { return s.Name == set.Name && s.Type == set.Type })
	}
	for i, set := range change.Deletions {
		at := find(set)
		switch {
		case at < 0:
			refuse(w, 404, "notFound", fmt.Sprintf("The 'entity.change.deletions[%d]' resource named '%s (%s)' does not exist.", i, set.Name, set.Type))
			return
		case !reflect.DeepEqual(sets[at].Rrdatas, set.Rrdatas) || set.TTL == nil || *sets[at].TTL != *set.TTL:
			refuse(w, 412, "conditionNotMet", fmt.Sprintf("Precondition not met for 'entity.change.deletions[%d]'", i))
			return
		}
		sets = slices.Delete(sets, at, at+1)
	}
	for i, set := range change.Additions {
		switch {
		case set.TTL == nil || len(set.Rrdatas) == 0 || !strings.HasSuffix("."+set.Name, "."+v.zones[at].DNSName) || set.Name != strings.ToLower(set.Name):
			refuse(w, 400, "invalid", fmt.Sprintf("Invalid value for 'entity.change.additions[%d]'", i))
			return
		case slices.ContainsFunc(sets, func(s rrset) bool { return s.Name == set.Name && s.Type == "CNAME" }):
			refuse(w, 400, "cnameResourceRecordSetConflict", fmt.Sprintf("The resource record set 'entity.change.additions[%d]' is invalid because the DNS name '%s' may have either one CNAME resource record set or resource record sets of other types, but not both.", i, set.Name))
			return
		case find(set) >= 0:
			refuse(w, 409, "alreadyExists", fmt.Sprintf("The resource 'entity.change.additions[%d]' named '%s (%s)' already exists", i, set.Name, set.Type))
			return
		}
		sets = append(sets, set)
	}
	v.sets[id] = sets
	v.changes++
	v.info(w, v.changes, "pending")
}

func (v *vendor) info(w http.ResponseWriter, id int, status string) {
	_, _ = fmt.Fprintf(w, `{"kind": "dns#change", "id": "%d", "startTime": "2020-01-02T03:04:05.678Z", "status": %q, "isServing": true}`, id, status)
}

// getChange is changes.get.
func (v *vendor) getChange(w http.ResponseWriter, id string) {
	n := 0
	_, _ = fmt.Sscan(id, &n)
	if n > v.changes {
		refuse(w, 404, "notFound", "The 'parameters.changeId' resource named '"+id+"' does not exist.")
		return
	}
	status := "done"
	if v.pending > 0 {
		v.pending--
		status = "pending"
	}
	v.info(w, n, status)
}

// values are the TXT values at a name in all zones.
func (v *vendor) values(fqdn string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var values []string
	for _, sets := range v.sets {
		for _, set := range sets {
			if set.Name == strings.ToLower(fqdn) && set.Type == "TXT" {
				for _, data := range set.Rrdatas {
					values = append(values, strings.Trim(data, `"`))
				}
			}
		}
	}
	return values
}
