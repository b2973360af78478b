package akamai

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
)

const fqdn = "_acme-challenge.www.example.com."

// client is the API client in messages.
const client = `the API client of ` + host + ` in secret "default/akamai"`

// message returns the message of a User fault.
func message(t *testing.T, err error) string {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Class != fault.User {
		t.Fatalf("no User fault: %v", err)
	}
	return f.Message
}

func TestRequests(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, clientToken, goodSecret)
	const set = "/config-dns/v2/zones/example.com/names/_acme-challenge.www.example.com/types/TXT"
	for _, step := range []struct {
		do   func(value string) error
		v    string
		want []string
	}{
		{func(v string) error { return p.CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "a", []string{"GET /config-dns/v2/zones?showAll=true", "GET " + set}},
		{func(v string) error { return p.Present(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "a", []string{"GET " + set, "POST " + set}},
		{func(v string) error { return p.Present(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "a", []string{"GET " + set}},
		{func(v string) error { return p.Present(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "b", []string{"GET " + set, "PUT " + set}},
		{func(v string) error { return p.CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "c", []string{"GET " + set}},
		{func(v string) error { return p.CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "a", []string{"GET " + set, "PUT " + set}},
		{func(v string) error { return p.CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: v}) }, "b", []string{"GET " + set, "DELETE " + set}},
	} {
		if err := step.do(step.v); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(step.want, s.Requests()); diff != "" {
			t.Errorf("requests for %s (-want +got):\n%s", step.v, diff)
		}
	}
}

// The TTL of a set gets smaller, never larger; its other values stay.
func TestTTL(t *testing.T) {
	for before, want := range map[int]int{30: 30, 300: 300, 7200: 300} {
		s := newStub(t)
		s.sets[plain(fqdn)] = recordSet{Name: plain(fqdn), Type: "TXT", TTL: before, Rdata: []string{`"a b" "c"`}}
		if err := s.provider(t, clientToken, goodSecret).Present(t.Context(), dns01.Record{FQDN: fqdn, Value: "v"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(recordSet{Name: plain(fqdn), Type: "TXT", TTL: want, Rdata: []string{`"a b" "c"`, `"v"`}}, s.sets[plain(fqdn)]); diff != "" {
			t.Errorf("TTL %d before (-want +got):\n%s", before, diff)
		}
	}
}

// Writers of one process do not overwrite each other.
func TestManyValues(t *testing.T) {
	s := newStub(t)
	shared := &turns{}
	const values = 9
	each := func(do func(p *Provider, r dns01.Record) error) {
		var writers sync.WaitGroup
		for i := range values {
			writers.Go(func() {
				p := s.provider(t, clientToken, goodSecret)
				p.turns = shared
				if err := do(p, dns01.Record{FQDN: fqdn, Value: fmt.Sprint("value-", i)}); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
	}
	each(func(p *Provider, r dns01.Record) error { return p.Present(t.Context(), r) })
	if got := s.values(t, fqdn); len(got) != values {
		t.Errorf("values: %q", got)
	}
	each(func(p *Provider, r dns01.Record) error { return p.CleanUp(t.Context(), r) })
	if got := s.values(t, fqdn); len(got) != 0 {
		t.Errorf("values left: %q", got)
	}
	if len(shared.busy) != 0 {
		t.Errorf("%d names are still busy", len(shared.busy))
	}
}

// A writer of another process makes the set first.
func TestConflict(t *testing.T) {
	s := newStub(t)
	s.between = func(s *stub) {
		s.between = nil
		s.sets[plain(fqdn)] = recordSet{Name: plain(fqdn), Type: "TXT", TTL: 300, Rdata: []string{`"theirs"`}}
	}
	p := s.provider(t, clientToken, goodSecret)
	if err := p.Present(t.Context(), dns01.Record{FQDN: fqdn, Value: "ours"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"theirs", "ours"}, s.values(t, fqdn)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.between = func(s *stub) { delete(s.sets, plain(fqdn)) }
	s.sets[plain(fqdn)] = recordSet{Name: plain(fqdn), Type: "TXT", TTL: 300, Rdata: []string{`"ours"`}}
	if err := p.CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: "ours"}); err != nil {
		t.Errorf("the set is gone: %v", err)
	}
}

func TestZones(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, clientToken, goodSecret)
	for name, want := range map[string]string{
		"_acme-challenge.badexample.com.":       `edgedns: found no zone for _acme-challenge.badexample.com among those that ` + client + ` sees: add the zone to a group of the client, and if _acme-challenge.badexample.com is a CNAME record into another zone, set cnameStrategy: Follow`,
		"_acme-challenge.www.copy.example.com.": `edgedns: _acme-challenge.www.copy.example.com is in zone copy.example.com, which is a zone of type secondary at Edge DNS and takes no records there: set up a solver for the primary server of the zone`,
		"a/../b.example.com.":                   `edgedns: Edge DNS takes no records at "a/../b.example.com"`,
	} {
		_, err := p.Zone(t.Context(), name)
		if diff := cmp.Diff(want, message(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A zone that is removed is looked up again.
func TestZoneRemoved(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, clientToken, goodSecret)
	if _, err := p.Zone(t.Context(), fqdn); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	delete(s.zones, "example.com")
	s.zones["www.example.com"] = "PRIMARY"
	s.mu.Unlock()
	r := dns01.Record{FQDN: fqdn, Value: "v"}
	const want = "edgedns: the Edge DNS API answered HTTP 404 (Not Found: Zone example.com does not exist) to adding a TXT record at _acme-challenge.www.example.com"
	if diff := cmp.Diff(want, message(t, p.Present(t.Context(), r))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := p.Present(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	const said = "edgedns: the Edge DNS API answered HTTP "
	const to = " to listing the zones"
	for name, test := range map[string]struct {
		status int
		body   string
		want   *fault.Error
	}{
		"clock": {
			401, `{"type":"https://problems.luna.akamaiapis.net/-/pep-authn/deny","title":"Not authorized","status":401,"detail":"Invalid timestamp","requestId":"3b1c5a"}`,
			fault.New(fault.User, "Unauthorized", "%s", said+"401 (Not authorized: Invalid timestamp)"+to+"; check the tokens and the secret of "+client+", that the client is active, and the clock of this machine"),
		},
		"grant": {
			403, `{"title":"Forbidden","detail":"The client does not have the grant needed for the request"}`,
			fault.New(fault.User, "Forbidden", "%s", said+"403 (Forbidden: The client does not have the grant needed for the request)"+to+"; check that "+client+" has READ-WRITE access to the API service DNS-Zone Record Management, and to the group of the zone"),
		},
		"HTML":       {502, `<html>`, fault.Until(now.Add(time.Minute), "ServerError", "%s", said+"502"+to)},
		"rate limit": {429, `{"title":"Too many requests"}`, fault.Until(now.Add(time.Minute), "RateLimited", "%s", said+"429 (Too many requests)"+to)},
		"redirect":   {302, ``, fault.New(fault.User, "RequestRefused", "%s", said+"302"+to)},
		"not JSON":   {200, `<html>`, fault.New(fault.Transient, "UnexpectedAnswer", "edgedns: the Edge DNS API sent an answer that it does not document to listing the zones")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "60")
				w.Header().Set("Location", s.URL+"/elsewhere")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			p := s.provider(t, clientToken, goodSecret)
			p.clock = testingclock.NewFakePassiveClock(now)
			_, err := p.Zone(t.Context(), fqdn)
			got := fault.Of(err)
			if got == nil {
				t.Fatal("no error")
			}
			got.Err = nil
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := len(s.Requests()); n != 1 {
				t.Errorf("%d requests, want 1: the controller retries, and no answer redirects", n)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	ok := Credential{"token", "default/a"}
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"right":    {Config{Host: host, ClientToken: ok, ClientSecret: ok, AccessToken: ok}, ""},
		"URL":      {Config{Host: "https://" + host + "/", ClientToken: ok, ClientSecret: ok, AccessToken: ok}, ""},
		"no host":  {Config{ClientToken: ok, ClientSecret: ok, AccessToken: ok}, `serviceConsumerDomain "" is not the host of an API client, such as akab-xxxx.luna.akamaiapis.net`},
		"path":     {Config{Host: host + "/x", ClientToken: ok, ClientSecret: ok, AccessToken: ok}, `serviceConsumerDomain "` + host + `/x" is not the host of an API client, such as akab-xxxx.luna.akamaiapis.net`},
		"user":     {Config{Host: "a@" + host, ClientToken: ok, ClientSecret: ok, AccessToken: ok}, `serviceConsumerDomain "a@` + host + `" is not the host of an API client, such as akab-xxxx.luna.akamaiapis.net`},
		"empty":    {Config{Host: host, ClientToken: ok, ClientSecret: Credential{" ", "default/b"}, AccessToken: ok}, `the Akamai client secret in secret "default/b" is empty`},
		"newline":  {Config{Host: host, ClientToken: Credential{"a\n", "default/b"}, ClientSecret: ok, AccessToken: ok}, `the Akamai client token in secret "default/b" contains a newline: store it without one (printf %s, not echo)`},
		"raw data": {Config{Host: host, ClientToken: ok, ClientSecret: ok, AccessToken: Credential{"\xe7", "default/b"}}, `the Akamai access token in secret "default/b" is not printable ASCII text: a Secret's data takes base64, its stringData takes the text itself`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.config)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if diff := cmp.Diff(test.want, strings.TrimPrefix(message(t, err), instantiating)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
