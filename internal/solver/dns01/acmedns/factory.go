package acmedns

import (
	"context"
	"strings"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the acmeDNS field of the API.
func Factory() dns01.Factory {
	return dns01.Factory{
		Name:     "acmeDNS",
		Selected: func(s *dns01.Spec) bool { return s.AcmeDNS != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.AcmeDNS.AccountSecret}
		},
		Server: func(s *dns01.Spec) string {
			return "the acme-dns server " + strings.ToLower(strings.TrimSpace(s.AcmeDNS.Host))
		},
		Check: validation.AcmeDNS,
		TTL:   ttl,
		New:   fromSpec,
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
	ref := s.AcmeDNS.AccountSecret
	accounts, err := d.Secret(ctx, ref)
	if err != nil {
		return nil, vendorapi.Prefixed("error getting acmedns accounts secret: ", err)
	}
	return New(Config{Host: s.AcmeDNS.Host, Accounts: accounts, SecretName: d.Namespace + "/" + ref.Name, Clock: d.Clock, HTTP: d.HTTP})
}
