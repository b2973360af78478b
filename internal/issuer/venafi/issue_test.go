package venafi

import (
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	server "github.com/everleaf/everleaf/test/venafi"
)

func ofCloudIssuer(s *server.Server) *cmv1.VenafiIssuer {
	return &cmv1.VenafiIssuer{Zone: `Shop App\Default Tmpl`, Cloud: &cmv1.VenafiCloud{URL: s.URL, APITokenSecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "credentials"}}}}
}

func ofNGTS(s *server.Server) *cmv1.VenafiIssuer {
	return &cmv1.VenafiIssuer{Zone: `Shop App\\Default Tmpl`, NGTS: &cmv1.VenafiNGTS{
		URL: s.URL + "/ngts", TokenEndpoint: s.URL + "/oauth2/access_token", CredentialsRef: cmmeta.LocalObjectReference{Name: "credentials"}, TSGID: server.TSGID,
	}}
}

// TestIssues has each kind of credentials issue a certificate, and holds the calls that
// this takes.
func TestIssues(t *testing.T) {
	const dn = `\VED\Policy\Kube\web\web.example.com`
	bundleInSecret := func(s *server.Server) *cmv1.VenafiIssuer {
		spec := ofTPP(s)
		spec.Zone, spec.TPP.URL = `\VED\Policy\Kube\web`, strings.TrimPrefix(s.URL, "https://")
		spec.TPP.CABundle, spec.TPP.CABundleSecretRef = nil, &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "ca"}}
		return spec
	}
	tppRequest := []string{
		"POST /vedsdk/certificates/checkpolicy", "POST /vedsdk/certificates/reset", "POST /vedsdk/certificates/request", "POST /vedsdk/certificates/retrieve",
	}
	saas := func(prefix string) []string {
		const api = "/outagedetection/v1"
		id := api + "/certificate%s/5c2c6d7e-0003-4000-8000-00000000000N"
		return []string{
			"GET " + prefix + api + "/applications/Shop%20App/certificateissuingtemplates/Default%20Tmpl", "GET " + prefix + api + "/applications/name/Shop%20App",
			"POST " + prefix + api + "/certificaterequests", "GET " + prefix + strings.Replace(id, "%s", "requests", 1),
			"GET " + prefix + strings.Replace(id, "%s", "s", 1) + "/contents?chainOrder=EE_FIRST&format=PEM",
		}
	}
	for name, test := range map[string]struct {
		spec        func(*server.Server) *cmv1.VenafiIssuer
		credentials map[string]string
		// checks and asks are the calls of a check and of a certificate.
		checks, asks []string
		auth, pickup string
	}{
		"TPP, token": {
			ofTPP,
			map[string]string{"access-token": server.Token + "\n", "username": "ignored", "refresh-token": "ignored"},
			[]string{"GET /vedauth/authorize/verify", "GET /vedsdk/"},
			tppRequest, "Bearer " + server.Token, dn,
		},
		"TPP, password": {
			bundleInSecret,
			map[string]string{"username": server.Username, "password": server.Password},
			[]string{"POST /vedauth/authorize/oauth", "GET /vedsdk/"},
			tppRequest, "Bearer granted-1", dn,
		},
		"TPP, password and client id": {
			bundleInSecret,
			map[string]string{"username": server.Username, "password": server.Password, "client-id": server.ClientID},
			[]string{"POST /vedauth/authorize/oauth", "GET /vedsdk/"},
			tppRequest, "Bearer granted-1", dn,
		},
		"SaaS": {
			ofCloudIssuer,
			map[string]string{"api-key": server.APIKey},
			[]string{"GET /v1/useraccounts"},
			saas(""), "tppl-api-key " + server.APIKey, "5c2c6d7e-0003-4000-8000-000000000001",
		},
		"NGTS": {
			ofNGTS,
			map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret},
			[]string{"POST /oauth2/access_token"},
			saas("/ngts"), "Bearer ngts-1", "5c2c6d7e-0003-4000-8000-000000000002",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.spec, test.credentials)
			status, err := l.check()
			if err != nil {
				t.Fatal(err)
			}
			want := issuer.Status{Reason: "Certificate Manager issuer started", Message: "Certificate Manager issuer started", Event: "Verified issuer with Certificate Manager server"}
			status.Until = time.Time{}
			if diff := cmp.Diff(want, status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			checks := l.server.Calls()
			if diff := cmp.Diff(test.checks, server.Paths(checks)); diff != "" {
				t.Errorf("calls of the check (-want +got):\n%s", diff)
			}
			r := l.requested(l.usual())
			if got := r.Annotations["venafi.cert-manager.io/pickup-id"]; got != test.pickup || len(r.Annotations) != 1 {
				t.Errorf("annotations %v", r.Annotations)
			}
			got := l.delivered(r)
			calls := l.server.Calls()
			for i, path := range test.asks {
				test.asks[i] = strings.Replace(path, "00000000000N", test.pickup[max(0, len(test.pickup)-12):], 1)
			}
			if diff := cmp.Diff(test.asks, server.Paths(calls)); diff != "" {
				t.Errorf("calls of the certificate (-want +got):\n%s", diff)
			}
			for _, c := range calls {
				if c.Auth != test.auth {
					t.Errorf("%s %s with %q", c.Method, c.Path, c.Auth)
				}
			}
			chain, err := pki.ParseChain(got.Chain, pki.Limits{})
			if err != nil || len(chain) != 2 || chain[0].Subject.CommonName != "web.example.com" || chain[1].Subject.CommonName != "Test Issuing CA" || string(got.CA) != string(l.server.CA) {
				t.Errorf("%d certificates, ca %d bytes, error %v", len(chain), len(got.CA), err)
			}
			for _, c := range append(calls, checks...) {
				if c.UserAgent != "everleaf" {
					t.Errorf("%s %s by %q", c.Method, c.Path, c.UserAgent)
				}
			}
			if diff := cmp.Diff([]string{"ping", "read_zone_configuration", "request_certificate", "retrieve_certificate"}, l.timed); diff != "" {
				t.Errorf("timed (-want +got):\n%s", diff)
			}
			if l.counted != [2]int{1, 0} {
				t.Errorf("counted %v", l.counted)
			}
		})
	}
}

