package akamai

import (
	"context"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the akamai field of the API.
func Factory() dns01.Factory {
	shared := &turns{}
	return dns01.Factory{
		Name:     "akamai",
		Selected: func(s *dns01.Spec) bool { return s.Akamai != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.Akamai.ClientToken, s.Akamai.ClientSecret, s.Akamai.AccessToken}
		},
		Server: func(*dns01.Spec) string { return "the Edge DNS API" },
		Check:  validation.Akamai,
		TTL:    ttl,
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			return fromSpec(ctx, d, s, shared)
		},
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec, shared *turns) (dns01.Provider, error) {
	spec := s.Akamai
	config := Config{Host: spec.ServiceConsumerDomain, Clock: d.Clock, HTTP: d.HTTP, turns: shared}
	for _, entry := range []struct {
		name string
		ref  cmmeta.SecretKeySelector
		into *Credential
	}{
		{"client token", spec.ClientToken, &config.ClientToken},
		{"client secret", spec.ClientSecret, &config.ClientSecret},
		{"access token", spec.AccessToken, &config.AccessToken},
	} {
		value, err := d.Secret(ctx, entry.ref)
		if err != nil {
			return nil, vendorapi.Prefixed("error getting akamai "+entry.name+": ", err)
		}
		*entry.into = Credential{Value: value, SecretName: d.Namespace + "/" + entry.ref.Name}
	}
	return New(config)
}
