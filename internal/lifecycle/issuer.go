package lifecycle

import (
	"slices"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// SecretsOf names the Secrets that decide whether an issuer works, in its
// Secret namespace: events of these are of interest to it.
func SecretsOf(spec *cmv1.IssuerSpec) []string {
	var refs []string
	switch {
	case spec.CA != nil:
		refs = append(refs, spec.CA.SecretName)
	case spec.ACME != nil:
		refs = append(refs, spec.ACME.PrivateKey.Name)
		if eab := spec.ACME.ExternalAccountBinding; eab != nil {
			refs = append(refs, eab.Key.Name)
		}
		for _, ref := range SolverSecrets(spec.ACME) {
			refs = append(refs, ref.Name)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// SecretRef is a key of a Secret.
type SecretRef struct{ Name, Key string }

// SolverSecrets are the keys that an issuer's DNS-01 solvers take their
// credentials from, each once, in order.
func SolverSecrets(issuer *acmev1.ACMEIssuer) []SecretRef {
	var refs []SecretRef
	for _, s := range issuer.Solvers {
		if s.DNS01 == nil || s.DNS01.RFC2136 == nil {
			continue
		}
		if ref := s.DNS01.RFC2136.TSIGSecret; ref.Name != "" {
			if r := (SecretRef{Name: ref.Name, Key: ref.Key}); !slices.Contains(refs, r) {
				refs = append(refs, r)
			}
		}
	}
	return refs
}
