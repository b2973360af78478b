package venafi

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
)

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
		"search refused": {
			before:  func(_ *lab, r issuer.Request) issuer.Request { return r },
			prepare: func(l *lab, _ *issuer.Request) { says("search", 403, `{"errors":[{"code":1,"message":"no"}]}`)(l) },
			calls:   append(searched[:3:3], made), id: "5c2c6d7e-0003-4000-8000-000000000002",
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
		"search of a busy one": {prepare: func(l *lab, _ *issuer.Request) { says("search", 429, ``)(l) }, calls: searched},
		"search of one down":   {prepare: func(l *lab, _ *issuer.Request) { says("search", 503, `<html>`)(l) }, calls: searched},
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
