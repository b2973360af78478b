package venafi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
)

// TestRequestRefused has a request that is not taken, before it is made or by the server.
func TestRequestRefused(t *testing.T) {
	const prefix = "Failed to request certificate from Certificate Manager: "
	const key = "venafi.cert-manager.io/custom-fields"
	fields := func(text string) func(*lab, *issuer.Request) {
		return func(_ *lab, r *issuer.Request) { r.Annotations[key] = text }
	}
	answers := func(end string, status int, body string) func(*lab, *issuer.Request) {
		return func(l *lab, _ *issuer.Request) { says(end, status, body)(l) }
	}
	for name, test := range map[string]struct {
		prepare         func(*lab, *issuer.Request)
		class           fault.Class
		reason, message string
		// asked reports that the server got the request.
		asked bool
	}{
		"no subject": {func(l *lab, r *issuer.Request) {
			*r = l.ask(pki.Template{DNSNames: []string{"a.example.com"}}, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
		}, fault.Permanent, "RequestError", prefix + noSubject, false},
		"Ed25519": {func(l *lab, r *issuer.Request) {
			*r = l.ask(pki.Template{CommonName: "a"}, pki.KeySpec{Algorithm: pki.Ed25519})
		}, fault.Permanent, "RequestError", prefix + "Certificate Manager signs for RSA and ECDSA keys only, and the request has another one: set spec.privateKey.algorithm", false},
		"no signing request": {func(_ *lab, r *issuer.Request) { r.CSR = []byte("x") }, fault.Permanent, "RequestError", prefix + "no PEM data was found in given input", false},
		"trailing comma":     {fields(`[{"name": "a", "value": "hunter2"},]`), fault.Permanent, "CustomFieldsError", `Failed to parse web-1 "venafi.cert-manager.io/custom-fields" annotation: it must be a list in JSON, such as [{"name": "field", "value": "x"}]: invalid character ']' looking for beginning of value`, false},
		"no list":            {fields(`{"name": "a"}`), fault.Permanent, "CustomFieldsError", `Failed to parse web-1 "venafi.cert-manager.io/custom-fields" annotation: it must be a list in JSON, such as [{"name": "field", "value": "x"}]: byte 1: a object is in the wrong place`, false},
		"number":             {fields(`[{"name": "a", "value": 7}]`), fault.Permanent, "CustomFieldsError", `Failed to parse web-1 "venafi.cert-manager.io/custom-fields" annotation: it must be a list in JSON, such as [{"name": "field", "value": "x"}]: byte 25: a number is in the wrong place`, false},
		"type":               {fields(`[{"name": "a", "value": "b", "type": "plain"}]`), fault.Permanent, "CustomFieldsError", `certificate request contains an invalid custom fields type: "plain"`, false},
		"issuer's annotation": {func(l *lab, r *issuer.Request) {
			r.IssuerName.Name, r.IssuerAnnotations = "tpp", map[string]string{key: "x"}
		}, fault.Permanent, "CustomFieldsError", `Failed to parse tpp "venafi.cert-manager.io/custom-fields" annotation: …`, false},
		"no Secret":       {func(l *lab, _ *issuer.Request) { delete(l.store, "credentials") }, fault.User, "SecretMissing", "Required secret resource not found: could not access secret 'ns/credentials': spec.venafi.tpp.credentialsRef: it does not exist", false},
		"other spec":      {func(l *lab, _ *issuer.Request) { l.spec.Venafi.Zone = "" }, fault.User, "VenafiInitError", "Failed to initialise Certificate Manager client for signing: spec.venafi.zone: Required value: must be specified", false},
		"expired token":   {func(l *lab, _ *issuer.Request) { l.server.Revoke() }, fault.Transient, "VenafiInitError", "Failed to initialise Certificate Manager client for signing: OAuth token request failed: tppClient.VerifyAccessToken: the server answers 401 Unauthorized: invalid_token: The access token is expired, revoked or invalid", false},
		"no such zone":    {func(l *lab, _ *issuer.Request) { l.spec.Venafi.Zone = "Kube/web" }, fault.Permanent, "RequestError", prefix + `zone "Kube/web": the server answers 400 Bad Request: PolicyDN: \VED\Policy\Kube/web does not exist`, false},
		"policy on names": {func(l *lab, _ *issuer.Request) { l.server.Policy("WhitelistedDomains", []string{"corp.test"}) }, fault.Permanent, "RequestError", prefix + `the policy of zone "Kube\\web" does not allow the request: common name web.example.com is not allowed in this policy: …`, false},
		"policy on keys": {func(l *lab, _ *issuer.Request) {
			l.server.Policy("KeyPair", map[string]any{"KeyAlgorithm": map[string]any{"Locked": true, "Value": "RSA"}, "KeySize": map[string]any{"Locked": true, "Value": 4096}})
		}, fault.Permanent, "RequestError", prefix + `the policy of zone "Kube\\web" does not allow the request: the requested Key Type and Size do not match any of the allowed Key Types and Sizes`, false},
		"policy that vcert does not know": {func(l *lab, _ *issuer.Request) {
			l.server.Policy("KeyPair", map[string]any{"KeyAlgorithm": map[string]any{"Locked": true, "Value": "ML-DSA"}})
		}, fault.Transient, "RequestError", prefix + `zone "Kube\\web": vcert has failed at an answer that it does not expect`, false},
		"page for the policy": {answers("/checkpolicy", 404, "<html>hunter2"), fault.Transient, "RequestError", prefix + "the server answers 404 Not Found, and not as Certificate Manager does: check the URL, and the proxies in between", false},
		"several CAs":         {answers("/certificates/request", 400, `{"Error":"Need a certificate authority (CADN)."}`), fault.Permanent, "RequestError", prefix + "the server answers 400 Bad Request: Need a certificate authority (CADN).", true},
		"error state":         {answers("/certificates/request", 500, `{"Error":"Certificate \\VED\\Policy\\Kube\\web\\x cannot be processed while it is in an error state. Fix any errors, and then click Retry."}`), fault.Permanent, "RequestError", prefix + `the server answers 500 Internal Server Error: Certificate \VED\Policy\Kube\web\x cannot be processed while it is in an error state. Fix any errors, and then click Retry.`, true},
		"long sentence":       {answers("/certificates/request", 400, `{"Error":"`+strings.Repeat("no\\n ", 5000)+`"}`), fault.Permanent, "RequestError", prefix + "the server answers 400 Bad Request: no no no…", true},
		"page of a proxy":     {answers("/certificates/request", 502, "<html>hunter2"), fault.Transient, "RequestError", prefix + "the server answers 502 Bad Gateway", true},
		"internal error":      {answers("/certificates/request", 500, "<html>hunter2"), fault.Transient, "RequestError", prefix + "the server answers 500 Internal Server Error, and not as Certificate Manager does: check the URL, and the proxies in between", true},
		"firewall":            {answers("/certificates/request", 403, "<html>hunter2"), fault.Transient, "RequestError", prefix + "the server answers 403 Forbidden, and not as Certificate Manager does: check the URL, and the proxies in between", true},
		"redirect":            {answers("/certificates/request", 302, ""), fault.Transient, "RequestError", prefix + "the server answers 302 Found, and not as Certificate Manager does: check the URL, and the proxies in between", true},
		"no name":             {answers("/certificates/request", 200, "{}"), fault.Transient, "RequestError", prefix + "the answer does not name the request", true},
		"no JSON":             {answers("/certificates/request", 200, "<html>hunter2"), fault.Transient, "RequestError", prefix + "the answer does not name the request", true},
		"reset refused":       {answers("/certificates/reset", 403, `{"Error":"Grant rejected scope certificate:manage"}`), fault.Permanent, "RequestError", prefix + "the server answers 403 Forbidden: Grant rejected scope certificate:manage", false},
		"token without scope": {answers("/certificates/checkpolicy", 403, `{"Error":"Token has insufficient scope"}`), fault.Permanent, "RequestError", prefix + `zone "Kube\\web": the server answers 403 Forbidden: Token has insufficient scope`, false},
		"server down":         {func(l *lab, _ *issuer.Request) { _, _ = l.check(); l.server.Stop() }, fault.Transient, "RequestError", prefix + "the server cannot be reached: connection refused", false},
		"answer too large":    {answers("/certificates/checkpolicy", 200, strings.Repeat(" ", maxAnswer+1)), fault.Transient, "RequestError", prefix + "the server cannot be reached: the answer is too large", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
			r := l.usual()
			test.prepare(l, &r)
			l.server.Calls()
			got, err := l.Sign(t.Context(), r)
			if err == nil {
				t.Fatalf("got %+v", got)
			}
			checkFault(t, name, err, test.class, test.reason, test.message)
			if asked := l.server.Count("/certificates/request") > 0; asked != test.asked {
				t.Errorf("asked %t", asked)
			}
		})
	}
}

