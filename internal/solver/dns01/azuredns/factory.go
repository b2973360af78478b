package azuredns

import (
	"context"
	"fmt"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the azureDNS field of the API. They share the tokens of
// equal identities.
func Factory() dns01.Factory {
	tokens := NewTokens()
	return dns01.Factory{
		Name:     "azureDNS",
		Server:   func(*dns01.Spec) string { return vendor },
		Selected: func(s *dns01.Spec) bool { return s.AzureDNS != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			if s.AzureDNS.ClientSecret == nil {
				return nil
			}
			return []cmmeta.SecretKeySelector{*s.AzureDNS.ClientSecret}
		},
		Check: validation.AzureDNS,
		TTL:   ttl * time.Second,
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			return fromSpec(ctx, d, s, tokens)
		},
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *dns01.Spec, tokens *Tokens) (dns01.Provider, error) {
	spec := s.AzureDNS
	config := Config{
		SubscriptionID: spec.SubscriptionID, ResourceGroupName: spec.ResourceGroupName, HostedZoneName: spec.HostedZoneName,
		Environment: string(spec.Environment), ZoneType: string(spec.ZoneType),
		ClientID: spec.ClientID, TenantID: spec.TenantID,
		Ambient: d.Ambient, HTTP: d.HTTP, Clock: d.Clock, Tokens: tokens,
	}
	if m := spec.ManagedIdentity; m != nil {
		config.Identity = Identity{ClientID: m.ClientID, ResourceID: m.ResourceID, TenantID: m.TenantID}
	}
	if spec.ClientID != "" && spec.ClientSecret != nil {
		secret, err := clientSecret(ctx, d, *spec.ClientSecret)
		if err != nil {
			return nil, err
		}
		config.ClientSecret = secret
	}
	p, err := New(config)
	if err != nil {
		return nil, vendorapi.Prefixed("error instantiating azuredns challenge solver: ", err)
	}
	return p, nil
}

// clientSecret reads the secret of a service principal.
func clientSecret(ctx context.Context, d dns01.Deps, ref cmmeta.SecretKeySelector) (string, error) {
	secret, err := d.Secret(ctx, ref)
	if err != nil {
		prefix := "error getting azuredns client secret: "
		if fault.Of(err).Reason == cmv1.EventReasonSecretInvalidData {
			prefix = fmt.Sprintf("error getting azure dns client secret: key '%s' not found in secret, or empty: ", ref.Key)
		}
		return "", vendorapi.Prefixed(prefix, err)
	}
	if strings.ContainsAny(secret, "\r\n") {
		return "", fault.New(fault.User, cmv1.EventReasonSecretInvalidData,
			"error getting azuredns client secret: the value of key %q of the secret %s/%s contains a line break, which a client secret never does; store it without (echo -n)", ref.Key, d.Namespace, ref.Name)
	}
	return secret, nil
}
