package cloudflare

import (
	"context"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the cloudflare field of the API.
func Factory() dns01.Factory {
	return dns01.Factory{
		Name:     "cloudflare",
		Server:   func(*dns01.Spec) string { return vendor },
		Selected: func(s *dns01.Spec) bool { return s.Cloudflare != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			var refs []cmmeta.SecretKeySelector
			for _, ref := range []*cmmeta.SecretKeySelector{s.Cloudflare.APIKey, s.Cloudflare.APIToken} {
				if ref != nil {
					refs = append(refs, *ref)
				}
			}
			return refs
		},
		Check: validation.Cloudflare,
		TTL:   ttl,
		New:   fromSpec,
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
	spec := s.Cloudflare
	config := Config{Email: spec.Email, Clock: d.Clock, HTTP: d.HTTP}
	ref, value := spec.APIToken, &config.Token
	switch {
	case spec.APIKey != nil && spec.APIToken != nil:
		return nil, invalid("API key and API token secret references are both present")
	case spec.APIKey != nil:
		ref, value = spec.APIKey, &config.Key
	}
	if ref != nil {
		secret, err := d.Secret(ctx, *ref)
		if err != nil {
			return nil, vendorapi.Prefixed("error getting cloudflare secret: ", err)
		}
		*value, config.SecretName = secret, d.Namespace+"/"+ref.Name
	}
	return New(config)
}
