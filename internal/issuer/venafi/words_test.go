package venafi

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
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
		s, f := newSession(settings{backend: b}, Config{})
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

// TestSentences: a field of another type than the API's does not lose the others.
func TestSentences(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"x","error_description":"y"}`:                                        "x: y",
		`{"Status":7,"Error":"a"}`:                                                     "a",
		`{"error":{"code":7},"status":"FAILED"}`:                                       "FAILED",
		`{"errors":"b","Error":"a"}`:                                                   "a",
		`{"errors":[7,{"message":["b"]},{"message":"c"}]}`:                             "c",
		`{"errorInformation":[],"errors":[{"message":"c"}]}`:                           "c",
		`{"status":"FAILED","errorInformation":{"message":"d","code":7}}`:              "FAILED: d",
		`{"errors":[{"message":"1"},{"message":"2"},{"message":"3"},{"message":"4"}]}`: "1: 2: 3",
		`["Error"]`:                  "",
		`{"message":"of a gateway"}`: "",
	} {
		if got := (&exchange{}).sentence([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// FuzzSentence holds that nothing of an answer that is no sentence of the API reaches a
// status, and that what does is fit for one.
func FuzzSentence(f *testing.F) {
	for _, seed := range []string{`{"Error":"a"}`, `{"error":"x","error_description":"y"}`, `{"errors":[{"message":"m"}]}`, `<html>`, `{"Error":7}`, `{"Status":"\u0000\n tok-secret"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &exchange{secrets: []string{"tok-secret"}}
		got := x.sentence(body)
		if len(got) > maxSaid || !utf8.ValidString(got) || strings.Contains(got, "tok-secret") || strings.ContainsAny(got, "\n\x00") {
			t.Errorf("%q", got)
		}
	})
}
