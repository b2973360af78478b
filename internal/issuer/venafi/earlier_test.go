package venafi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
)

// oneFound is what a search finds without dates and states.
const oneFound = `{"certificateRequests":[{"id":"5c2c6d7e-0003-4000-8000-000000000001","applicationId":"5c2c6d7e-0001-4000-8000-000000000001","certificateIssuingTemplateId":"5c2c6d7e-0002-4000-8000-000000000002"}]}`

const (
	cloudCalls = "/outagedetection/v1"
	cutOff     = "/certificaterequests"
)

// TestCutOff has connections end after the server has taken a request: it is not made
// again, and what names it is found.
func TestCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		spec        func(*server.Server) *cmv1.VenafiIssuer
		credentials map[string]string
		call        string
	}{
		"TPP":  {ofTPP, map[string]string{"access-token": server.Token}, "/certificates/request"},
		"SaaS": {ofCloudIssuer, map[string]string{"api-key": server.APIKey}, cutOff},
		"NGTS": {ofNGTS, map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret}, cutOff},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.spec, test.credentials)
			l.server.Hold()
			l.server.Script(test.call, server.Answer{Cut: true})
			r := l.usual()
			_, err := l.Sign(t.Context(), r)
			if fault.Of(err).Class != fault.Transient {
				t.Fatalf("error %v", err)
			}
			l.server.Calls()
			r = l.requested(r)
			if n := l.server.Requests(); n != 1 {
				t.Errorf("%d requests at the server", n)
			}
			l.server.Approve()
			l.delivered(r)
			// The next one is not looked for.
			l.clock.SetTime(l.clock.Now().Add(time.Minute))
			l.server.Calls()
			l.requested(l.usual())
			if n := l.server.Count("search"); n != 0 {
				t.Errorf("%d searches for another request", n)
			}
		})
	}
}

