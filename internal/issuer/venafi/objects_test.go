package venafi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
)

const waitsForName = `certificate is not requested yet: another request for the name "web.example.com" in zone "Kube\\web" waits for its certificate, and the server has one object for both: it is requested after that, or within 10 minutes if the other request is gone; use another common name or another zone to have both at once`

// named is a request for a common name by an object of a name.
func (l *lab) named(object, name string) issuer.Request {
	r := l.ask(pki.Template{CommonName: name}, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	r.Key.Namespace, r.Name, r.Now = "ns", object, l.clock.Now()
	return r
}

// waits holds that a request waits for another one of its name, or has been made.
func (l *lab) waits(step string, r issuer.Request, want bool) issuer.Request {
	l.t.Helper()
	got, err := l.Sign(l.t.Context(), r)
	if err != nil || got.Pending == nil {
		l.t.Fatalf("%s: got %+v, error %v", step, got, err)
	}
	if waits := got.Pending.Message == waitsForName; waits != want {
		l.t.Errorf("%s: %s", step, got.Pending.Message)
	}
	r.Annotations = got.Pending.Annotations
	return r
}

// TestOneName has requests for one common name in one zone: one after the other gets its
// own certificate.
func TestOneName(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	l.server.Hold()
	l.waits("the first", l.named("a-1", "web.example.com"), false)
	second := l.named("b-1", "WEB.example.com")
	got, err := l.Sign(t.Context(), second)
	if err != nil || !strings.Contains(got.Pending.Message, `another request for the name "WEB.example.com" in zone`) || len(got.Pending.Annotations) != 0 || got.Pending.Until != l.clock.Now().Add(5*time.Second) {
		t.Errorf("the second: %+v, error %v", got.Pending, err)
	}
	l.waits("another name", l.named("c-1", "c.example.com"), false)
	l.spec.Venafi.Zone = `\VED\Policy\kube\web`
	got, err = l.Sign(t.Context(), l.named("d-1", "web.example.com"))
	if err != nil || !strings.Contains(got.Pending.Message, "another request for the name") {
		t.Errorf("the zone in full: %+v, error %v", got.Pending, err)
	}
	l.spec.Venafi.Zone = `Kube\web`
	// The object that asks was deleted, and another one has its name.
	first := l.waits("another signing request of the first", l.named("a-1", "web.example.com"), false)
	l.server.Approve()
	l.delivered(first)
	l.delivered(l.waits("after the first", second, false))
	l.waits("after the second", l.named("e-1", "web.example.com"), false)
}

// TestNameIsFree has what ends the wait for a name without a certificate.
func TestNameIsFree(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(l *lab, r issuer.Request)
		free bool
	}{
		"refused by a person": {func(l *lab, r issuer.Request) { l.server.Reject(); _, _ = l.Sign(l.t.Context(), r) }, true},
		"another key": {func(l *lab, r issuer.Request) {
			l.server.Approve()
			l.server.DeliverForeignKeys()
			_, _ = l.Sign(l.t.Context(), r)
		}, true},
		"the server is away": {func(l *lab, r issuer.Request) { says("/retrieve", 503, "")(l); _, _ = l.Sign(l.t.Context(), r) }, false},
		"the server wants the next look later than that": {func(l *lab, r issuer.Request) {
			l.server.Script("/retrieve", server.Answer{Status: 503, Header: http.Header{"Retry-After": {"1800"}}})
			_, _ = l.Sign(l.t.Context(), r)
			l.clock.SetTime(l.clock.Now().Add(30*time.Minute + held - time.Second))
		}, false},
		"nobody looks": {func(l *lab, _ issuer.Request) { l.clock.SetTime(l.clock.Now().Add(held)) }, true},
		"somebody looks": {func(l *lab, r issuer.Request) {
			l.clock.SetTime(l.clock.Now().Add(held - time.Second))
			_, _ = l.Sign(l.t.Context(), r)
			l.clock.SetTime(l.clock.Now().Add(time.Second))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []string{"CertificateRequest", signingrequest.Kind} {
				l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
				l.server.Hold()
				first := l.named("a-1", "web.example.com")
				first.Kind = kind
				first = l.waits("the first", first, false)
				test.end(l, first)
				l.waits("the second of a "+kind, l.named("b-1", "web.example.com"), !test.free)
			}
		})
	}
}

