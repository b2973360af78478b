package clouddns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

func seconds(n int64) *int64 { return &n }

// TestForeignValues holds that values, their order and TTL stay as others have written
// them. Cloud DNS refuses a change that names another set than the one there is.
func TestForeignValues(t *testing.T) {
	for name, test := range map[string]struct{ before, during []rrset }{
		"none":         {nil, []rrset{{Name: fqdn, Type: "TXT", TTL: seconds(60), Rrdatas: []string{`"` + record.Value + `"`}}}},
		"other TTL":    {[]rrset{{Name: fqdn, Type: "TXT", TTL: seconds(300), Rrdatas: []string{`"b"`, `"a a" "c"`}}}, []rrset{{Name: fqdn, Type: "TXT", TTL: seconds(300), Rrdatas: []string{`"b"`, `"a a" "c"`, `"` + record.Value + `"`}}}},
		"TTL 0":        {[]rrset{{Name: fqdn, Type: "TXT", TTL: seconds(0), Rrdatas: []string{"unquoted"}}}, []rrset{{Name: fqdn, Type: "TXT", TTL: seconds(0), Rrdatas: []string{"unquoted", `"` + record.Value + `"`}}}},
		"another type": {[]rrset{{Name: fqdn, Type: "A", TTL: seconds(1), Rrdatas: []string{"192.0.2.1"}}}, []rrset{{Name: fqdn, Type: "A", TTL: seconds(1), Rrdatas: []string{"192.0.2.1"}}, {Name: fqdn, Type: "TXT", TTL: seconds(60), Rrdatas: []string{`"` + record.Value + `"`}}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.sets["example-com"] = test.before
			p := provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0])))
			if err := p.Present(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.during, v.sets["example-com"]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := p.CleanUp(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]rrset{}, test.before...), append([]rrset{}, v.sets["example-com"]...)); diff != "" {
				t.Errorf("after: -want +got:\n%s", diff)
			}
		})
	}
}

func TestConcurrentWriters(t *testing.T) {
	v := newVendor(t)
	key := keyJSON("dns", rsaKeys()[0])
	each := func(call func(*Provider, dns01.Record) error) {
		var wg sync.WaitGroup
		for i := range 6 {
			p := provider(t, keyConfig(v, key))
			wg.Go(func() {
				r := record
				r.Value = fmt.Sprintf("value-%d", i)
				for {
					// A provider gives up after some attempts; the controller comes back.
					err := call(p, r)
					if f := fault.Of(err); f == nil || f.Reason != "ConcurrentChanges" {
						if err != nil {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
	}
	each(func(p *Provider, r dns01.Record) error { return p.Present(context.Background(), r) })
	if got := v.values(fqdn); len(got) != 6 {
		t.Errorf("values: %q", got)
	}
	each(func(p *Provider, r dns01.Record) error { return p.CleanUp(context.Background(), r) })
	if got := v.values(fqdn); len(got) != 0 {
		t.Errorf("values: %q", got)
	}
}

// TestOvertaken has another writer between reading and writing, once for each way in
// which Cloud DNS says so, and then always.
func TestOvertaken(t *testing.T) {
	set := func(values ...string) []rrset {
		if values == nil {
			return nil
		}
		return []rrset{{Name: fqdn, Type: "TXT", TTL: seconds(60), Rrdatas: values}}
	}
	for name, test := range map[string]struct{ before, between []rrset }{
		"set changes (412)":      {set(`"a"`), set(`"a"`, `"b"`)},
		"set appears (409)":      {set(), set(`"b"`)},
		"set disappears (404)":   {set(`"a"`), set()},
		"own value appears, too": {set(), set(`"` + record.Value + `"`)},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.sets["example-com"] = test.before
			var once sync.Once
			v.between = func() { once.Do(func() { v.sets["example-com"] = test.between }) }
			p := provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0])))
			if err := p.Present(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			want := []string{record.Value}
			for _, s := range test.between {
				for _, data := range s.Rrdatas {
					want = append(want, strings.Trim(data, `"`))
				}
			}
			got := v.values(fqdn)
			slices.Sort(got)
			slices.Sort(want)
			if want = slices.Compact(want); !slices.Equal(got, want) {
				t.Errorf("values: %q, want %q", got, want)
			}
		})
	}
	v := newVendor(t)
	i := 0
	v.between = func() { i++; v.sets["example-com"] = set(fmt.Sprintf(`"%d"`, i)) }
	p := provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0])))
	failsWith(t, p.Present(t.Context(), record), fault.Later,
		"others change the TXT record at _acme-challenge.example.com. in the managed zone example-com at the same time, more often than everleaf can read it")
	if i != maxAttempts {
		t.Errorf("%d attempts", i)
	}
}