// TestRetryAfter has a server that says when to come back. A time that is not in the
// future is none: who takes it asks without end.
func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		after  string
		want   time.Duration
	}{
		"busy":                {429, "120", 2 * time.Minute},
		"busy, does not say":  {429, "", time.Minute},
		"busy, now":           {429, "0", time.Minute},
		"down":                {503, "120", 2 * time.Minute},
		"down, does not say":  {503, "", 0},
		"down, now":           {503, "0", 0},
		"down, in the past":   {503, "Sun, 06 Nov 1994 08:49:37 GMT", 0},
		"a firewall":          {403, "120", 2 * time.Minute},
		"a page of a proxy":   {404, "120", 2 * time.Minute},
		"an answer too early": {200, "120", 2 * time.Minute},
	} {
		l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
		answer := server.Answer{Status: test.status, Header: http.Header{}}
		if test.after != "" {
			answer.Header.Set("Retry-After", test.after)
		}
		l.server.Script("/verify", answer, answer)
		_, checked := l.check()
		_, loggedIn := l.Sign(t.Context(), l.usual())
		// All log-ins are put off, if the server has said for how long.
		logIns := l.server.Count("/verify")
		if put := test.want > 0; put != (logIns == 1) {
			t.Errorf("%s: %d log-ins", name, logIns)
		}
		other := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
		other.clock.SetTime(l.clock.Now())
		other.server.Script("/checkpolicy", answer)
		_, signed := other.Sign(t.Context(), other.usual())
		for step, err := range map[string]error{"check": checked, "log-in": loggedIn, "request": signed} {
			f, want := fault.Of(err), fault.Error{Class: fault.Transient}
			if test.want > 0 {
				want = fault.Error{Class: fault.Later, At: l.clock.Now().Add(test.want)}
			}
			if f.Class != want.Class || !f.At.Equal(want.At) || !slices.Contains([]string{"ErrorSetup", "VenafiInitError", "RequestError"}, f.Reason) {
				t.Errorf("%s, %s: %s %s at %s: %s", name, step, f.Class, f.Reason, f.At, f.Message)
			}
		}
	}
}

