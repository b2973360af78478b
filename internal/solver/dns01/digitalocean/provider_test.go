package digitalocean

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
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

func TestRequests(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, goodToken)
	if err := p.Present(t.Context(), dns01.Record{FQDN: fqdn, Value: "v"}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /v2/domains/_acme-challenge.www.example.com",
		"GET /v2/domains/www.example.com",
		"GET /v2/domains/example.com",
		"GET /v2/domains/example.com/records?name=_acme-challenge.www.example.com&page=1&per_page=200&type=TXT",
		"POST /v2/domains/example.com/records",
	}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A zone with more records than a page has.
func TestPages(t *testing.T) {
	s := newStub(t)
	for i := range 5 {
		s.add("example.com", "TXT", "_acme-challenge.www", fmt.Sprintf("other-%d", i))
	}
	p, r := s.provider(t, goodToken), dns01.Record{FQDN: fqdn, Value: "v"}
	for range 2 {
		if err := p.Present(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := s.values(t, fqdn); len(got) != 6 {
			t.Errorf("values: %q", got)
		}
	}
	if err := p.CleanUp(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other-0", "other-1", "other-2", "other-3", "other-4"}, s.values(t, fqdn)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestCleanUpKeepsOthers(t *testing.T) {
	s := newStub(t)
	s.add("example.com", "A", "_acme-challenge.www", "v")
	s.add("example.com", "TXT", "www", "v")
	s.add("example.com", "TXT", "_acme-challenge.www", "V")
	s.add("example.com", "TXT", "_acme-challenge.www", "v") // by two writers at once
	s.add("example.com", "TXT", "_acme-challenge.www", "v")
	if err := s.provider(t, goodToken).CleanUp(t.Context(), dns01.Record{FQDN: fqdn, Value: "v"}); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, r := range s.records["example.com"] {
		left = append(left, fmt.Sprint(r["type"], " ", r["name"], " ", r["data"]))
	}
	if diff := cmp.Diff([]string{"A _acme-challenge.www v", "TXT www v", "TXT _acme-challenge.www V"}, left); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestManyValues(t *testing.T) {
	s := newStub(t)
	s.pageSize = 200
	const values = 9
	each := func(do func(p *Provider, r dns01.Record) error) {
		var writers sync.WaitGroup
		for i := range values {
			writers.Go(func() {
				if err := do(s.provider(t, goodToken), dns01.Record{FQDN: fqdn, Value: fmt.Sprint("value-", i)}); err != nil {
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
}

func TestNoDomain(t *testing.T) {
	_, err := newStub(t).provider(t, goodToken).Zone(t.Context(), "_acme-challenge.shop.example.net.")
	want := `found no domain for _acme-challenge.shop.example.net in the DigitalOcean account of the token in secret "default/do": it has none named ` +
		`_acme-challenge.shop.example.net, shop.example.net, example.net; add the domain to that account or team, and if _acme-challenge.shop.example.net is a CNAME record into another domain, set cnameStrategy: Follow`
	if diff := cmp.Diff(want, message(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A domain that was removed is looked up again.
func TestDomainRemoved(t *testing.T) {
	s := newStub(t)
	p := s.provider(t, goodToken)
	if _, err := p.Zone(t.Context(), fqdn); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	delete(s.records, "example.com")
	s.mu.Unlock()
	r := dns01.Record{FQDN: fqdn, Value: "v"}
	const want = "the DigitalOcean API answered HTTP 404 (The resource you were accessing could not be found.) to listing the TXT records at _acme-challenge.www.example.com"
	if diff := cmp.Diff(want, message(t, p.Present(t.Context(), r))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.mu.Lock()
	s.records["www.example.com"] = nil
	s.mu.Unlock()
	if err := p.Present(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	const doing = "looking up the domain _acme-challenge.www.example.com"
	const html = "text/html"
	for name, test := range map[string]struct {
		status     int
		kind, body string
		again      string // Retry-After
		want       *fault.Error
	}{
		"unauthorized": {
			401, "application/json", `{"id":"Unauthorized","message":"Unable to authenticate you"}`, "",
			fault.New(fault.User, "Unauthorized", `the DigitalOcean API answered HTTP 401 (Unable to authenticate you) to %s; check that the token in secret "default/do" is a personal access token that has not expired`, doing),
		},
		"forbidden": {
			403, "application/json", `{"id":"Forbidden","message":"You are not authorized to perform this operation"}`, "",
			fault.New(fault.User, "Forbidden", `the DigitalOcean API answered HTTP 403 (You are not authorized to perform this operation) to %s; check that the token in secret "default/do" has the scope domain:read`, doing),
		},
		"rate limit": {
			429, "application/json", `{"id":"too_many_requests","message":"API Rate limit exceeded."}`, "300",
			fault.Until(now.Add(5*time.Minute), "RateLimited", "the DigitalOcean API answered HTTP 429 (API Rate limit exceeded.) to %s", doing),
		},
		"rate limit, HTML": {
			429, html, `<html>too many</html>`, "", fault.Until(now.Add(time.Minute), "RateLimited", "the DigitalOcean API answered HTTP 429 to %s", doing),
		},
		"server error": {503, html, `<html>`, "", fault.New(fault.Transient, "ServerError", "the DigitalOcean API answered HTTP 503 to %s", doing)},
		"redirect":     {302, html, ``, "", fault.New(fault.User, "RequestRefused", "the DigitalOcean API answered HTTP 302 to %s", doing)},
		"not JSON": {
			200, html, `<html>`, "", fault.New(fault.Transient, "UnexpectedAnswer", "the DigitalOcean API sent an answer that it does not document to %s", doing),
		},
		"another JSON": {
			200, "application/json", `[]`, "", fault.New(fault.Transient, "UnexpectedAnswer", "the DigitalOcean API sent an answer that it does not document to %s", doing),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.kind)
				if test.again != "" {
					w.Header().Set("Retry-After", test.again)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			p := s.provider(t, goodToken)
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
				t.Errorf("%d requests, want 1: the controller retries", n)
			}
		})
	}
}
