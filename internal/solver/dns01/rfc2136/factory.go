package rfc2136

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the rfc2136 field of the API.
func Factory() dns01.Factory {
	return dns01.Factory{
		Name:     "rfc2136",
		Selected: func(s *dns01.Spec) bool { return s.RFC2136 != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.RFC2136.TSIGSecret}
		},
		Server: func(s *dns01.Spec) string {
			return "the name server " + strings.TrimSuffix(strings.ToLower(s.RFC2136.Nameserver), ":53")
		},
		Origin: func(s *dns01.Spec) []string {
			server, err := Server(s.RFC2136.Nameserver)
			if err != nil {
				return nil
			}
			return []string{server}
		},
		Check: check,
		TTL:   ttl,
		New:   fromSpec,
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
	spec := s.RFC2136
	config := Config{
		Nameserver: spec.Nameserver, Protocol: string(spec.Protocol),
		TSIGKeyName: spec.TSIGKeyName, TSIGAlgorithm: spec.TSIGAlgorithm,
		Walk: d.Zone, Clock: d.Clock,
	}
	if spec.TSIGSecret.Name != "" {
		secret, err := d.Secret(ctx, spec.TSIGSecret)
		if err != nil {
			return nil, err
		}
		config.TSIGSecret, config.SecretName = secret, d.Namespace+"/"+spec.TSIGSecret.Name
	}
	return New(config)
}

// check adds to the API's validation that the port is a number.
func check(path *field.Path, s *dns01.Spec) field.ErrorList {
	errs, server := validation.RFC2136(path, s), path.Child("rfc2136", "nameserver")
	refused := slices.ContainsFunc(errs, func(err *field.Error) bool { return err.Field == server.String() })
	if _, err := Server(s.RFC2136.Nameserver); err != nil && !refused {
		errs = append(field.ErrorList{field.Invalid(server, s.RFC2136.Nameserver, validation.UpdateServerForm)}, errs...)
	}
	return errs
}
