package cloudflare

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
)

const fqdn = "_acme-challenge.www.example.com."

// message returns the message of a User fault.
func message(t *testing.T, err error) string {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Class != fault.User {
		t.Fatalf("no User fault: %v", err)
	}
	return f.Message
}

func TestZoneWalk(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, Config{Token: goodToken})
	for range 2 { // The second time the zone is known.
		if z, err := p.Zone(t.Context(), fqdn); err != nil || z != "example.com." {
			t.Errorf("zone %q, %v", z, err)
		}
	}
	want := []string{
		"GET /client/v4/zones?name=_acme-challenge.www.example.com&page=1&per_page=50",
		"GET /client/v4/zones?name=www.example.com&page=1&per_page=50",
		"GET /client/v4/zones?name=example.com&page=1&per_page=50",
		"GET /client/v4/zones?name=example.com&page=2&per_page=50",
	}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	// Records belong into the active zone of the name, the third.
	if z, err := p.zone(t.Context(), fqdn); err != nil || z.id != s.ZoneID(2) {
		t.Errorf("zone %v, %v", z, err)
	}
}

func TestNoZone(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, Config{Token: goodToken})
	const want = `Found no Zones for domain _acme-challenge.shop.co.uk (neither in the sub-domain nor in the SLD) with the API token in secret "default/cloudflare": ` +
		`it sees none named _acme-challenge.shop.co.uk, shop.co.uk%s; it needs Zone:Zone:Read and Zone:DNS:Edit for the zone, and if _acme-challenge.shop.co.uk is a CNAME record into another zone, set cnameStrategy: Follow`
	_, err := p.Zone(t.Context(), "_acme-challenge.shop.co.uk.")
	if diff := cmp.Diff(fmt.Sprintf(want, ", co.uk"), message(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A token for one zone may not list others: that is not why there is no zone.
	for _, status := range []int{http.StatusForbidden, http.StatusBadRequest} {
		restore := s.Instead(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("name") == "co.uk" {
				cloudflaretest.Refuse(w, status, 0, "Actor 'com.cloudflare.api.token.0123' requires permission 'com.cloudflare.api.account.zone.list' to list zones")
				return
			}
			cloudflaretest.Answer(w, http.StatusOK, object{"result": []any{}, "result_info": object{"count": 0, "page": 1, "per_page": 50, "total_count": 0, "total_pages": 0}})
		})
		_, err = p.Zone(t.Context(), "_acme-challenge.shop.co.uk.")
		if diff := cmp.Diff(fmt.Sprintf(want, ""), message(t, err)); diff != "" {
			t.Errorf("HTTP %d (-want +got):\n%s", status, diff)
		}
		restore()
	}
}

