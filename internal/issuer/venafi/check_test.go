package venafi

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	server "github.com/everleaf/everleaf/test/venafi"
)

// foreignBlock is PEM that is no certificate.
var foreignBlock = []byte("-----BEGIN PUBLIC KEY-----\naHVudGVyMg==\n-----END PUBLIC KEY-----\n")

// TestBundle has what is no certificate in a bundle skipped, and a URL without TLS taken
// for one with it.
func TestBundle(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	tpp := l.spec.Venafi.TPP
	tpp.CABundle = slices.Concat([]byte("comment\n"), foreignBlock, tpp.CABundle, foreignBlock)
	tpp.URL = strings.Replace(tpp.URL, "https://", "HTTP://", 1)
	if _, err := l.check(); err != nil {
		t.Error(err)
	}
}

// TestWithoutMetrics has nobody count the calls.
func TestWithoutMetrics(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	l.Type = New(l.store, Config{Clock: l.clock})
	if _, err := l.check(); err != nil {
		t.Error(err)
	}
}

// TestShortToken has a token that lives for seconds: it is not checked each second.
func TestShortToken(t *testing.T) {
	l := newLab(t, ofNGTS, map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret})
	// The lifetime counts from the time of the machine.
	l.clock.SetTime(time.Now())
	says("/access_token", 200, `{"access_token":"x","token_type":"Bearer","expires_in":5}`)(l)
	status, err := l.check()
	if err != nil || !status.Until.Equal(l.clock.Now().Add(time.Minute)) {
		t.Errorf("checked again at %s, error %v", status.Until, err)
	}
}

