package acmedns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func spec(host, name, key string) *dns01.Spec {
	return &dns01.Spec{AcmeDNS: &acmev1.ACMEIssuerDNS01ProviderAcmeDNS{
		Host: host, AccountSecret: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key},
	}}
}

func TestFactory(t *testing.T) {
	s := newStub(t)
	s.register("corp.example", "auth.example.org")
	deps := dns01.Deps{Namespace: "default", Clock: clock.RealClock{}, HTTP: s.Transport, Secrets: dns01test.Secrets{"default/acmedns": {
		"accounts": s.secret(), "null": "null", "list": "[]", "strings": `{"corp.example": "secret-word"}`,
		"comma": "{\n  \"corp.example\": {\n    \"username\": \"secret-word\",\n  }\n}", "cut": `{"corp.example": {"password": "secret-word`,
		"one": `{"username": "secret-word", "password": "secret-word", "fulldomain": "a.b", "subdomain": "a", "allowfrom": []}`,
	}}}
	const host = "https://auth.example.org"
	for name, test := range map[string]struct {
		spec *dns01.Spec
		want string
	}{
		"right":     {spec(host+"/", "acmedns", "accounts"), ""},
		"null":      {spec(host, "acmedns", "null"), ""},
		"no scheme": {spec("auth.example.org", "acmedns", "accounts"), instantiating + `the host "auth.example.org" is not a URL such as https://auth.example.org`},
		"no host":   {spec("https:///", "acmedns", "accounts"), instantiating + `the host "https:///" is not a URL such as https://auth.example.org`},
		"user":      {spec("https://secret-word@auth.example.org", "acmedns", "accounts"), instantiating + `the host is a URL with a user: the credentials are those of the accounts`},
		"comma":     {spec(host, "acmedns", "comma"), instantiating + `the value in secret "default/acmedns" is not JSON: line 4, column 3`},
		"cut":       {spec(host, "acmedns", "cut"), instantiating + `the value in secret "default/acmedns" is not JSON: line 1, column 42`},
		"list":      {spec(host, "acmedns", "list"), instantiating + `the value in secret "default/acmedns" is JSON, but not an object with an account for each DNS name`},
		"strings":   {spec(host, "acmedns", "strings"), instantiating + `the value in secret "default/acmedns" is JSON, but not an object with an account for each DNS name`},
		"one":       {spec(host, "acmedns", "one"), instantiating + `the value in secret "default/acmedns" is one account: it must be a JSON object with an account for each DNS name, such as {"example.com": {"fulldomain": …}}`},
		"no key":    {spec(host, "acmedns", "other"), `error getting acmedns accounts secret: the secret default/acmedns does not have key "other"; it has accounts, comma, cut, list, null, one, strings`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Factory().New(t.Context(), deps, test.spec)
			if test.want == "" {
				if err != nil || p == nil {
					t.Errorf("%v, %v", p, err)
				}
				return
			}
			if diff := cmp.Diff(test.want, message(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for s, want := range map[*dns01.Spec][]string{
		spec("https://auth.example.org", "acmedns", "accounts"): nil,
		spec("", "", ""): {
			"dns01.acmeDNS.accountSecretRef.name: Required value: secret name is required",
			"dns01.acmeDNS.accountSecretRef.key: Required value: secret key is required",
			"dns01.acmeDNS.host: Required value: host is required",
		},
	} {
		var got []string
		for _, err := range Factory().Check(field.NewPath("dns01"), s) {
			got = append(got, err.Error())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
