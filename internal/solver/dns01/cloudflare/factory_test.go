package cloudflare

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

type spec = acmev1.ACMEIssuerDNS01ProviderCloudflare

func ref(name, key string) *cmmeta.SecretKeySelector {
	return &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

func TestFactory(t *testing.T) {
	s := newStub(t)
	deps := dns01.Deps{Namespace: "default", Clock: clock.RealClock{}, HTTP: s.Transport, Secrets: dns01test.Secrets{"default/cf": {
		"token": goodToken, "key": goodKey, "newline": goodToken + "\n", "carriage": "\r" + goodKey, "bytes": "\xe7\x9f" + goodKey,
	}}}
	const newline = `contains a newline: store it without one (printf %s, not echo)`
	for name, test := range map[string]struct {
		spec spec
		want string
	}{
		"token": {spec{APIToken: ref("cf", "token")}, ""},
		"key":   {spec{APIKey: ref("cf", "key"), Email: email}, ""},
		"both":  {spec{APIKey: ref("cf", "key"), APIToken: ref("cf", "token"), Email: email}, "API key and API token secret references are both present"},
		"none":  {spec{}, "no Cloudflare credential has been given: set apiTokenSecretRef, or apiKeySecretRef and email"},
		"no email": {
			spec{APIKey: ref("cf", "key")}, "no Cloudflare email has been given: an API key needs that of its user",
		},
		"bad email": {
			spec{APIKey: ref("cf", "key"), Email: email + "\n"}, "the Cloudflare email is invalid (does the email contain a newline?)",
		},
		"newline": {
			spec{APIToken: ref("cf", "newline")}, `the Cloudflare API token is invalid (does the API token contain a newline?): the value in secret "default/cf" ` + newline,
		},
		"carriage return": {
			spec{APIKey: ref("cf", "carriage"), Email: email}, `the Cloudflare API key is invalid (does the API key contain a newline?): the value in secret "default/cf" ` + newline,
		},
		"bytes": {
			spec{APIKey: ref("cf", "bytes"), Email: email},
			`the Cloudflare API key is invalid (does the API key contain a newline?): the value in secret "default/cf" is not printable ASCII text: a Secret's data takes base64, its stringData takes the text itself`,
		},
		"no secret":    {spec{APIToken: ref("other", "token")}, "error getting cloudflare secret: the secret default/other does not exist"},
		"no such key":  {spec{APIToken: ref("cf", "other")}, `error getting cloudflare secret: the secret default/cf does not have key "other"; it has bytes, carriage, key, newline, token`},
		"empty secret": {spec{APIToken: ref("", "token")}, "error getting cloudflare secret: the secret default/ does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Factory().New(t.Context(), deps, &dns01.Spec{Cloudflare: &test.spec})
			if test.want == "" {
				if err != nil || p == nil {
					t.Errorf("%v, %v", p, err)
				}
				return
			}
			if got := strings.TrimPrefix(message(t, err), instantiating); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		spec spec
		want []string
	}{
		"token": {spec{APIToken: ref("cf", "token")}, nil},
		"key":   {spec{APIKey: ref("cf", "key"), Email: email}, nil},
		"none":  {spec{}, []string{"dns01.cloudflare: Required value: apiKeySecretRef or apiTokenSecretRef is required"}},
		"both": {spec{APIKey: ref("cf", "key"), APIToken: ref("cf", "token")}, []string{
			"dns01.cloudflare: Forbidden: apiKeySecretRef and apiTokenSecretRef cannot both be specified",
			"dns01.cloudflare.email: Required value: email is required",
		}},
		"half references": {spec{APIKey: ref("", "key"), APIToken: ref("cf", ""), Email: email}, []string{
			"dns01.cloudflare.apiKeySecretRef.name: Required value: secret name is required",
			"dns01.cloudflare.apiTokenSecretRef.key: Required value: secret key is required",
			"dns01.cloudflare: Forbidden: apiKeySecretRef and apiTokenSecretRef cannot both be specified",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range Factory().Check(field.NewPath("dns01"), &dns01.Spec{Cloudflare: &test.spec}) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	got := Factory().Secrets(&dns01.Spec{Cloudflare: &spec{APIToken: ref("cf", "token")}})
	if diff := cmp.Diff([]cmmeta.SecretKeySelector{*ref("cf", "token")}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
