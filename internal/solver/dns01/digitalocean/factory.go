package digitalocean

import (
	"context"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the digitalocean field of the API.
func Factory() dns01.Factory {
	return dns01.Factory{
		Name:     "digitalocean",
		Server:   func(*dns01.Spec) string { return "the DigitalOcean API" },
		Selected: func(s *dns01.Spec) bool { return s.DigitalOcean != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.DigitalOcean.Token}
		},
		Check: validation.DigitalOcean,
		TTL:   ttl,
		New:   fromSpec,
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
	ref := s.DigitalOcean.Token
	token, err := d.Secret(ctx, ref)
	if err != nil {
		return nil, vendorapi.Prefixed("error getting digitalocean token: ", err)
	}
	return New(Config{Token: token, SecretName: d.Namespace + "/" + ref.Name, Clock: d.Clock, HTTP: d.HTTP})
}
