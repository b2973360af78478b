package clouddns

import (
	"context"

	"k8s.io/utils/lru"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// maxTokens bounds the access tokens that are kept.
const maxTokens = 256

// Factory makes Providers from the cloudDNS field of the API.
func Factory() dns01.Factory {
	tokens := lru.New(maxTokens)
	return dns01.Factory{
		Name:     "cloudDNS",
		Server:   func(*dns01.Spec) string { return "the Cloud DNS API" },
		Selected: func(s *dns01.Spec) bool { return s.CloudDNS != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			if s.CloudDNS.ServiceAccount == nil {
				return nil
			}
			return []cmmeta.SecretKeySelector{*s.CloudDNS.ServiceAccount}
		},
		Check: validation.CloudDNS,
		TTL:   ttl,
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			c, err := fromSpec(ctx, d, s)
			if err != nil {
				return nil, err
			}
			c.Tokens = tokens
			return New(ctx, c)
		},
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec) (Config, error) {
	spec := s.CloudDNS
	c := Config{
		Project: spec.Project, HostedZoneName: spec.HostedZoneName, Ambient: d.Ambient,
		HTTP: d.HTTP, Clock: d.Clock, Walk: d.Zone,
	}
	ref := spec.ServiceAccount
	if ref == nil || ref.Name == "" {
		return c, nil
	}
	key, err := d.Secret(ctx, *ref)
	if err != nil {
		f := *fault.Of(err)
		f.Message, f.Err = "error getting clouddns service account: "+f.Message, err
		if f.Reason == cmv1.EventReasonSecretInvalidData {
			f.Message = "specified key " + quoted(ref.Key) + " not found in secret " + d.Namespace + "/" + ref.Name
		}
		return c, &f
	}
	c.ServiceAccount = []byte(key)
	c.SecretName = "key " + quoted(ref.Key) + " of Secret " + d.Namespace + "/" + ref.Name
	return c, nil
}
