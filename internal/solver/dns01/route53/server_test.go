package route53

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// vendor is Route 53, STS and the metadata of an instance. It verifies signatures, and
// refuses what the API reference does not document:
// https://docs.aws.amazon.com/Route53/latest/APIReference/ and
// https://docs.aws.amazon.com/STS/latest/APIReference/.
type vendor struct {
	*httptest.Server
	mu sync.Mutex
	// keys has the access keys: their secrets, tokens, and whether they may change records.
	keys  map[string]aws.Credentials
	read  map[string]bool // keys that may only read zones
	zones []hosted
	sets  map[string][]recordSet // by zone
	// changes counts; each is PENDING for the next pending questions about it.
	changes, pending int
	page             int // zones per page
	// fail answers in the server's place, if it returns true.
	fail    func(w http.ResponseWriter, r *http.Request) bool
	silence chan struct{}
	// seen has each request as "METHOD host scope path?query" or the action of STS.
	seen []string
	// forms has the requests to STS.
	forms []url.Values
}

type hosted struct {
	id, name string
	private  bool
}

type recordSet struct {
	Name             string
	Type             string
	SetIdentifier    string `xml:",omitempty"`
	MultiValueAnswer bool   `xml:",omitempty"`
	TTL              int64
	Values           []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

const (
	keyID, keySecret   = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	weakID, weakSecret = "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
	nodeID, nodeSecret = "ASIAIOSFODNN7NODE000", "node/secret/of/the/instance/metadata/0000"
)

func newVendor(t *testing.T) *vendor {
	v := &vendor{
		keys: map[string]aws.Credentials{
			keyID:  {AccessKeyID: keyID, SecretAccessKey: keySecret},
			weakID: {AccessKeyID: weakID, SecretAccessKey: weakSecret},
			nodeID: {AccessKeyID: nodeID, SecretAccessKey: nodeSecret, SessionToken: "node-token"},
		},
		read: map[string]bool{weakID: true},
		zones: []hosted{
			{"Z1", "example.com.", false},
			{"Z2", "sub.example.com.", true},
			{"Z3", "deep.sub.example.com.", false},
		},
		sets: map[string][]recordSet{}, page: 100,
	}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

// client sends requests for all hosts to the server. A server that is silent is given
// up soon.
func (v *vendor) client() http.RoundTripper {
	dialer := &net.Dialer{}
	transport := &http.Transport{ResponseHeaderTimeout: 300 * time.Millisecond, DialContext: dialer.DialContext}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "http" && r.URL.Path == "/v1/credentials" {
			return transport.RoundTrip(r) // The container's metadata is on this machine.
		}
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
	authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$`)
	rrsetPath     = regexp.MustCompile(`^/2013-04-01/hostedzone/([A-Z0-9]+)/rrset/?$`)
	changePath    = regexp.MustCompile(`^/2013-04-01/change/(C[0-9]+)$`)
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
	if v.fail != nil && v.fail(w, r) {
		return
	}
	form, _ := url.ParseQuery(string(body))
	if strings.HasPrefix(r.Host, "sts.") && form.Get("Action") == "AssumeRoleWithWebIdentity" {
		v.assumeByWebIdentity(w, r, form)
		return
	}
	key, scope, ok := v.verify(w, r, body)
	if !ok {
		return
	}
	query := ""
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.RawQuery
	}
	path := rrsetPath.FindStringSubmatch(r.URL.Path)
	switch {
	case strings.HasPrefix(r.Host, "sts."):
		v.seen = append(v.seen, form.Get("Action")+" "+r.Host+" "+scope+" "+key)
		v.assume(w, key, form)
		return
	case !strings.HasPrefix(r.Host, "route53."):
		refuse(w, 400, "InvalidAction", "no such host: "+r.Host)
		return
	}
	v.seen = append(v.seen, r.Method+" "+r.Host+" "+scope+" "+r.URL.Path+query)
	switch change := changePath.FindStringSubmatch(r.URL.Path); {
	case r.Method == "GET" && r.URL.Path == "/2013-04-01/hostedzonesbyname":
		v.listZones(w, r.URL.Query())
	case r.Method == "GET" && path != nil:
		v.listSets(w, path[1], r.URL.Query())
	case r.Method == "POST" && path != nil:
		v.change(w, key, path[1], body)
	case r.Method == "GET" && change != nil:
		v.getChange(w, change[1])
	default:
		refuse(w, 400, "InvalidAction", "no such operation")
	}
}

// verify computes the signature anew with the key's secret.
func (v *vendor) verify(w http.ResponseWriter, r *http.Request, body []byte) (key, scope string, ok bool) {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		refuse(w, 403, "MissingAuthenticationToken", "Missing Authentication Token")
		return "", "", false
	}
	credentials, ok := v.keys[m[1]]
	if !ok || credentials.SessionToken != r.Header.Get("X-Amz-Security-Token") {
		refuse(w, 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
		return "", "", false
	}
	again, _ := http.NewRequest(r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	for _, name := range strings.Split(m[5], ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, _ := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), credentials, again, hex.EncodeToString(sum[:]), m[4], m[3], at); err != nil {
		panic(err)
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		refuse(w, 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
		return "", "", false
	}
	return m[1], m[4] + "/" + m[3], true
}

var requests int

// refuse answers as "Common Errors" of the references document it, with a new request id.
func refuse(w http.ResponseWriter, status int, code, message string) {
	requests++
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?>
<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>`, code)
	_ = xml.EscapeText(w, []byte(message))
	_, _ = fmt.Fprintf(w, `</Message></Error><RequestId>b25f48e8-84fd-11e6-80d9-%012x</RequestId></ErrorResponse>`, requests)
}

// listZones answers as the example of API_ListHostedZonesByName.html.
func (v *vendor) listZones(w http.ResponseWriter, query url.Values) {
	from, id := query.Get("dnsname"), query.Get("hostedzoneid")
	for name := range query {
		if !slices.Contains([]string{"dnsname", "hostedzoneid", "maxitems"}, name) || id != "" && from == "" {
			refuse(w, 400, "InvalidInput", "unknown parameter "+name)
			return
		}
	}
	zones := slices.Clone(v.zones)
	slices.SortStableFunc(zones, func(a, b hosted) int { return cmp.Compare(reversed(a.name), reversed(b.name)) })
	start := slices.IndexFunc(zones, func(z hosted) bool {
		return reversed(z.name) > reversed(from) || z.name == from && (id == "" || z.id == id)
	})
	if start < 0 {
		start = len(zones)
	}
	end := min(start+v.page, len(zones))
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>`)
	for _, z := range zones[start:end] {
		_, _ = fmt.Fprintf(w, `<HostedZone><Id>/hostedzone/%s</Id><Name>%s</Name><CallerReference>MyUniqueIdentifier1</CallerReference>
<Config><Comment>This is my first hosted zone.</Comment><PrivateZone>%t</PrivateZone></Config><ResourceRecordSetCount>42</ResourceRecordSetCount></HostedZone>`, z.id, z.name, z.private)
	}
	_, _ = fmt.Fprintf(w, `</HostedZones><DNSName>%s</DNSName><IsTruncated>%t</IsTruncated>`, from, end < len(zones))
	if end < len(zones) {
		_, _ = fmt.Fprintf(w, `<NextDNSName>%s</NextDNSName><NextHostedZoneId>%s</NextHostedZoneId>`, zones[end].name, zones[end].id)
	}
	_, _ = fmt.Fprintf(w, `<MaxItems>%d</MaxItems></ListHostedZonesByNameResponse>`, v.page)
}

// listSets answers as the example of API_ListResourceRecordSets.html, with the zone's SOA
// record, which is the first.
func (v *vendor) listSets(w http.ResponseWriter, id string, query url.Values) {
	i := slices.IndexFunc(v.zones, func(z hosted) bool { return z.id == id })
	switch {
	case i < 0:
		refuse(w, 404, "NoSuchHostedZone", "No hosted zone found with ID: "+id)
	case query.Encode() != "maxitems=1":
		refuse(w, 400, "InvalidInput", "unexpected parameters")
	default:
		_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets><ResourceRecordSet>
<Name>%s</Name><Type>SOA</Type><TTL>900</TTL><ResourceRecords><ResourceRecord><Value>ns-2048.awsdns-64.net. hostmaster.awsdns.com. 1 7200 900 1209600 86400</Value></ResourceRecord></ResourceRecords>
</ResourceRecordSet></ResourceRecordSets><IsTruncated>true</IsTruncated><MaxItems>1</MaxItems>
<NextRecordName>testdoc2.example.com</NextRecordName><NextRecordType>NS</NextRecordType></ListResourceRecordSetsResponse>`, v.zones[i].name)
	}
}
