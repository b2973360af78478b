package venafi

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	server "github.com/everleaf/everleaf/test/venafi"
)

// TestRetrieval has everything that can come in the place of a certificate.
func TestRetrieval(t *testing.T) {
	const prefix = "Failed to obtain certificate from Certificate Manager: "
	const pending = "certificate still in a pending state, the request will be retried"
	answers := func(status int, body string) func(*lab) { return says("/certificates/retrieve", status, body) }
	data := func(text string) string {
		return `{"CertificateData":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}`
	}
	for name, test := range map[string]struct {
		prepare         func(*lab)
		pending         string
		class           fault.Class
		reason, message string
	}{
		"waits for a person":   {prepare: func(*lab) {}, pending: pending + ": Pending workflow approval"},
		"waits, with a 200":    {prepare: answers(200, `{"Status":"Post CSR","Stage":500}`), pending: pending + ": Post CSR"},
		"waits, without words": {prepare: answers(202, `{}`), pending: pending},
		"refused by a person":  {prepare: func(l *lab) { l.server.Reject() }, class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server answers 500 Internal Server Error: The request was rejected by an approver"},
		"the CA is down":       {prepare: func(l *lab) { l.server.Break("The CA does not answer") }, class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server answers 500 Internal Server Error: The CA does not answer"},
		"page of a proxy":      {prepare: answers(504, "<html>hunter2"), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 504 Gateway Timeout"},
		"404 of a proxy":       {prepare: answers(404, "<html>hunter2"), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 404 Not Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"redirect":             {prepare: answers(302, ""), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 302 Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"redirect in words":    {prepare: answers(302, `{"error":"log in"}`), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 302 Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"no such object":       {prepare: answers(400, `{"Error":"Certificate does not exist."}`), class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server answers 400 Bad Request: Certificate does not exist."},
		"200 of a proxy":       {prepare: answers(200, "<html>hunter2"), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate"},
		"expired token":        {prepare: func(l *lab) { l.server.Revoke() }, class: fault.Transient, reason: "VenafiInitError", message: "Failed to initialise Certificate Manager client for signing: OAuth token request failed: the server answers 401 Unauthorized: …"},
		"server down":          {prepare: func(l *lab) { l.server.Stop() }, class: fault.Transient, reason: "RetrieveError", message: prefix + "the server cannot be reached: connection refused"},
		"another key":          {prepare: func(l *lab) { l.server.Approve(); l.server.DeliverForeignKeys() }, class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server has delivered a certificate for another key than that of the request: another one of the same common name has been requested in this zone since: use another common name or another zone"},
		"no certificate":       {prepare: answers(200, data("hunter2")), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate"},
		"a broken one":         {prepare: answers(200, data("-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n")), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate"},
		"no base64":            {prepare: answers(200, `{"CertificateData":"hunter2!"}`), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
			l.server.Hold()
			r := l.requested(l.usual())
			r.Now = r.Created.Add(10 * time.Minute)
			test.prepare(l)
			got, err := l.Sign(t.Context(), r)
			if n := l.server.Count("/certificates/request"); n != 1 {
				t.Errorf("%d requests", n)
			}
			if test.pending == "" {
				checkFault(t, name, err, test.class, test.reason, test.message)
				return
			}
			if err != nil || got.Pending == nil {
				t.Fatalf("got %+v, error %v", got, err)
			}
			if got.Pending.Message != test.pending || !got.Pending.Until.Equal(r.Now.Add(150*time.Second)) {
				t.Errorf("pending %+v", got.Pending)
			}
		})
	}
}

// TestCloudRetrieval has requests to the SaaS that have no certificate.
func TestCloudRetrieval(t *testing.T) {
	const prefix = "Failed to obtain certificate from Certificate Manager: "
	for name, test := range map[string]struct {
		prepare         func(*lab)
		id              string
		pending         string
		class           fault.Class
		reason, message string
	}{
		"waits for a person": {prepare: func(*lab) {}, pending: "certificate still in a pending state, the request will be retried: PENDING_APPROVAL"},
		"not signed yet":     {prepare: func(l *lab) { l.server.Approve(); says("/contents", 409, "{}")(l) }, pending: "certificate still in a pending state, the request will be retried: 409 Conflict"},
		"refused":            {prepare: func(l *lab) { l.server.Reject() }, class: fault.Permanent, reason: "RetrieveError", message: prefix + "the request has ended without a certificate: REJECTED"},
		"contents refused":   {prepare: func(l *lab) { l.server.Approve(); says("/contents", 403, `{"errors":[{"code":1,"message":"no"}]}`)(l) }, class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server answers 403 Forbidden: no"},
		"no contents":        {prepare: func(l *lab) { l.server.Approve(); says("/contents", 503, "<html>")(l) }, class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 503 Service Unavailable"},
		"nobody's":           {prepare: func(*lab) {}, id: "5c2c6d7e-0003-4000-8000-000000000999", class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server answers 404 Not Found: Unable to find certificateRequest for key [Id]"},
		"a path":             {prepare: func(*lab) {}, id: "../../v1/users", class: fault.Permanent, reason: "RetrieveError", message: prefix + `annotation "venafi.cert-manager.io/pickup-id" does not name a request at the server`},
		"nobody's, a page":   {prepare: says("/certificaterequests/5c2c6d7e-0003-4000-8000-000000000001", 404, "<html>hunter2"), class: fault.Transient, reason: "RetrieveError", message: prefix + "the server answers 404 Not Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"issued, no ids":     {prepare: says("/certificaterequests/5c2c6d7e-0003-4000-8000-000000000001", 200, `{"status":"ISSUED"}`), pending: "certificate still in a pending state, the request will be retried: ISSUED"},
		"a page":             {prepare: func(l *lab) { l.server.Approve(); says("/contents", 200, "<html>hunter2")(l) }, class: fault.Transient, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate"},
		"failed":             {prepare: says("/certificaterequests/5c2c6d7e-0003-4000-8000-000000000001", 200, `{"status":"FAILED","errorInformation":{"message":"The CA said no"}}`), class: fault.Permanent, reason: "RetrieveError", message: prefix + "the server has not delivered a certificate: FAILED: The CA said no"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
			l.server.Hold()
			r := l.requested(l.usual())
			if test.id != "" {
				r.Annotations["venafi.cert-manager.io/pickup-id"] = test.id
			}
			test.prepare(l)
			got, err := l.Sign(t.Context(), r)
			if test.pending == "" {
				checkFault(t, name, err, test.class, test.reason, test.message)
				return
			}
			if err != nil || got.Pending == nil || got.Pending.Message != test.pending {
				t.Fatalf("got %+v, error %v", got.Pending, err)
			}
		})
	}
}

// TestSigningRequestRetrieval: a CertificateSigningRequest waits where a CertificateRequest
// fails, because nobody makes another one.
func TestSigningRequestRetrieval(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	r := l.usual()
	r.Kind = "CertificateSigningRequest"
	r = l.requested(r)
	l.server.Break("The CA does not answer")
	_, err := l.Sign(t.Context(), r)
	checkFault(t, "in error", err, fault.Transient, "RetrieveError", "Failed to obtain certificate from Certificate Manager: the server answers 500 Internal Server Error: The CA does not answer")
}