// TestEarlier has a process begin to work, which finds requests of another one.
func TestEarlier(t *testing.T) {
	searched := []string{
		"GET " + cloudCalls + "/applications/Shop%20App/certificateissuingtemplates/Default%20Tmpl", "GET " + cloudCalls + "/applications/name/Shop%20App",
		"POST " + cloudCalls + "/certificaterequestssearch",
	}
	compared := append(searched[:3:3], "GET "+cloudCalls+"/certificaterequests/5c2c6d7e-0003-4000-8000-000000000001")
	made := "POST " + cloudCalls + "/certificaterequests"
	for name, test := range map[string]struct {
		// before is what the other process has asked for, and r what this one has to.
		before  func(l *lab, r issuer.Request) issuer.Request
		prepare func(l *lab, r *issuer.Request)
		calls   []string
		id      string
	}{
		"made":       {before: func(_ *lab, r issuer.Request) issuer.Request { return r }, calls: compared, id: "5c2c6d7e-0003-4000-8000-000000000001"},
		"never made": {before: nil, calls: append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000001"},
		"another key": {
			before: func(l *lab, _ issuer.Request) issuer.Request { return l.usual() },
			calls:  append(compared[:4:4], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"another name": {
			before: func(l *lab, _ issuer.Request) issuer.Request {
				return l.ask(pki.Template{CommonName: "other.example.com"}, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
			},
			calls: append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"the same before a renewal": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(_ *lab, r *issuer.Request) { r.Created = r.Created.Add(2 * time.Hour) },
			calls:   append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"the same just before": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(_ *lab, r *issuer.Request) { r.Created = r.Created.Add(20 * time.Second) },
			calls:   append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"made and issued": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { l.server.Approve() },
			calls:   compared, id: "5c2c6d7e-0003-4000-8000-000000000001",
		},
		"made and refused": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { l.server.Reject() },
			calls:   append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"refused since the search": {
			before: func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) {
				l.server.Reject()
				says("search", 200, oneFound)(l)
			},
			calls: append(compared[:4:4], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"no date": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { says("search", 200, oneFound)(l) },
			calls:   compared, id: "5c2c6d7e-0003-4000-8000-000000000001",
		},
		"the one found is not shown": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { says("0000001", 404, `{"errors":[{"code":1,"message":"no"}]}`)(l) },
			calls:   append(compared[:4:4], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
		},
		"the one found is not shown now": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { says("0000001", 500, `{"errors":[{"code":1,"message":"no"}]}`)(l) },
			calls:   compared,
		},
		"search of strange ids": {
			prepare: func(l *lab, _ *issuer.Request) {
				says("search", 200, `{"certificateRequests":[{"id":"../users"},{"id":7},{}]}`)(l)
			},
			calls: append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000001",
		},
		"search in a page": {
			prepare: func(l *lab, _ *issuer.Request) { says("search", 200, `<html>`)(l) },
			calls:   append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000001",
		},
		"no common name": {
			prepare: func(l *lab, r *issuer.Request) {
				*r = l.ask(pki.Template{Subject: pki.Subject{Organizations: []string{"x"}}, DNSNames: []string{"web.example.com"}}, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
			},
			calls: append(searched[:2:2], made), id: "5c2c6d7e-0003-4000-8000-000000000001",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
			r := l.usual()
			if test.before != nil {
				l.requested(test.before(l, r))
			}
			l.Type = New(l.store, Config{Clock: l.clock, HTTP: l.server.Client()})
			if test.prepare != nil {
				test.prepare(l, &r)
			}
			l.clock.SetTime(r.Created.Add(time.Minute))
			if _, err := l.check(); err != nil {
				t.Fatal(err)
			}
			l.server.Calls()
			got, err := l.Sign(t.Context(), r)
			if diff := cmp.Diff(test.calls, server.Paths(l.server.Calls())); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if test.id == "" {
				if c := fault.Of(err).Class; err == nil || c != fault.Transient && c != fault.Later {
					t.Errorf("got %+v, error %v", got, err)
				}
				return
			}
			if err != nil || got.Pending.Annotations["venafi.cert-manager.io/pickup-id"] != test.id {
				t.Errorf("got %+v, error %v", got.Pending, err)
			}
		})
	}
}

// TestSearchFails holds which answers to a search leave it open whether a request has been
// made: it waits, and does not fail. After all others it is made.
func TestSearchFails(t *testing.T) {
	const worded, page = `{"errors":[{"code":1,"message":"no"}]}`, "<html>hunter2"
	const unknown = "Failed to request certificate from Certificate Manager: whether the request has been made before is not known: "
	for name, test := range map[string]struct {
		answer server.Answer
		class  fault.Class
		why    string
	}{
		"401":             {answer: server.Answer{Status: 401, Body: worded}},
		"403":             {answer: server.Answer{Status: 403, Body: worded}},
		"403, a page":     {answer: server.Answer{Status: 403, Body: page}},
		"404":             {answer: server.Answer{Status: 404, Body: page}},
		"501":             {answer: server.Answer{Status: 501, Body: worded}},
		"redirect":        {answer: server.Answer{Status: 302}},
		"too large":       {answer: server.Answer{Status: 200, Body: strings.Repeat(" ", maxAnswer+1)}},
		"429":             {server.Answer{Status: 429, Body: worded}, fault.Later, "the server answers 429 Too Many Requests: no"},
		"500":             {server.Answer{Status: 500, Body: worded}, fault.Transient, "the server answers 500 Internal Server Error: no"},
		"500, a page":     {server.Answer{Status: 500, Body: page}, fault.Transient, "the server answers 500 Internal Server Error, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"503, comes back": {server.Answer{Status: 503, Body: worded, Header: http.Header{"Retry-After": {"120"}}}, fault.Later, "the server answers 503 Service Unavailable: no"},
		"505":             {server.Answer{Status: 505, Body: worded}, fault.Transient, "the server answers 505 HTTP Version Not Supported: no"},
		"cut":             {server.Answer{Cut: true}, fault.Transient, "the server cannot be reached: …"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
			r := l.usual()
			l.clock.SetTime(r.Created.Add(time.Minute))
			l.server.Script("search", test.answer)
			got, err := l.Sign(t.Context(), r)
			if test.why == "" {
				if err != nil || got.Pending == nil || l.server.Requests() != 1 {
					t.Errorf("got %+v, error %v", got.Pending, err)
				}
				return
			}
			checkFault(t, name, err, test.class, "RequestError", unknown+test.why)
			if n := l.server.Requests(); n != 0 {
				t.Errorf("%d requests", n)
			}
			// It has not been sent: no other one is uncertain.
			if next := l.usual(); l.doubt.about(next.Created) {
				t.Error("the next one is looked for")
			}
		})
	}
}

// TestManyAlike has more requests of one common name than a page of a search, and a process
// that begins in the place of another one: it finds each, and reads each once.
func TestManyAlike(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	l.server.Hold()
	var all []issuer.Request
	ids := map[string]bool{}
	for range pageSize + 5 {
		r := l.usual()
		all = append(all, r)
		ids[l.requested(r).Annotations["venafi.cert-manager.io/pickup-id"]] = true
	}
	l.Type = New(l.store, Config{Clock: l.clock, HTTP: l.server.Client()})
	l.clock.SetTime(l.clock.Now().Add(time.Minute))
	l.server.Calls()
	for _, r := range all {
		delete(ids, l.requested(r).Annotations["venafi.cert-manager.io/pickup-id"])
	}
	read := 0
	for _, c := range l.server.Calls() {
		if strings.HasPrefix(c.Path, cloudCalls+cutOff+"/") {
			read++
		}
	}
	if n := l.server.Requests(); n != len(all) || len(ids) > 0 || read > 2*len(all) {
		t.Errorf("%d requests for %d objects, %d not found, %d read", n, len(all), len(ids), read)
	}
}

// TestSamePage has a server answer each page of a search with the same one.
func TestSamePage(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	r := l.usual()
	l.clock.SetTime(r.Created.Add(time.Minute))
	var page found
	for i := range pageSize {
		page.CertificateRequests = append(page.CertificateRequests, foundRequest{
			ID: fmt.Sprintf("5c2c6d7e-0003-4000-8000-%012d", i+100), Application: "5c2c6d7e-0001-4000-8000-000000000001", Template: "5c2c6d7e-0002-4000-8000-000000000002",
		})
	}
	body, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		says("search", 200, string(body))(l)
	}
	l.requested(r)
	if n := l.server.Count("search"); n != 2 {
		t.Errorf("%d searches", n)
	}
}

// slow is a transport whose searches take a minute of a clock.
type slow struct {
	http.RoundTripper
	clock *clocktesting.FakePassiveClock
}

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "search") {
		s.clock.SetTime(s.clock.Now().Add(time.Minute))
	}
	return s.RoundTripper.RoundTrip(req)
}

