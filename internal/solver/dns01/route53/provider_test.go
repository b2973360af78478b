package route53

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const fqdn = "_acme-challenge.example.com."

var (
	record = dns01.Record{DNSName: "example.com", FQDN: fqdn, Value: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"}
	other  = dns01.Record{DNSName: "example.com", FQDN: fqdn, Value: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"}
	now    = time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
)

// failsWith fails unless err is a fault of a class with a text.
func failsWith(t *testing.T, err error, class fault.Class, text string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("no fault: %v", err)
	}
	if f.Class != class {
		t.Errorf("class %s, want %s", f.Class, class)
	}
	if diff := cmp.Diff(text, f.Message); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestRecordSet holds what is written: switching from and to cert-manager depends on it.
func TestRecordSet(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	p := provider(t, keyConfig(v, keyID, keySecret))
	if err := p.Present(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	value := `"` + record.Value + `"`
	want := []recordSet{{Name: fqdn, Type: "TXT", SetIdentifier: value, MultiValueAnswer: true, TTL: 10, Values: []string{value}}}
	if diff := cmp.Diff(want, v.sets["Z1"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestConcurrentWriters(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	var wg sync.WaitGroup
	for _, r := range []dns01.Record{record, other, {DNSName: "example.com", FQDN: fqdn, Value: "third"}} {
		p := provider(t, keyConfig(v, keyID, keySecret))
		wg.Go(func() {
			if err := p.Present(context.Background(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := v.values(fqdn); len(got) != 3 {
		t.Errorf("values: %q", got)
	}
}

func TestZone(t *testing.T) {
	clearEnvironment(t)
	walk := func(context.Context, string) (string, error) { return "Walked.example.", nil }
	const missing = `failed to determine Route 53 hosted zone ID: zone walked.example. not found in Route 53 for domain `
	for name, test := range map[string]struct {
		zones []hosted
		id    string
		fqdn  string
		want  string
		err   string
		seen  int
	}{
		"longest":             {zones: []hosted{{"Z1", "example.com.", false}, {"Z2", "b.example.com.", false}, {"Z3", "bb.example.com.", false}}, fqdn: "x.a.b.example.com.", want: "b.example.com.", seen: 1},
		"upper case":          {zones: []hosted{{"Z1", "example.com.", false}}, fqdn: "X.Example.COM.", want: "example.com.", seen: 1},
		"not a suffix":        {zones: []hosted{{"Z1", "ample.com.", false}}, fqdn: "x.example.com.", err: missing + `x.example.com.: the account of the access key "AKIAIOSFODNN7EXAMPLE" has no public hosted zone for it; create the zone in that account, use credentials of the account that has it, or, if a CNAME record delegates the name, set cnameStrategy: Follow`, seen: 1},
		"private passed over": {zones: []hosted{{"Z9", "example.com.", true}}, fqdn: "x.example.com.", err: missing + `x.example.com.: the account of the access key "AKIAIOSFODNN7EXAMPLE" has no public hosted zone for it; the private zones Z9 were passed over, as the CA cannot see them; if it can, set hostedZoneID`, seen: 1},
		"private and public":  {zones: []hosted{{"Z9", "example.com.", true}, {"Z1", "example.com.", false}}, fqdn: "x.example.com.", want: "example.com.", seen: 1},
		"id":                  {zones: []hosted{{"Z9", "example.com.", true}}, id: "/hostedzone/Z9", fqdn: "x.example.com.", want: "example.com.", seen: 1},
		"id of another zone":  {zones: []hosted{{"Z9", "b.example.", false}}, id: "Z9", fqdn: "x.a.example.", err: "failed to determine Route 53 hosted zone ID: hostedZoneID Z9 is the zone b.example.: x.a.example. is not in it; set the id of its zone, or leave hostedZoneID out", seen: 1},
		"id of no zone":       {id: "Z9", fqdn: "x.a.example.", err: "failed to determine Route 53 hosted zone ID: Route 53 answered HTTP 404 (NoSuchHostedZone: No hosted zone found with ID: Z9) to reading the hosted zone Z9", seen: 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.zones = test.zones
			c := keyConfig(v, keyID, keySecret)
			c.HostedZoneID, c.Walk = test.id, walk
			got, err := provider(t, c).Zone(t.Context(), test.fqdn)
			if test.err != "" {
				failsWith(t, err, fault.User, test.err)
			} else if err != nil || got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
			if len(v.seen) != test.seen {
				t.Errorf("requests: %q", v.seen)
			}
		})
	}
}

// TestZonePages has zones around those of the name, so that pages skip and repeat names.
func TestZonePages(t *testing.T) {
	clearEnvironment(t)
	zones := []hosted{{"ZY", "example-a.com.", false}, {"ZP", "example.com.", true}, {"Z1", "example.com.", false}, {"Z2", "example.com.", false}}
	for _, label := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		zones = append(zones, hosted{"ZL" + strings.ToUpper(label), label + ".example.com.", false})
	}
	zones = append(zones, hosted{"ZM1", "one.m.example.com.", false}, hosted{"ZM2", "two.m.example.com.", true}, hosted{"ZX", "example.net.", false})
	for page := 1; page <= 5; page++ {
		for fqdn, want := range map[string]zone{
			"_acme-challenge.example.com.":               {"Z1", "example.com."},
			"_acme-challenge.x.m.example.com.":           {"ZLM", "m.example.com."},
			"_acme-challenge.one.m.example.com.":         {"ZM1", "one.m.example.com."},
			"_acme-challenge.a.two.m.example.com.":       {"ZLM", "m.example.com."},
			"_acme-challenge.a.b.c.d.e.zzz.example.com.": {"Z1", "example.com."},
		} {
			v := newVendor(t)
			v.zones, v.page = zones, page
			p := provider(t, keyConfig(v, keyID, keySecret))
			got, err := p.locate(t.Context(), fqdn)
			if err != nil || got != want {
				t.Errorf("page of %d, %s: %v, %v, want %v", page, fqdn, got, err, want)
			}
			if most := len(candidates(fqdn)) + 3; len(v.seen) > most {
				t.Errorf("page of %d, %s: %d requests, at most %d: %q", page, fqdn, len(v.seen), most, v.seen)
			}
		}
	}
}

func TestZoneIDWithoutPermissionToRead(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	v.fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			refuse(w, 403, "AccessDenied", "no")
		}
		return r.Method == "GET"
	}
	c := keyConfig(v, keyID, keySecret)
	c.HostedZoneID = "Z1"
	p := provider(t, c)
	if err := p.Present(t.Context(), record); err != nil {
		t.Error(err)
	}
	_, err := p.Zone(t.Context(), fqdn)
	failsWith(t, err, fault.User, `failed to determine Route 53 hosted zone ID: the name of the hosted zone Z1 is not known: DNS does not tell it, and the access key "AKIAIOSFODNN7EXAMPLE" may not read its records; allow route53:ListResourceRecordSets`)
	c.Walk = func(context.Context, string) (string, error) { return "Example.com.", nil }
	if got, err := provider(t, c).Zone(t.Context(), fqdn); err != nil || got != "example.com." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSettled(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	v.pending = 2
	c := keyConfig(v, keyID, keySecret)
	c.Clock = testclock.NewFakePassiveClock(now)
	p := provider(t, c)
	if err := p.Present(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Time{now.Add(4 * time.Second), now.Add(4 * time.Second), {}, {}} {
		if got, err := p.Settled(t.Context(), record, now); err != nil || !got.Equal(want) {
			t.Errorf("%d: %s, %v, want %s", i, got, err, want)
		}
	}
	asked := 0
	for _, s := range v.seen {
		if strings.HasPrefix(s, "GET route53.amazonaws.com route53/us-east-1 /2013-04-01/change/C0000000000001") {
			asked++
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times: %q", asked, v.seen)
	}
	p.changes[record] = "C9999999999999"
	if got, err := p.Settled(t.Context(), record, now); err != nil || !got.IsZero() {
		t.Errorf("a change that Route 53 has forgotten: %s, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	clearEnvironment(t)
	const change = "changing the TXT record at _acme-challenge.example.com. in the hosted zone Z1"
	answer := func(status int, code, text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != "GET" {
				refuse(w, status, code, text)
			}
			return r.Method != "GET"
		}
	}
	for name, test := range map[string]struct {
		sets  []recordSet
		fail  func(http.ResponseWriter, *http.Request) bool
		class fault.Class
		want  string
	}{
		"simple record set": {
			[]recordSet{{Name: fqdn, Type: "TXT", TTL: 300, Values: []string{`"old"`}}},
			nil, fault.User,
			`failed to change Route 53 record set: InvalidChangeBatch: RRSet with DNS name _acme-challenge.example.com., type TXT, SetIdentifier "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0" cannot be created because a non multivalue answer rrset exists with the same name and type.: ` +
				"the hosted zone Z1 has a TXT record set at _acme-challenge.example.com. with another routing policy, beside which no multivalue answer can be; delete that record set, or make it one of multivalue answer routing",
		},
		"alias": {
			[]recordSet{{Name: fqdn, Type: "CNAME", TTL: 300, Values: []string{"cdn.example."}}},
			nil, fault.User,
			"failed to change Route 53 record set: InvalidChangeBatch: RRSet of type TXT with DNS name _acme-challenge.example.com. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com.: " +
				"_acme-challenge.example.com. is an alias (CNAME), beside which no TXT record can be; remove the CNAME record, or, if its target is in a zone of yours, set cnameStrategy: Follow",
		},
		"busy": {
			nil, answer(400, "PriorRequestNotComplete", "The request was rejected because Route 53 was still processing a prior request."), fault.Later,
			"failed to change Route 53 record set: Route 53 answered PriorRequestNotComplete to " + change + ": an earlier change of the hosted zone is not complete",
		},
		"throttled": {
			nil, answer(400, "Throttling", "Rate exceeded"), fault.Later,
			"failed to change Route 53 record set: Route 53 answered Throttling to " + change + ": the account sends more requests than AWS takes",
		},
		"expired": {
			nil, answer(403, "ExpiredToken", "The security token included in the request is expired"), fault.User,
			"failed to change Route 53 record set: Route 53 answered HTTP 403 (ExpiredToken: The security token included in the request is expired) to " + change +
				`; check that the access key "AKIAIOSFODNN7EXAMPLE" exists, is active, and is of the partition of region "aws-global"`,
		},
		"clock": {
			nil, answer(403, "SignatureDoesNotMatch", "Signature expired: 20261126T095500Z is now earlier than 20261126T095501Z (20261126T100001Z - 5 min.)"), fault.User,
			"failed to change Route 53 record set: Route 53 answered HTTP 403 (SignatureDoesNotMatch: the time of the signature is too far from AWS's; set the clock of this machine by NTP) to " + change +
				`; check the secret access key of the access key "AKIAIOSFODNN7EXAMPLE"`,
		},
		"a proxy's page": {
			nil, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "GET" {
					w.WriteHeader(502)
					_, _ = w.Write([]byte("<html>Bad Gateway</html>"))
				}
				return r.Method != "GET"
			}, fault.Transient,
			"failed to change Route 53 record set: Route 53 answered HTTP 502 to " + change,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.sets["Z1"], v.fail = test.sets, test.fail
			p := provider(t, keyConfig(v, keyID, keySecret))
			for range 2 {
				failsWith(t, p.Present(t.Context(), record), test.class, test.want)
			}
		})
	}
}

// TestCleanUpOfAnotherRecord holds that a simple record set does not stop a clean-up.
func TestCleanUpOfAnotherRecord(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	v.sets["Z1"] = []recordSet{{Name: fqdn, Type: "TXT", TTL: 300, Values: []string{`"old"`}}}
	if err := provider(t, keyConfig(v, keyID, keySecret)).CleanUp(t.Context(), record); err != nil {
		t.Error(err)
	}
	if got := v.values(fqdn); !cmp.Equal(got, []string{"old"}) {
		t.Errorf("values: %q", got)
	}
}
