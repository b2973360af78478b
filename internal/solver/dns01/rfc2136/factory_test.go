package rfc2136

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

func TestCheck(t *testing.T) {
	secret := func(name, key string) cmmeta.SecretKeySelector {
		return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
	}
	type spec = acmev1.ACMEIssuerDNS01ProviderRFC2136
	for name, test := range map[string]struct {
		spec spec
		want []string
	}{
		"unsigned":   {spec{Nameserver: "192.0.2.1"}, nil},
		"signed":     {spec{Nameserver: "[2001:db8::1]:53", TSIGKeyName: "k", TSIGAlgorithm: "hmacSHA256", TSIGSecret: secret("tsig", "key")}, nil},
		"no server":  {spec{}, []string{"dns01.rfc2136.nameserver: Required value: nameserver is required"}},
		"bad server": {spec{Nameserver: ":53"}, []string{`dns01.rfc2136.nameserver: Invalid value: ":53": nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.`}},
		"no port":    {spec{Nameserver: "192.0.2.1:dns"}, []string{`dns01.rfc2136.nameserver: Invalid value: "192.0.2.1:dns": nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.`}},
		"algorithm": {
			spec{Nameserver: "ns.example.com", TSIGAlgorithm: "HMACSHA384"},
			[]string{`dns01.rfc2136.tsigAlgorithm: Unsupported value: "HMACSHA384": supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"`},
		},
		"no secret": {spec{Nameserver: "ns.example.com", TSIGKeyName: "k"}, []string{
			"dns01.rfc2136.tsigSecretSecretRef.name: Required value: secret name is required",
			"dns01.rfc2136.tsigSecretSecretRef.key: Required value: secret key is required",
		}},
		"no key name":                {spec{Nameserver: "ns.example.com", TSIGSecret: secret("tsig", "key")}, []string{"dns01.rfc2136.tsigKeyName: Required value: tsigKeyName is required"}},
		"no key name, half a secret": {spec{Nameserver: "ns.example.com", TSIGSecret: secret("tsig", "")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range Factory().Check(field.NewPath("dns01"), &dns01.Spec{RFC2136: &test.spec}) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