// TestRequestBody holds what a self-hosted server is asked for.
func TestRequestBody(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	l.annotations = map[string]string{"venafi.cert-manager.io/custom-fields": `[{"name": "ca-dn", "value": "issuer's"}, {"name": "cost", "value": "7", "type": "Plain"}]`}
	r := l.usual()
	r.Duration = 48 * time.Hour
	r.Annotations["venafi.cert-manager.io/custom-fields"] = `[{"name": "ca-dn", "value": "own"}, {"name": "ca-dn", "value": "own too"}]`
	l.requested(r)
	calls := l.server.Calls()
	var sent map[string]any
	for _, c := range calls {
		if strings.HasSuffix(c.Path, "/request") {
			if err := json.Unmarshal([]byte(c.Body), &sent); err != nil {
				t.Fatal(err)
			}
		}
	}
	csr, _ := sent["PKCS10"].(string)
	if csr != string(r.CSR) {
		t.Errorf("another signing request:\n%s", csr)
	}
	ends := map[string]bool{}
	for _, v := range sent["CASpecificAttributes"].([]any) {
		if attribute := v.(map[string]any); attribute["Name"] != "Origin" {
			end, err := time.Parse(time.RFC3339, attribute["Value"].(string))
			ends[attribute["Name"].(string)] = err == nil && time.Until(end) > 47*time.Hour && time.Until(end) < 49*time.Hour
		}
	}
	want := map[string]bool{"Microsoft CA:Specific End Date": true, "DigiCert CA:Specific End Date": true, "EntrustNET CA:Specific End Date": true, "Specific End Date": true}
	if diff := cmp.Diff(want, ends); diff != "" {
		t.Errorf("end dates (-want +got):\n%s", diff)
	}
	fields := map[string][]any{}
	for _, v := range sent["CustomFields"].([]any) {
		f := v.(map[string]any)
		fields[f["Name"].(string)] = f["Values"].([]any)
	}
	if diff := cmp.Diff(map[string][]any{"ca-dn": {"own", "own too"}, "cost": {"7"}}, fields); diff != "" {
		t.Errorf("custom fields (-want +got):\n%s", diff)
	}
	for _, key := range []string{"PKCS10", "CASpecificAttributes", "CustomFields"} {
		delete(sent, key)
	}
	wantSent := map[string]any{
		"PolicyDN": `\VED\Policy\Kube\web`, "ObjectName": "web.example.com", "Origin": "cert-manager", "CertificateType": "AUTO",
		"DisableAutomaticRenewal": true, "Reenable": true, "KeyAlgorithm": "ECC", "EllipticCurve": "P256",
		"SubjectAltNames": []any{map[string]any{"Type": 2.0, "Name": "web.example.com"}},
	}
	if diff := cmp.Diff(wantSent, sent); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
}

// TestCloudBody holds what the SaaS is asked for.
func TestCloudBody(t *testing.T) {
	l := newLab(t, ofCloudIssuer, map[string]string{"api-key": server.APIKey})
	r := l.usual()
	r.Duration = 26 * time.Hour
	l.requested(r)
	for _, c := range l.server.Calls() {
		if c.Method != "POST" {
			continue
		}
		sent := map[string]any{}
		if err := json.Unmarshal([]byte(c.Body), &sent); err != nil {
			t.Fatal(err)
		}
		if sent["certificateSigningRequest"] != string(r.CSR) || sent["validityPeriod"] != "P1DT2H0M0S" || sent["apiClientInformation"].(map[string]any)["type"] != "cert-manager" {
			t.Errorf("sent %v", sent)
		}
	}
}

// TestSigningRequestKind has a CertificateSigningRequest use annotations of its own only.
func TestSigningRequestKind(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	l.annotations = map[string]string{"venafi.cert-manager.io/custom-fields": "not JSON"}
	r := l.usual()
	r.Kind = "CertificateSigningRequest"
	r.Annotations["venafi.experimental.cert-manager.io/custom-fields"] = `[{"name": "x", "value": "y"}]`
	asked := l.requested(r)
	if _, ok := asked.Annotations["venafi.experimental.cert-manager.io/pickup-id"]; !ok {
		t.Errorf("annotations %v", asked.Annotations)
	}
	if got := l.delivered(asked); len(got.Chain) == 0 {
		t.Error("no certificate")
	}
	l.server.Hold()
	asked = l.requested(r)
	if got, err := l.Sign(t.Context(), asked); err != nil || got.Pending == nil || got.Pending.Message != "certificate still in a pending state, waiting: Pending workflow approval" {
		t.Errorf("got %+v, error %v", got.Pending, err)
	}
}

// TestEveryKey has keys of each type that the server signs for.
func TestEveryKey(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": server.Token})
	for _, spec := range []pki.KeySpec{{Algorithm: pki.RSA, Size: 2048}, {Algorithm: pki.ECDSA, Size: 384}, {Algorithm: pki.ECDSA, Size: 521}} {
		r := l.requested(l.ask(pki.Template{CommonName: "web.example.com"}, spec))
		chain, err := pki.ParseChain(l.delivered(r).Chain, pki.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := pki.SpecOf(chain[0].PublicKey); got != spec {
			t.Errorf("key %+v, want %+v", got, spec)
		}
		if chain[0].PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
			t.Error("no key")
		}
	}
}
