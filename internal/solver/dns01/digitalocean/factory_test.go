package digitalocean

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

func spec(name, key string) *dns01.Spec {
	return &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{
		Token: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key},
	}}
}

func TestFactory(t *testing.T) {
	deps := dns01.Deps{Namespace: "default", Clock: clock.RealClock{}, HTTP: newStub(t).Transport, Secrets: dns01test.Secrets{"default/do": {
		"token": goodToken, "padded": "\t" + goodToken + "\r\n", "blank": " \n", "lines": "a\nb", "bytes": "\xe7\x9f" + goodToken,
	}}}
	for key, want := range map[string]string{
		"token":  "",
		"padded": "",
		"blank":  `error instantiating digitalocean challenge solver: the DigitalOcean token in secret "default/do" is empty`,
		"lines":  `error instantiating digitalocean challenge solver: the DigitalOcean token in secret "default/do" contains a newline: store it without one (printf %s, not echo)`,
		"bytes":  `error instantiating digitalocean challenge solver: the DigitalOcean token in secret "default/do" is not printable ASCII text: a Secret's data takes base64, its stringData takes the text itself`,
		"other":  `error getting digitalocean token: the secret default/do does not have key "other"; it has blank, bytes, lines, padded, token`,
	} {
		t.Run(key, func(t *testing.T) {
			p, err := Factory().New(t.Context(), deps, spec("do", key))
			if want == "" {
				if err != nil || p == nil {
					t.Errorf("%v, %v", p, err)
				}
				return
			}
			if diff := cmp.Diff(want, message(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for s, want := range map[*dns01.Spec][]string{
		spec("do", "token"): nil,
		spec("", ""): {
			"dns01.digitalocean.tokenSecretRef.name: Required value: secret name is required",
			"dns01.digitalocean.tokenSecretRef.key: Required value: secret key is required",
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