func TestManyValues(t *testing.T) {
	s := newStub(t)
	const values = 9
	record := func(i int) dns01.Record { return dns01.Record{FQDN: fqdn, Value: fmt.Sprintf("value-%d", i)} }
	each := func(do func(p *Provider, r dns01.Record) error) {
		var writers sync.WaitGroup
		for i := range values {
			writers.Go(func() {
				if err := do(s.provider(t, Config{Token: goodToken}), record(i)); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
	}
	each(func(p *Provider, r dns01.Record) error { return p.Present(t.Context(), r) })
	if got := s.Values(t, fqdn); len(got) != values {
		t.Errorf("values: %q", got)
	}
	each(func(p *Provider, r dns01.Record) error { return p.CleanUp(t.Context(), r) })
	if got := s.Values(t, fqdn); len(got) != 0 {
		t.Errorf("values left: %q", got)
	}
}

func TestCleanUpKeepsOthers(t *testing.T) {
	s := newStub(t)
	s.Add(2, "TXT", domain(fqdn), "mine") // made by a client that does not quote
	s.Add(2, "TXT", domain(fqdn), `"MINE"`)
	s.Add(2, "TXT", domain(fqdn), `"mine too"`)
	s.Add(2, "TXT", domain(fqdn), `"mine"`)
	s.Add(2, "TXT", "www.example.com", `"mine"`)
	if err := s.provider(t, Config{Token: goodToken}).CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: "mine"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"MINE", "mine too"}, s.Values(t, fqdn)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.Values(t, "www.example.com."); len(got) != 1 {
		t.Errorf("the other name has %q", got)
	}
}

func TestAlias(t *testing.T) {
	s := newStub(t)
	s.Add(2, "CNAME", domain(fqdn), "x.cdn.example")
	err := s.provider(t, Config{Token: goodToken}).Present(t.Context(), dns01.Record{FQDN: fqdn, Value: "v"})
	if m := message(t, err); !strings.Contains(m, "Error: 81054: A CNAME record with that host already exists.") ||
		!strings.HasSuffix(m, "; a TXT record cannot be beside the CNAME record at _acme-challenge.www.example.com: set cnameStrategy: Follow if its target is in a zone of yours, or remove it") {
		t.Errorf("message: %s", m)
	}
}

// A zone that was removed and added again has another id.
func TestZoneMadeAgain(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, Config{Token: goodToken})
	if _, err := p.Zone(t.Context(), fqdn); err != nil {
		t.Fatal(err)
	}
	s.SetZones("example.com active")
	record := dns01.Record{FQDN: fqdn, Value: "v"}
	if err := p.Present(t.Context(), record); err == nil {
		t.Error("the old zone still takes records")
	}
	if err := p.Present(t.Context(), record); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	const finding = "while attempting to find Zones for domain _acme-challenge.www.example.com\n"
	const querying = finding + `while querying the Cloudflare API for GET "/zones?name=_acme-challenge.www.example.com" ` + "\n\t Error: "
	const check = `; check that the API token in secret "default/cloudflare" is valid and has the permissions Zone:Zone:Read and Zone:DNS:Edit`
	for name, test := range map[string]struct {
		status int
		header http.Header
		body   string
		class  fault.Class
		want   string
	}{
		"malformed token": {
			400, nil, `{"success":false,"errors":[{"code":6003,"message":"Invalid request headers","error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}],"messages":[],"result":null}`,
			fault.User, querying + "6003: Invalid request headers (6111: Invalid format for Authorization header)" + check,
		},
		"unknown token": {
			401, nil, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}],"messages":[],"result":null}`,
			fault.User, querying + "1000: Invalid API Token" + check,
		},
		"other address": {
			403, nil, `{"success":false,"errors":[{"code":9109,"message":"Cannot use the access token from location: 192.0.2.1"}],"messages":[],"result":null}`,
			fault.User, querying + "9109: Cannot use the access token from location: 192.0.2.1" + check,
		},
		"two errors": {
			400, nil, `{"success":false,"errors":[{"code":1,"message":"a"},{"code":2,"message":"b"}]}`, fault.User, querying + "1: a; 2: b",
		},
		"rate limit, HTML": {
			429,
			http.Header{"Content-Type": {"text/html"}, "Retry-After": {"300"}},
			`<html>`, fault.Later,
			finding + `the Cloudflare API answered HTTP 429 to GET "/zones?name=_acme-challenge.www.example.com"`,
		},
		"server error": {
			500, nil, `{"success":false,"errors":[{"code":7500,"message":"Request 8f1b2c3d4e5f60718f1b2c3d4e5f6071 failed"}]}`,
			fault.Transient, querying + "7500: Request <id> failed",
		},
		"conflict": {409, nil, `{}`, fault.User, finding + `the Cloudflare API answered HTTP 409 to GET "/zones?name=_acme-challenge.www.example.com"`},
		"redirect": {302, http.Header{"Location": {"https://elsewhere.example"}}, ``, fault.User, finding + `the Cloudflare API answered HTTP 302 to GET "/zones?name=_acme-challenge.www.example.com"`},
		"not JSON": {
			200,
			http.Header{"Content-Type": {"text/html"}},
			`<html>`, fault.Transient,
			finding + `the Cloudflare API sent an answer that it does not document to GET "/zones?name=_acme-challenge.www.example.com"`,
		},
		"no result": {
			200, nil, `{}`, fault.Transient,
			finding + `the Cloudflare API sent an answer that it does not document to GET "/zones?name=_acme-challenge.www.example.com"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for key, values := range test.header {
					w.Header()[key] = values
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			p, now := s.provider(t, Config{Token: goodToken}), time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
			p.clock = testingclock.NewFakePassiveClock(now)
			_, err := p.Zone(t.Context(), fqdn)
			f := fault.Of(err)
			if f == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, f.Message); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if f.Class != test.class {
				t.Errorf("class %s, want %s", f.Class, test.class)
			}
			if f.Class == fault.Later && !f.At.Equal(now.Add(5*time.Minute)) {
				t.Errorf("again at %s", f.At)
			}
			if n := len(s.Requests()); n != 1 {
				t.Errorf("%d requests, want 1: the controller retries", n)
			}
		})
	}
}
