package akamai

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

func ref(key string) cmmeta.SecretKeySelector {
	return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "akamai"}, Key: key}
}

func TestFactory(t *testing.T) {
	f := Factory()
	deps := dns01.Deps{Namespace: "default", Clock: clock.RealClock{}, HTTP: newStub(t).Transport, Secrets: dns01test.Secrets{"default/akamai": {
		"clientToken": clientToken, "clientSecret": goodSecret, "accessToken": accessToken,
	}}}
	spec := acmev1.ACMEIssuerDNS01ProviderAkamai{
		ServiceConsumerDomain: host, ClientToken: ref("clientToken"), ClientSecret: ref("clientSecret"), AccessToken: ref("accessToken"),
	}
	p, err := f.New(t.Context(), deps, &dns01.Spec{Akamai: &spec})
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.New(t.Context(), deps, &dns01.Spec{Akamai: &spec})
	if err != nil || p.(*Provider).turns != other.(*Provider).turns {
		t.Errorf("two Providers do not take turns: %v", err)
	}
	got := p.(*Provider).signer
	if diff := cmp.Diff([]string{clientToken, goodSecret, accessToken}, []string{got.ClientToken, got.ClientSecret, got.AccessToken}); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	for want, field := range map[string]*cmmeta.SecretKeySelector{
		`error getting akamai client token: the secret default/akamai does not have key "other"; it has accessToken, clientSecret, clientToken`:  &spec.ClientToken,
		`error getting akamai client secret: the secret default/akamai does not have key "other"; it has accessToken, clientSecret, clientToken`: &spec.ClientSecret,
		`error getting akamai access token: the secret default/akamai does not have key "other"; it has accessToken, clientSecret, clientToken`:  &spec.AccessToken,
	} {
		before := *field
		*field = ref("other")
		_, err := f.New(t.Context(), deps, &dns01.Spec{Akamai: &spec})
		if diff := cmp.Diff(want, message(t, err)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		*field = before
	}
}

func TestCheck(t *testing.T) {
	var got []string
	for _, err := range Factory().Check(field.NewPath("dns01"), &dns01.Spec{Akamai: &acmev1.ACMEIssuerDNS01ProviderAkamai{ClientToken: ref("")}}) {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff([]string{
		"dns01.akamai.accessToken.name: Required value: secret name is required",
		"dns01.akamai.accessToken.key: Required value: secret key is required",
		"dns01.akamai.clientSecret.name: Required value: secret name is required",
		"dns01.akamai.clientSecret.key: Required value: secret key is required",
		"dns01.akamai.clientToken.key: Required value: secret key is required",
		"dns01.akamai.serviceConsumerDomain: Required value: serviceConsumerDomain is required",
	}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