func TestZone(t *testing.T) {
	for name, test := range map[string]struct {
		zones []managedZone
		id    string
		fqdn  string
		want  zone
		err   string
		seen  int
	}{
		"longest":              {zones: []managedZone{{"a", "example.com.", "public"}, {"b", "b.example.com.", "public"}}, fqdn: "x.b.example.com.", want: zone{"b", "b.example.com."}, seen: 3},
		"upper case":           {zones: []managedZone{{"a", "example.com.", "public"}}, fqdn: "X.Example.COM.", want: zone{"a", "example.com."}, seen: 3},
		"public of two":        {zones: []managedZone{{"p", "example.com.", "private"}, {"a", "example.com.", "public"}}, fqdn: "x.example.com.", want: zone{"a", "example.com."}, seen: 3},
		"public above":         {zones: []managedZone{{"p", "x.example.com.", "private"}, {"a", "example.com.", "public"}}, fqdn: "x.example.com.", want: zone{"a", "example.com."}, seen: 3},
		"private only":         {zones: []managedZone{{"p", "x.example.com.", "private"}, {"q", "example.com.", "private"}}, fqdn: "x.example.com.", want: zone{"p", "x.example.com."}, seen: 3},
		"none":                 {fqdn: "x.example.com.", err: `No matching GoogleCloud domain found for domain x.example.com.: project "my-project-123" has no managed zone for it that the service account "dns@my-project-123.iam.gserviceaccount.com" can see; create the zone in this project, correct project, or, if a CNAME record delegates the name, set cnameStrategy: Follow`, seen: 3},
		"name":                 {zones: []managedZone{{"p", "example.com.", "private"}}, id: "p", fqdn: "x.example.com.", want: zone{"p", "example.com."}, seen: 2},
		"name of no zone":      {id: "p", fqdn: "x.example.com.", err: `project "my-project-123" has no managed zone "p"; correct hostedZoneName, which is the name in Google Cloud and not the DNS name, or leave it out`, seen: 2},
		"name of other zone":   {zones: []managedZone{{"b", "b.example.", "public"}}, id: "b", fqdn: "x.example.com.", err: "hostedZoneName b is the zone b.example.: x.example.com. is not in it; set the name of its zone, or leave hostedZoneName out", seen: 2},
		"not a label's suffix": {zones: []managedZone{{"b", "ample.com.", "public"}}, id: "b", fqdn: "example.com.", err: "hostedZoneName b is the zone ample.com.: example.com. is not in it; set the name of its zone, or leave hostedZoneName out", seen: 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.zones, v.page = test.zones, 1
			c := keyConfig(v, keyJSON("dns", rsaKeys()[0]))
			c.HostedZoneName = test.id
			got, err := provider(t, c).locate(t.Context(), test.fqdn)
			if test.err != "" {
				failsWith(t, err, fault.User, test.err)
			} else if err != nil || got != test.want {
				t.Errorf("%v, %v, want %v", got, err, test.want)
			}
			if len(v.seen) > test.seen+1 {
				t.Errorf("requests: %q", v.seen)
			}
		})
	}
}