// TestNameInherited has a process that begins in the place of another one, whose request
// waits for its certificate, look at a later request first.
func TestNameInherited(t *testing.T) {
	start := func() (*lab, issuer.Request, issuer.Request) {
		l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
		l.server.Hold()
		first := l.waits("the first", l.named("a-1", "web.example.com"), false)
		second := l.named("b-1", "web.example.com")
		l.Type = New(l.store, Config{Clock: l.clock, HTTP: l.server.Client()})
		l.clock.SetTime(l.clock.Now().Add(time.Minute))
		return l, first, second
	}
	l, first, second := start()
	l.waits("the second", second, true)
	// The object is not held by one that has not been requested.
	l.server.Calls()
	l.waits("the first again", first, false)
	l.waits("the second after the first", second, true)
	l.server.Approve()
	l.delivered(first)
	l.delivered(l.waits("the second alone", second, false))
	if n := l.server.Count("/certificates/retrieve"); n != 4 {
		t.Errorf("%d calls", n)
	}

	l, _, second = start()
	l.waits("the first is gone", second, true)
	l.clock.SetTime(l.clock.Now().Add(held))
	l.waits("the first has not looked", second, false)

	l, _, _ = start()
	l.clock.SetTime(l.clock.Now().Add(time.Second))
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	l.waits("created later", l.named("c-1", "web.example.com"), false)
	l, _, second = start()
	l.server.Approve()
	l.waits("the object has its certificate", second, false)
	for _, status := range []int{http.StatusUnauthorized, http.StatusBadRequest, http.StatusInternalServerError} {
		l, _, second = start()
		says("/retrieve", status, `{"Error":"no"}`)(l)
		l.waits("the server does not say", second, false)
	}
}

// TestObjectNames holds what names an object at the server: what vcert makes of its zone.
func TestObjectNames(t *testing.T) {
	for zone, want := range map[string]string{
		`Kube\web`: `\VED\Policy\Kube\web\a.example.com`, `\Kube\web`: `\VED\Policy\Kube\web\a.example.com`, `\VED\Policy\Kube\web`: `\VED\Policy\Kube\web\a.example.com`,
	} {
		if got := dnOf(zone, "a.example.com"); got != want {
			t.Errorf("%s: %s", zone, got)
		}
	}
}

// TestNameOfARefusedRequest: a request that was never made does not hold its name.
func TestNameOfARefusedRequest(t *testing.T) {
	for _, status := range []int{400, 503} {
		l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
		says("/certificates/request", status, `{"Error":"no"}`)(l)
		if _, err := l.Sign(t.Context(), l.named("a-1", "web.example.com")); err == nil {
			t.Fatal("requested")
		}
		l.waits("the second", l.named("b-1", "web.example.com"), false)
	}
}

// TestNameTakenElsewhere has another cluster request a certificate of the same name
// meanwhile: the first request fails, and says why.
func TestNameTakenElsewhere(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	first := l.waits("the first", l.named("a-1", "web.example.com"), false)
	elsewhere := New(l.store, Config{Clock: l.clock})
	if _, err := elsewhere.Sign(t.Context(), l.named("a-1", "web.example.com")); err != nil {
		t.Fatal(err)
	}
	_, err := l.Sign(t.Context(), first)
	checkFault(t, "taken", err, fault.Permanent, "RetrieveError", "Failed to obtain certificate from Certificate Manager: the server has delivered a certificate for another key than that of the request: another one of the same common name has been requested in this zone since: use another common name or another zone")
}

// TestOneNameInTheSaaS: there each request has its own certificate.
func TestOneNameInTheSaaS(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	l.server.Hold()
	first, second := l.waits("the first", l.named("a-1", "web.example.com"), false), l.waits("the second", l.named("b-1", "web.example.com"), false)
	l.server.Approve()
	l.delivered(first)
	l.delivered(second)
}