// TestCheckRefuses has everything that keeps an issuer from being ready, and what its
// condition says.
func TestCheckRefuses(t *testing.T) {
	const setup = "Failed to setup Certificate Manager issuer: error building client: "
	token := map[string]string{"access-token": server.Token}
	tpp := func(change func(*cmv1.VenafiTPP)) func(*server.Server) *cmv1.VenafiIssuer {
		return func(s *server.Server) *cmv1.VenafiIssuer {
			spec := ofTPP(s)
			change(spec.TPP)
			return spec
		}
	}
	zoned := func(of func(*server.Server) *cmv1.VenafiIssuer, zone string) func(*server.Server) *cmv1.VenafiIssuer {
		return func(s *server.Server) *cmv1.VenafiIssuer {
			spec := of(s)
			spec.Zone = zone
			return spec
		}
	}
	bundle := func(name, key string) func(*server.Server) *cmv1.VenafiIssuer {
		return tpp(func(spec *cmv1.VenafiTPP) {
			spec.CABundle = nil
			spec.CABundleSecretRef = &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
		})
	}
	for name, test := range map[string]struct {
		spec        func(*server.Server) *cmv1.VenafiIssuer
		credentials map[string]string
		prepare     func(*lab)
		class       fault.Class
		reason      string
		message     string
	}{
		"no backend":        {spec: func(*server.Server) *cmv1.VenafiIssuer { return &cmv1.VenafiIssuer{Zone: "x"} }, class: fault.User, reason: "ErrorSetup", message: setup + "neither Venafi Cloud, TPP, or NGTS configuration found"},
		"no zone":           {spec: zoned(ofTPP, ""), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.zone: Required value: must be specified"},
		"zone of no alias":  {spec: zoned(ofCloudIssuer, "0f3f9a5e-1111-2222-3333-7a3b1c5d9e00"), class: fault.User, reason: "ErrorSetup", message: setup + `spec.venafi.zone: Invalid value: "0f3f9a5e-1111-2222-3333-7a3b1c5d9e00": must be the name of an application and the alias of one of its issuing templates, as in Application\Alias`},
		"no URL":            {spec: tpp(func(s *cmv1.VenafiTPP) { s.URL = "" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.url: Required value: must be specified"},
		"URL with a path":   {spec: tpp(func(s *cmv1.VenafiTPP) { s.URL = "https://tpp.example.com/aperture" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.url: Invalid value: must have no path but that of the API, as in https://tpp.example.com/vedsdk"},
		"URL of a file":     {spec: tpp(func(s *cmv1.VenafiTPP) { s.URL = "file://tpp.example.com/vedsdk" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.url: Invalid value: must begin with https://"},
		"URL of nonsense":   {spec: tpp(func(s *cmv1.VenafiTPP) { s.URL = "https://a b" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.url: Invalid value: must be the URL of a server, such as https://tpp.example.com/vedsdk"},
		"URL with a secret": {spec: tpp(func(s *cmv1.VenafiTPP) { s.URL = "https://u:hunter2@tpp.example.com" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.url: Invalid value: must be the URL of a server, such as https://tpp.example.com/vedsdk"},
		"two bundles": {spec: tpp(func(s *cmv1.VenafiTPP) {
			s.CABundleSecretRef = &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "ca"}}
		}), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp: Forbidden: may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle"},
		"bundle of nonsense":   {spec: tpp(func(s *cmv1.VenafiTPP) { s.CABundle = []byte("x") }), credentials: token, class: fault.User, reason: "ErrorSetup", message: setup + "the CA bundle of spec.venafi.tpp has no certificate in PEM"},
		"bundle of keys":       {spec: tpp(func(s *cmv1.VenafiTPP) { s.CABundle = foreignBlock }), credentials: token, class: fault.User, reason: "ErrorSetup", message: setup + "the CA bundle of spec.venafi.tpp has no certificate in PEM"},
		"bundle too large":     {spec: tpp(func(s *cmv1.VenafiTPP) { s.CABundle = slices.Concat(make([]byte, 330000), []byte("\n"), s.CABundle) }), credentials: token, class: fault.User, reason: "ErrorSetup", message: setup + "the CA bundle of spec.venafi.tpp has 33…"},
		"token of two lines":   {spec: ofTPP, credentials: map[string]string{"access-token": "hunter2\nhunter2"}, class: fault.User, reason: "ErrorSetup", message: setup + `the value of key "access-token" in secret 'ns/credentials' contains a newline: store it without one (printf %s, not echo)`},
		"client of a NUL":      {spec: ofTPP, credentials: map[string]string{"username": "u", "password": "hunter2", "client-id": "a\x00b"}, class: fault.User, reason: "ErrorSetup", message: setup + `the value of key "client-id" in secret 'ns/credentials' is not printable ASCII text: a Secret's data takes base64, its stringData takes the text itself`},
		"key of two lines":     {spec: ofCloudIssuer, credentials: map[string]string{"api-key": "hunter2\nhunter2"}, class: fault.User, reason: "ErrorSetup", message: setup + `the value of key "api-key" in secret 'ns/credentials' contains a newline: store it without one (printf %s, not echo)`},
		"NGTS of two lines":    {spec: ofNGTS, credentials: map[string]string{"client-id": "a\nb", "client-secret": "hunter2"}, class: fault.User, reason: "ErrorSetup", message: setup + `the value of key "client-id" in secret 'ns/credentials' contains a newline: store it without one (printf %s, not echo)`},
		"no bundle Secret":     {spec: bundle("other", ""), credentials: token, class: fault.User, reason: "ErrorSetup", message: setup + "could not access secret 'ns/other': spec.venafi.tpp.caBundleSecretRef: it does not exist"},
		"no bundle entry":      {spec: bundle("ca", "root.pem"), credentials: token, class: fault.User, reason: "ErrorSetup", message: setup + `no data for "root.pem" in secret 'ns/ca': spec.venafi.tpp.caBundleSecretRef`},
		"no name of a Secret":  {spec: tpp(func(s *cmv1.VenafiTPP) { s.CredentialsRef.Name = "" }), class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.tpp.credentialsRef.name: Required value"},
		"no Secret":            {spec: tpp(func(s *cmv1.VenafiTPP) { s.CredentialsRef.Name = "other" }), class: fault.User, reason: "ErrorSetup", message: setup + "could not access secret 'ns/other': spec.venafi.tpp.credentialsRef: it does not exist"},
		"unreadable Secret":    {spec: ofTPP, prepare: func(l *lab) { l.store["credentials"] = errors.New("reset by 10.0.0.1") }, class: fault.Transient, reason: "ErrorSetup", message: setup + `secret "ns/credentials" of spec.venafi.tpp.credentialsRef cannot be read`},
		"no credentials":       {spec: ofTPP, credentials: map[string]string{"username": "u", "refresh-token": "hunter2"}, class: fault.User, reason: "AuthFailed", message: `OAuth token request failed: no TPP credentials configured: secret "ns/credentials" of spec.venafi.tpp.credentialsRef has neither access-token nor username and password`},
		"no key of the SaaS":   {spec: ofCloudIssuer, credentials: map[string]string{"apikey": "hunter2"}, class: fault.User, reason: "ErrorSetup", message: setup + `no data for "api-key" in secret 'ns/credentials': spec.venafi.cloud.apiTokenSecretRef`},
		"no NGTS credentials":  {spec: ofNGTS, credentials: map[string]string{"client-id": "x"}, class: fault.User, reason: "AuthFailed", message: `OAuth token request failed: credentials not configured: secret "ns/credentials" of spec.venafi.ngts.credentialsRef needs client-id and client-secret`},
		"no tsgID":             {spec: func(s *server.Server) *cmv1.VenafiIssuer { v := ofNGTS(s); v.NGTS.TSGID = ""; return v }, class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.ngts.tsgID: Required value: must be specified"},
		"token endpoint":       {spec: func(s *server.Server) *cmv1.VenafiIssuer { v := ofNGTS(s); v.NGTS.TokenEndpoint = "ftp://x"; return v }, class: fault.User, reason: "ErrorSetup", message: setup + "spec.venafi.ngts.tokenEndpoint: Invalid value: must begin with https://"},
		"token refused":        {spec: ofTPP, credentials: map[string]string{"access-token": "hunter2"}, class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: tppClient.VerifyAccessToken: the server answers 401 Unauthorized: invalid_token: The access token is expired, revoked or invalid"},
		"password refused":     {spec: ofTPP, credentials: map[string]string{"username": server.Username, "password": "hunter2"}, class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: tppClient.GetRefreshToken: the server answers 400 Bad Request: invalid_grant: Username/password combination not valid"},
		"key refused":          {spec: ofCloudIssuer, credentials: map[string]string{"api-key": "hunter2"}, class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: cloudClient.Authenticate: the server answers 401 Unauthorized: Unauthorized"},
		"no company":           {spec: ofCloudIssuer, credentials: map[string]string{"api-key": server.APIKey}, prepare: says("/useraccounts", 200, `{"user":{"username":"u"},"apiKey":{"apiKeyStatus":"ACTIVE"}}`), class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: cloudClient.Authenticate: the user of the API key belongs to no company: use the key of one that does"},
		"company is null":      {spec: ofCloudIssuer, credentials: map[string]string{"api-key": server.APIKey}, prepare: says("/useraccounts", 200, `{"user":{},"company":null}`), class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: cloudClient.Authenticate: the user of the API key belongs to no company: use the key of one that does"},
		"nothing of a user":    {spec: ofCloudIssuer, credentials: map[string]string{"api-key": server.APIKey}, prepare: says("/useraccounts", 200, `null`), class: fault.Transient, reason: "ErrorSetup", message: setup + "cloudClient.Authenticate: the answer is none of Certificate Manager: is this its URL?"},
		"a page for the user":  {spec: ofCloudIssuer, credentials: map[string]string{"api-key": server.APIKey}, prepare: says("/useraccounts", 200, `<html>hunter2`), class: fault.Transient, reason: "ErrorSetup", message: setup + "cloudClient.Authenticate: the answer is none of Certificate Manager: is this its URL?"},
		"client refused":       {spec: ofNGTS, credentials: map[string]string{"client-id": server.NGTSClient, "client-secret": "hunter2"}, class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: ngtsClient.Authenticate: the server answers 401 Unauthorized: invalid_client: Client authentication failed"},
		"tenant refused":       {spec: func(s *server.Server) *cmv1.VenafiIssuer { v := ofNGTS(s); v.NGTS.TSGID = "7"; return v }, credentials: map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret}, class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: ngtsClient.Authenticate: the server answers 400 Bad Request: invalid_request: Invalid scope"},
		"server down":          {spec: ofTPP, credentials: token, prepare: func(l *lab) { l.server.Stop() }, class: fault.Transient, reason: "ErrorSetup", message: setup + "tppClient.VerifyAccessToken: the server cannot be reached: connection refused"},
		"unknown authority":    {spec: tpp(func(s *cmv1.VenafiTPP) { s.CABundle = nil }), credentials: token, class: fault.Transient, reason: "ErrorSetup", message: setup + "tppClient.VerifyAccessToken: the server cannot be reached: its certificate is signed by an unknown authority"},
		"a page of a proxy":    {spec: ofTPP, credentials: token, prepare: says("/verify", 200, "<html>hunter2</html>"), class: fault.Transient, reason: "ErrorSetup", message: setup + "tppClient.VerifyAccessToken: the answer is none of Certificate Manager: is this its URL?"},
		"firewall":             {spec: ofTPP, credentials: token, prepare: says("/verify", 403, "<html>hunter2</html>"), class: fault.Transient, reason: "ErrorSetup", message: setup + "tppClient.VerifyAccessToken: the server answers 403 Forbidden, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"no such page":         {spec: ofCloudIssuer, credentials: map[string]string{"api-key": "x"}, prepare: says("/useraccounts", 404, "default backend - 404"), class: fault.Transient, reason: "ErrorSetup", message: setup + "cloudClient.Authenticate: the server answers 404 Not Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"login at a proxy":     {spec: ofNGTS, credentials: map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret}, prepare: says("/access_token", 407, "<html>"), class: fault.Transient, reason: "ErrorSetup", message: setup + "ngtsClient.Authenticate: the server answers 407 Proxy Authentication Required, and not as Certificate Manager does: check the URL, and the proxies in between"},
		"refused in words":     {spec: ofTPP, credentials: token, prepare: says("/verify", 403, `{"error":"insufficient_scope"}`), class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: tppClient.VerifyAccessToken: the server answers 403 Forbidden: insufficient_scope"},
		"error of the server":  {spec: ofTPP, credentials: token, prepare: says("/verify", 500, `{"Error":"boom"}`), class: fault.Transient, reason: "ErrorSetup", message: setup + "tppClient.VerifyAccessToken: the server answers 500 Internal Server Error: boom"},
		"a token in an answer": {spec: ofTPP, credentials: token, prepare: says("/verify", 401, `{"error":"invalid_token","error_description":"no `+server.Token+`"}`), class: fault.Transient, reason: "AuthFailed", message: "OAuth token request failed: tppClient.VerifyAccessToken: the server answers 401 Unauthorized: invalid_token: no <secret>"},
		"API down":             {spec: ofTPP, credentials: token, prepare: says("/vedsdk/", 503, "<html>"), class: fault.Transient, reason: "ErrorSetup", message: "Failed to setup Certificate Manager issuer: error pinging Certificate Manager: the server answers 503 Service Unavailable"},
		"API redirects":        {spec: ofTPP, credentials: token, prepare: says("/vedsdk/", 302, ""), class: fault.Transient, reason: "ErrorSetup", message: "Failed to setup Certificate Manager issuer: error pinging Certificate Manager: the server answers 302 Found, and not as Certificate Manager does: check the URL, and the proxies in between"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.spec, test.credentials)
			if test.prepare != nil {
				test.prepare(l)
			}
			status, err := l.check()
			if err == nil {
				t.Fatalf("ready: %+v", status)
			}
			checkFault(t, name, err, test.class, test.reason, test.message)
		})
	}
}

func says(end string, status int, body string) func(*lab) {
	return func(l *lab) { l.server.Script(end, server.Answer{Status: status, Body: body}) }
}

// TestCheckedAgain has a check at the end of a token, and one that keeps the login of
// before as long as the server takes it.
func TestCheckedAgain(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"username": server.Username, "password": server.Password})
	status, err := l.check()
	if err != nil {
		t.Fatal(err)
	}
	if in := status.Until.Sub(l.clock.Now()); in < 59*time.Minute || in > 62*time.Minute {
		t.Errorf("checked again in %s", in)
	}
	l.server.Calls()
	logins := func(step string, want int) {
		t.Helper()
		if _, err := l.check(); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		if got := l.server.Count("/oauth"); got != want {
			t.Errorf("%s: %d logins, want %d", step, got, want)
		}
		l.server.Calls()
	}
	logins("a token that counts", 0)
	l.server.Revoke()
	logins("a token that is revoked", 1)
	l.clock.SetTime(l.clock.Now().Add(2 * time.Hour))
	logins("a token that has expired", 1)
	l.Forget("uid")
	logins("an issuer that was forgotten", 1)
}
