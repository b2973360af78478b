package dns01_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

func ref(name, key string) cmmeta.SecretKeySelector {
	return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

func rfc2136Solver(secret cmmeta.SecretKeySelector) acmev1.ACMEChallengeSolver {
	return acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "ns", TSIGSecret: secret}}}
}

func TestRegistrySecrets(t *testing.T) {
	vendor := acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{Token: ref("token", "x")}}}
	issuer := &acmev1.ACMEIssuer{Solvers: []acmev1.ACMEChallengeSolver{
		rfc2136Solver(ref("tsig", "a")), rfc2136Solver(ref("tsig", "b")), rfc2136Solver(ref("tsig", "a")), rfc2136Solver(ref("", "")),
		{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}},
		{DNS01: &dns01.Spec{}},
		vendor,
	}}
	for _, test := range []struct {
		registry dns01.Registry
		want     []cmmeta.SecretKeySelector
	}{
		{builtIn(), []cmmeta.SecretKeySelector{ref("tsig", "a"), ref("tsig", "b")}},
		{append(builtIn(), newWorld(t).factory()), []cmmeta.SecretKeySelector{ref("tsig", "a"), ref("tsig", "b"), ref("token", "x")}},
	} {
		if diff := cmp.Diff(test.want, test.registry.Secrets(issuer)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestRegistryUnsupported(t *testing.T) {
	ours := rfc2136Solver(ref("tsig", "a"))
	for _, test := range []struct {
		solver acmev1.ACMEChallengeSolver
		want   string
	}{
		{ours, ""},
		{acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{}}, "is a DNS-01 provider that this version of everleaf does not have yet; it has rfc2136"},
		{acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}, ""},
	} {
		if got := builtIn().Unsupported(&test.solver); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	vendor := acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{}}}
	if got := append(builtIn(), newWorld(t).factory()).Unsupported(&vendor); got != "" {
		t.Errorf("a provider that was added: %q", got)
	}
}

func TestRegistryCheck(t *testing.T) {
	registry := append(builtIn(), newWorld(t).factory())
	for name, test := range map[string]struct {
		spec *dns01.Spec
		want []string
	}{
		"rfc2136": {&dns01.Spec{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{}}, []string{"dns01.rfc2136.nameserver: Required value: nameserver is required"}},
		"added": {
			&dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{Token: ref("", "x")}},
			[]string{"dns01.digitalocean.tokenSecretRef.name: Required value: secret name is required"},
		},
		"name servers": {
			&dns01.Spec{Nameservers: []string{"tls://dns.example", "https://1.1.1.1"}, RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{}},
			[]string{
				`dns01.nameservers[1]: Invalid value: "https://1.1.1.1": name server "https://1.1.1.1" has no path: DNS over HTTPS needs the one that the provider documents, usually https://1.1.1.1/dns-query`,
				"dns01.rfc2136.nameserver: Required value: nameserver is required",
			},
		},
		"not in the build": {&dns01.Spec{Akamai: &acmev1.ACMEIssuerDNS01ProviderAkamai{}}, nil},
		"none":             {nil, nil},
	} {
		var got []string
		for _, err := range registry.Check(field.NewPath("dns01"), test.spec) {
			got = append(got, err.Error())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