func TestZoneNameWithoutPermissionToRead(t *testing.T) {
	v := newVendor(t)
	v.fail = func(w http.ResponseWriter, r *http.Request) bool {
		reads := strings.HasSuffix(r.URL.Path, "/managedZones/example-com")
		if reads {
			refuse(w, 403, "forbidden", "Forbidden")
		}
		return reads
	}
	c := keyConfig(v, keyJSON("dns", rsaKeys()[0]))
	c.HostedZoneName = "example-com"
	p := provider(t, c)
	if err := p.Present(t.Context(), record); err != nil {
		t.Error(err)
	}
	_, err := p.Zone(t.Context(), fqdn)
	failsWith(t, err, fault.User, `the DNS name of the managed zone example-com of project "my-project-123" is not known: DNS does not tell it, and the service account "dns@my-project-123.iam.gserviceaccount.com" may not read the zone; allow dns.managedZones.get`)
	c.Walk = func(context.Context, string) (string, error) { return "Example.com.", nil }
	if got, err := provider(t, c).Zone(t.Context(), fqdn); err != nil || got != "example.com." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSettled(t *testing.T) {
	v := newVendor(t)
	v.pending = 2
	c := keyConfig(v, keyJSON("dns", rsaKeys()[0]))
	c.Clock = testclock.NewFakePassiveClock(now)
	p := provider(t, c)
	if err := p.Present(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	before := len(v.seen)
	for i, want := range []time.Time{now.Add(2 * time.Second), now.Add(2 * time.Second), {}, {}} {
		if got, err := p.Settled(t.Context(), record, now); err != nil || !got.Equal(want) {
			t.Errorf("%d: %s, %v, want %s", i, got, err, want)
		}
	}
	const asked = "GET dns.googleapis.com/dns/v1/projects/my-project-123/managedZones/example-com/changes/1"
	if diff := cmp.Diff([]string{asked, asked, asked}, v.seen[before:]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	const change = "changing the TXT record at _acme-challenge.example.com. in the managed zone example-com"
	answer := func(status int, reason, text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			writes := strings.HasSuffix(r.URL.Path, "/changes")
			if writes {
				w.Header().Set("Retry-After", "120")
				refuse(w, status, reason, text)
			}
			return writes
		}
	}
	for name, test := range map[string]struct {
		sets  []rrset
		fail  func(http.ResponseWriter, *http.Request) bool
		class fault.Class
		want  string
	}{
		"alias": {
			[]rrset{{Name: fqdn, Type: "CNAME", TTL: seconds(300), Rrdatas: []string{"cdn.example."}}},
			nil, fault.User,
			"the Cloud DNS API answered HTTP 400 (The resource record set 'entity.change.additions[0]' is invalid because the DNS name '_acme-challenge.example.com.' may have either one CNAME resource record set or resource record sets of other types, but not both.): " +
				"_acme-challenge.example.com. is an alias (CNAME), beside which no TXT record can be; remove the CNAME record, or, if its target is in a zone of yours, set cnameStrategy: Follow",
		},
		"forbidden": {
			nil, answer(403, "forbidden", "Forbidden"), fault.User,
			"the Cloud DNS API answered HTTP 403 (forbidden: Forbidden) to " + change + `; grant the service account "dns@my-project-123.iam.gserviceaccount.com" the role roles/dns.admin in project "my-project-123"`,
		},
		"API off": {
			nil, answer(403, "accessNotConfigured", "Google Cloud DNS API has not been used in project 123456789012 before or it is disabled. Enable it by visiting https://console.developers.google.com/"), fault.User,
			"the Cloud DNS API answered HTTP 403 (accessNotConfigured) to " + change + `; enable the API dns.googleapis.com in project "my-project-123" and in that of the service account "dns@my-project-123.iam.gserviceaccount.com"`,
		},
		"quota": {
			nil, answer(403, "quotaExceeded", "Quota exceeded"), fault.Later,
			"the Cloud DNS API answered HTTP 403 (quotaExceeded) to " + change + ": the project has used up its quota of requests",
		},
		"too many": {
			nil, answer(429, "rateLimitExceeded", "Quota exceeded"), fault.Later,
			"the Cloud DNS API answered HTTP 429 (rateLimitExceeded) to " + change + ": the project has used up its quota of requests",
		},
		"a proxy's page": {
			nil, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == "POST" && r.Host == "dns.googleapis.com" {
					w.WriteHeader(502)
					_, _ = w.Write([]byte("<html>Bad Gateway</html>"))
					return true
				}
				return false
			}, fault.Transient,
			"the Cloud DNS API answered HTTP 502 to " + change,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.sets["example-com"], v.fail = test.sets, test.fail
			c := keyConfig(v, keyJSON("dns", rsaKeys()[0]))
			c.Clock = testclock.NewFakePassiveClock(now)
			p := provider(t, c)
			for range 2 {
				err := p.Present(t.Context(), record)
				failsWith(t, err, test.class, test.want)
				if f := fault.Of(err); test.class == fault.Later && !f.At.Equal(now.Add(2*time.Minute)) {
					t.Errorf("again at %s", f.At)
				}
			}
		})
	}
}

// TestGoneZone holds that a zone that was deleted, with its records, ends a clean-up.
func TestGoneZone(t *testing.T) {
	v := newVendor(t)
	p := provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0])))
	if err := p.Present(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	v.zones = nil
	if err := p.CleanUp(t.Context(), record); err != nil {
		t.Error(err)
	}
	failsWith(t, p.Present(t.Context(), record), fault.User,
		"the Cloud DNS API answered HTTP 404 (notFound: The 'parameters.managedZone' resource named 'example-com' does not exist.) to reading the TXT record at _acme-challenge.example.com. in the managed zone example-com")
}