// TestSearchIsNotCounted as a part of the request.
func TestSearchIsNotCounted(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	took := map[string]time.Duration{}
	l.Type = New(l.store, Config{Clock: l.clock, HTTP: slow{l.server.Client(), l.clock}, ObserveCall: func(call string, d time.Duration) { took[call] += d }})
	r := l.usual()
	l.clock.SetTime(r.Created.Add(time.Minute))
	l.requested(r)
	if diff := cmp.Diff(map[string]time.Duration{callZone: 0, callRequest: 0}, took); diff != "" || l.server.Count("search") != 1 {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestDates holds the forms of the dates of the SaaS.
func TestDates(t *testing.T) {
	want := time.Date(2021, 5, 24, 22, 45, 12, 276_000_000, time.UTC)
	for text, read := range map[string]bool{
		"2021-05-24T22:45:12.276+0000": true, "2021-05-24T22:45:12.276+00:00": true, "2021-05-24T22:45:12.276Z": true, "2021-05-25T00:45:12.276+0200": true,
		"1621896312276": false, "": false,
	} {
		if got, ok := dateOf(text); ok != read || read && !got.Equal(want) {
			t.Errorf("%s is %s, %t", text, got, ok)
		}
	}
}

// TestUncertain holds which failures leave it open whether the SaaS has taken a request.
func TestUncertain(t *testing.T) {
	for status, want := range map[int]bool{
		http.StatusCreated: true, http.StatusBadGateway: true, http.StatusInternalServerError: true,
		http.StatusBadRequest: false, http.StatusTooManyRequests: false, http.StatusFound: false,
	} {
		for _, sent := range []bool{true, false} {
			e := earlier{exchange: &exchange{last: answer{status: status}}, sent: sent}
			if got := e.uncertain(); got != (want && sent) {
				t.Errorf("%d, sent %t: %t", status, sent, got)
			}
		}
	}
}
