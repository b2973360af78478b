package venafi

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"k8s.io/utils/clock"
)

func TestZones(t *testing.T) {
	for _, test := range []struct {
		backend    backend
		zone, want string
	}{
		{backendTPP, `Kube\web`, `Kube\web`},
		{backendTPP, `Kube\\web`, `Kube\web`},
		{backendTPP, `\VED\Policy\Kube\web`, `\VED\Policy\Kube\web`},
		{backendTPP, `\\VED\\Policy\\Kube\\web\\`, `\VED\Policy\Kube\web`},
		{backendTPP, `Kube/web`, `Kube/web`},
		{backendCloud, `Shop App\Default Tmpl`, `Shop App\Default Tmpl`},
		{backendNGTS, `Shop App\\Default Tmpl`, `Shop App\Default Tmpl`},
		{backendCloud, `Shop App`, ""},
		{backendCloud, `Shop App\`, ""},
		{backendCloud, `\Default`, ""},
		{backendCloud, `a\b\c`, ""},
	} {
		got, f := zoneOf(test.backend, test.zone)
		if got != test.want || (f == nil) != (test.want != "") {
			t.Errorf("%s, %s: %s, failure %v", test.backend, test.zone, got, f)
		}
	}
}

func TestServers(t *testing.T) {
	typ := &Type{}
	for _, test := range []struct {
		text      string
		path      bool
		url, name string
	}{
		{"https://TPP.example.com/vedsdk", false, "https://tpp.example.com/", "tpp.example.com"},
		{"https://tpp.example.com/VEDSDK/", false, "https://tpp.example.com/", "tpp.example.com"},
		{"tpp.example.com", false, "https://tpp.example.com/", "tpp.example.com"},
		{"https://10.0.0.7:443", false, "https://10.0.0.7:443/", "10.0.0.7"},
		{"https://a.example.com/ngts/", true, "https://a.example.com/ngts", "a.example.com"},
		{"https://a.example.com/ngts?x", true, "", "a.example.com"},
		{"https://a.example.com/ngts", false, "", "a.example.com"},
		{"http://TPP.example.com/vedsdk", false, "https://tpp.example.com/", "tpp.example.com"},
		{"HTTP://a.example.com:8080/ngts/", true, "https://a.example.com:8080/ngts", "a.example.com:8080"},
		{"a.example.com/ngts", true, "https://a.example.com/ngts", "a.example.com"},
		{"ftp://a.example.com", false, "", "a.example.com"},
	} {
		got, f := serverURL("x", test.text, test.path)
		if f != nil {
			got = ""
		}
		if got != test.url {
			t.Errorf("%s: %q, failure %v", test.text, got, f)
		}
		spec := &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Venafi: &cmv1.VenafiIssuer{TPP: &cmv1.VenafiTPP{URL: test.text}}}}
		if got := typ.Server(spec); got != "the Certificate Manager server "+test.name {
			t.Errorf("%s is %s", test.text, got)
		}
	}
	for _, test := range []struct {
		spec cmv1.VenafiIssuer
		want string
	}{
		{cmv1.VenafiIssuer{Cloud: &cmv1.VenafiCloud{}}, "the Certificate Manager server api.venafi.cloud"},
		{cmv1.VenafiIssuer{NGTS: &cmv1.VenafiNGTS{}}, "the Certificate Manager server api.strata.paloaltonetworks.com"},
		{cmv1.VenafiIssuer{NGTS: &cmv1.VenafiNGTS{TokenEndpoint: "https://Auth.apps.paloaltonetworks.com:443/oauth2/access_token"}}, "the Certificate Manager server api.strata.paloaltonetworks.com"},
		{cmv1.VenafiIssuer{NGTS: &cmv1.VenafiNGTS{TokenEndpoint: "https://auth.apps.paloaltonetworks.com/mine"}}, "the Certificate Manager server api.strata.paloaltonetworks.com with the token endpoint auth.apps.paloaltonetworks.com/mine"},
		{cmv1.VenafiIssuer{NGTS: &cmv1.VenafiNGTS{TokenEndpoint: "https://a.example.com/one"}}, "the Certificate Manager server api.strata.paloaltonetworks.com with the token endpoint a.example.com/one"},
		{cmv1.VenafiIssuer{NGTS: &cmv1.VenafiNGTS{TokenEndpoint: "a.example.com/two?key=x"}}, "the Certificate Manager server api.strata.paloaltonetworks.com with the token endpoint a.example.com/two"},
	} {
		if got := typ.Server(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Venafi: &test.spec}}); got != test.want {
			t.Errorf("got %s", got)
		}
	}
}

// TestTransports holds what a server of one's own needs, and nobody else: IIS asks for a
// client certificate in the middle of a connection. Go has no server that does.
func TestTransports(t *testing.T) {
	for b, want := range map[backend]tls.RenegotiationSupport{backendTPP: tls.RenegotiateOnceAsClient, backendCloud: tls.RenegotiateNever, backendNGTS: tls.RenegotiateNever} {
		s, f := newSession(settings{backend: b}, Config{Clock: clock.RealClock{}})
		if f != nil {
			t.Fatal(f)
		}
		transport := s.transport.(*http.Transport)
		if c := transport.TLSClientConfig; c.Renegotiation != want || c.MinVersion != tls.VersionTLS12 || c.RootCAs != nil || transport.Proxy == nil {
			t.Errorf("%s: %+v", b, c)
		}
	}
}

func TestPeriods(t *testing.T) {
	for d, want := range map[time.Duration]string{
		2160 * time.Hour: "P90D", 26 * time.Hour: "P1DT2H0M0S", time.Hour: "PT1H0M0S", 90*time.Minute + 1500*time.Millisecond: "PT1H30M1S", 0: "PT0H0M0S",
	} {
		if got := period(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestFriendlyNames(t *testing.T) {
	uri, err := url.Parse("spiffe://x/y")
	if err != nil {
		t.Fatal(err)
	}
	csr := x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "cn"}, DNSNames: []string{"a", "b"}, URIs: []*url.URL{uri}, EmailAddresses: []string{"m@x"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
	}
	for _, want := range []string{"cn", "a", "spiffe://x/y", "m@x", "10.0.0.1", ""} {
		if got := friendlyName(&csr); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		switch {
		case csr.Subject.CommonName != "":
			csr.Subject.CommonName = ""
		case csr.DNSNames != nil:
			csr.DNSNames = nil
		case csr.URIs != nil:
			csr.URIs = nil
		case csr.EmailAddresses != nil:
			csr.EmailAddresses = nil
		default:
			csr.IPAddresses = nil
		}
	}
}

func TestNextLook(t *testing.T) {
	created := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]time.Duration{
		-time.Hour: 5 * time.Second, 0: 5 * time.Second, 10 * time.Second: 5 * time.Second, time.Minute: 15 * time.Second,
		8 * time.Minute: 2 * time.Minute, time.Hour: 5 * time.Minute, 100 * time.Hour: 5 * time.Minute,
	} {
		now := created.Add(age)
		if got := nextLook(created, now).Sub(now); got != want {
			t.Errorf("after %s: %s, want %s", age, got, want)
		}
	}
}

// TestSentences: what is not the API's form is left out, and does not lose the rest.
func TestSentences(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"invalid_grant","error_description":"y"}`:                  "invalid_grant: y",
		`{"error":"insufficient_rights","error_description":"y"}`:            "insufficient_rights: y",
		`{"error":"invalid_token"}`:                                          "invalid_token",
		`{"error":"insufficient_rights"}`:                                    "",
		`{"error":"x","error_description":"y"}`:                              "",
		`{"Status":7,"Error":"a"}`:                                           "a",
		`{"Stage":500,"Status":"s","Error":"a","ErrorDetails":"d"}`:          "a: d: s",
		`{"Stage":"500","Status":"s"}`:                                       "",
		`{"Status":"s"}`:                                                     "",
		`{"error":"a"}`:                                                      "",
		`{"ERROR":"a"}`:                                                      "",
		`{"error":{"code":7},"status":"FAILED"}`:                             "FAILED",
		`{"status":"Failed"}`:                                                "",
		`{"errors":"b","Error":"a"}`:                                         "a",
		`{"errors":[7,{"code":1,"message":["b"]},{"code":2,"message":"c"}]}`: "c",
		`{"errors":[{"message":"c"},{"code":"1","message":"d"}]}`:            "",
		`{"errorInformation":[],"errors":[{"code":1,"message":"c"}]}`:        "c",
		`{"status":"FAILED","errorInformation":{"message":"d","code":7}}`:    "FAILED: d",
		`{"errors":[{"code":1,"message":"1"},{"code":1,"message":"2"},{"code":1,"message":"3"},{"code":1,"message":"4"}]}`: "1: 2: 3",
		`["Error"]`:                  "",
		`null`:                       "",
		`{"message":"of a gateway"}`: "",
	} {
		if got := (&exchange{}).sentence(http.StatusOK, []byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := (&exchange{}).sentence(http.StatusNotFound, []byte(`{"status":"FAILED"}`)); got != "" {
		t.Errorf("a status that is no success: %q", got)
	}
}

// TestGateways has the usual answers of gateways in between leave a request pending, and
// those of the API fail it.
func TestGateways(t *testing.T) {
	const page = "<html><head><title>hunter2</title></head><body><center>nginx</center></body></html>"
	for name, test := range map[string]struct {
		status int
		body   string
		want   kind
	}{
		"nginx, 403":                      {403, page, unavailable},
		"nginx, 404":                      {404, page, unavailable},
		"nginx, 413":                      {413, page, unavailable},
		"nginx, 500":                      {500, page, unavailable},
		"nginx, 502":                      {502, page, unavailable},
		"default backend":                 {404, "default backend - 404", unavailable},
		"Traefik":                         {404, "404 page not found\n", unavailable},
		"Envoy, RBAC":                     {403, "RBAC: access denied", unavailable},
		"Envoy, no backend":               {503, "no healthy upstream", unavailable},
		"Envoy, JSON":                     {404, `{"code":404,"message":"hunter2","status":"NOT_FOUND"}`, unavailable},
		"AWS ALB":                         {403, page, unavailable},
		"AWS API Gateway, no route":       {404, `{"message":"Not Found"}`, unavailable},
		"AWS API Gateway, no token":       {403, `{"message":"Missing Authentication Token"}`, unavailable},
		"AWS API Gateway, denied":         {403, `{"Message":"User is not authorized to access this resource"}`, unavailable},
		"AWS API Gateway, failed":         {500, `{"message":"Internal server error"}`, unavailable},
		"AWS API Gateway, throttled":      {429, `{"message":"Too Many Requests"}`, unavailable},
		"Azure Application Gateway":       {403, page, unavailable},
		"Azure API Management":            {404, `{"statusCode":404,"message":"Resource not found"}`, unavailable},
		"Kong":                            {404, `{"message":"no Route matched with those values","request_id":"1"}`, unavailable},
		"Kong, plug-in":                   {403, `{"message":"Your IP address is not allowed"}`, unavailable},
		"Apigee":                          {404, `{"fault":{"faultstring":"Unable to identify proxy","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}`, unavailable},
		"Google":                          {403, `{"error":{"code":403,"message":"hunter2","status":"PERMISSION_DENIED"}}`, unavailable},
		"Spring":                          {404, `{"timestamp":"2026-11-22T06:00:00Z","status":404,"error":"Not Found","path":"/vedsdk"}`, unavailable},
		"Tyk":                             {403, `{"error":"Access to this API has been disallowed"}`, unavailable},
		"KrakenD":                         {404, `{"error":"not_found"}`, unavailable},
		"APISIX":                          {404, `{"error_msg":"404 Route Not Found"}`, unavailable},
		"WSO2":                            {404, `{"code":"404","type":"Status report","message":"Not Found","description":"hunter2"}`, unavailable},
		"Strata":                          {403, `{"_errors":[{"code":"E016","message":"hunter2","details":["x"]}],"_request_id":"1"}`, unavailable},
		"JSON:API":                        {404, `{"errors":[{"status":"404","code":"route","title":"hunter2","detail":"x"}]}`, unavailable},
		"GraphQL":                         {400, `{"errors":[{"message":"hunter2"}]}`, unavailable},
		"RFC 9457":                        {404, `{"type":"about:blank","title":"Not Found","status":404,"detail":"hunter2"}`, unavailable},
		"ASP.NET":                         {404, `{"Message":"No HTTP resource was found that matches the request URI"}`, unavailable},
		"status of a gateway":             {403, `{"status":"error","reason":"hunter2"}`, unavailable},
		"status in a success":             {200, `{"status":"ok"}`, unavailable},
		"nothing":                         {400, "", unavailable},
		"TPP, 400":                        {400, `{"Error":"PolicyDN: x does not exist"}`, declined},
		"TPP, 403":                        {403, `{"Error":"Insufficient rights"}`, declined},
		"TPP, 500":                        {500, `{"Error":"Certificate x cannot be processed"}`, declined},
		"TPP, stage":                      {500, `{"Stage":500,"Status":"The CA does not answer"}`, declined},
		"TPP, token without scope":        {403, `{"error":"insufficient_scope","error_description":"Grant rejected scope 'certificate:manage'."}`, declined},
		"OAuth, denied":                   {403, `{"error":"access_denied"}`, declined},
		"OAuth, down":                     {500, `{"error":"server_error"}`, unavailable},
		"TPP, expired token":              {401, `{"error":"invalid_token","error_description":"x"}`, refused},
		"TPP behind a gateway that waits": {504, `{"Error":"x"}`, unavailable},
		"SaaS, 400":                       {400, `{"errors":[{"code":10702,"message":"The certificate request is invalid","args":[]}]}`, declined},
		"SaaS, 404":                       {404, `{"errors":[{"code":10051,"message":"Unable to find","args":["x"]}]}`, declined},
		"SaaS, 412":                       {412, `{"errors":[{"code":10006,"message":"Malformed"}]}`, declined},
	} {
		x := &exchange{}
		x.last = answer{status: test.status, said: x.sentence(test.status, []byte(test.body))}
		f := x.failed("", errors.New("hunter2"), "the answer is not the one")
		if f.kind != test.want || strings.Contains(f.text, "hunter2") {
			t.Errorf("%s: kind %d, want %d: %s", name, f.kind, test.want, f.text)
		}
	}
}

// FuzzSentence holds that nothing of an answer that is no sentence of the API reaches a
// status, and that what does is fit for one.
func FuzzSentence(f *testing.F) {
	for _, seed := range []string{`{"Error":"a"}`, `{"error":"invalid_scope","error_description":"y"}`, `{"errors":[{"code":1,"message":"m"}]}`, `<html>`, `{"Error":7}`, `{"Stage":1,"Status":"\u0000\n tok-secret"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &exchange{secrets: []string{"tok-secret"}}
		got := x.sentence(http.StatusOK, body)
		if len(got) > maxSaid || !utf8.ValidString(got) || strings.Contains(got, "tok-secret") || strings.ContainsAny(got, "\n\x00") {
			t.Errorf("%q", got)
		}
	})
}

func TestNextTurn(t *testing.T) {
	now := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Minute: 15 * time.Second, time.Hour: 30 * time.Second} {
		if got := nextTurn(now.Add(-age), now).Sub(now); got != want {
			t.Errorf("after %s: %s", age, got)
		}
	}
}