// TestErrorHeals has a request end because the CA is down, and the next one reset what it
// has left: the order of the calls is that which the server needs.
func TestErrorHeals(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	l.server.Hold()
	first := l.requested(l.usual())
	l.server.Break("The CA does not answer")
	if _, err := l.Sign(t.Context(), first); fault.Of(err).Class != fault.Permanent {
		t.Fatalf("error %v", err)
	}
	l.server.Approve()
	l.server.Calls()
	second := l.requested(l.usual())
	l.delivered(second)
	want := []string{
		"POST /vedsdk/certificates/checkpolicy", "POST /vedsdk/certificates/reset", "POST /vedsdk/certificates/request", "POST /vedsdk/certificates/retrieve",
	}
	calls := l.server.Calls()
	if diff := cmp.Diff(want, server.Paths(calls)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if body := calls[1].Body; body != `{"CertificateDN":"\\VED\\Policy\\Kube\\web\\web.example.com"}` {
		t.Errorf("reset of %s", body)
	}
}

// TestPanics has vcert fail at an answer with an empty list, after it has got others.
func TestPanics(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	says("/certificaterequests", 201, `{"certificateRequests":[]}`)(l)
	_, err := l.Sign(t.Context(), l.usual())
	checkFault(t, "no request", err, fault.Transient, "RequestError", "Failed to request certificate from Certificate Manager: vcert has failed at an answer that it does not expect")
	for _, status := range []int{200, 400, 401} {
		x := &exchange{last: answer{status: status, said: "no"}}
		if f := x.failed("", guarded(func() error { panic("hunter2") }), ""); f.kind != unavailable || f.text != errPanic.Error() {
			t.Errorf("after %d: %+v", status, f)
		}
	}
}

// TestEnds has the context end in the middle of a call.
func TestEnds(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	l.server.Silence()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	r := l.usual()
	go func() {
		_, err := l.Sign(ctx, r)
		done <- err
	}()
	cancel()
	var err error
	select {
	case err = <-done:
	case <-time.After(callTimeout / 2):
		t.Fatal("the call goes on")
	}
	checkFault(t, "cancelled", err, fault.Transient, "RequestError", "Failed to request certificate from Certificate Manager: the server cannot be reached: the request was cancelled")
}
