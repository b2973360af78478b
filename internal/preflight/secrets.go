package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// readSecrets looks for the entries of Secrets that the solver needs.
func (r *run) readSecrets(ctx context.Context) bool {
	r.start()
	refs := r.Providers.Secrets(&acmev1.ACMEIssuer{Solvers: []acmev1.ACMEChallengeSolver{r.challenge.Solver}})
	chosen := r.chooseNamespace(ctx, refs)
	deps := dns01.Deps{Namespace: r.SecretNamespace, Secrets: r.Secrets}
	var found []string
	for _, ref := range refs {
		if _, err := deps.Secret(ctx, ref); err != nil {
			f := *fault.Of(err)
			if cause := errors.Unwrap(&f); cause != nil {
				f.Message += ": " + cause.Error()
			}
			f.Message += chosen
			if r.SecretHint != "" && f.Class == fault.User {
				f.Message += "; " + r.SecretHint
			}
			return r.failed(StepSecrets, &f)
		}
		found = append(found, fmt.Sprintf("%s/%s has %s", r.SecretNamespace, ref.Name, ref.Key))
	}
	switch {
	case len(found) > 0:
		return r.done(StepSecrets, "%s%s", strings.Join(found, ", "), chosen)
	case r.Ambient:
		return r.done(StepSecrets, "the solver names none; the credentials of this environment may be used")
	default:
		return r.done(StepSecrets, "the solver names none")
	}
}

// chooseNamespace finds out in which of the possible namespaces the controllers look for
// the issuer's Secrets, and says how it knows, as the end of a message. They keep the key
// of the ACME account there; before that exists, the solver's Secrets tell.
func (r *run) chooseNamespace(ctx context.Context, refs []cmmeta.SecretKeySelector) string {
	if len(r.OtherNamespaces) == 0 {
		return ""
	}
	all := append([]string{r.SecretNamespace}, r.OtherNamespaces...)
	has := func(namespace, name string) bool {
		// A Secret that cannot be read shows nothing.
		data, err := r.Secrets.Read(ctx, namespace, name)
		return err == nil && data != nil
	}
	account := r.Issuer.GetSpec().ACME.PrivateKey.Name
	withAccount := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return account == "" || !has(n, account) })
	candidates := withAccount
	if len(candidates) == 0 {
		candidates = all
	}
	index := slices.IndexFunc(candidates, func(namespace string) bool {
		return len(refs) > 0 && !slices.ContainsFunc(refs, func(ref cmmeta.SecretKeySelector) bool { return !has(namespace, ref.Name) })
	})
	if index < 0 && len(withAccount) == 0 {
		return fmt.Sprintf(" (looked for in the namespaces %s)", strings.Join(all, ", "))
	}
	namespace := candidates[max(index, 0)]
	r.SecretNamespace, r.challenge.Namespace, r.challenge.SecretNamespace = namespace, namespace, namespace
	if len(withAccount) > 0 {
		return fmt.Sprintf("; the namespace %s was taken, because it has the issuer's account key %s", namespace, account)
	}
	return fmt.Sprintf("; of the namespaces %s, %s was taken, because it has what the solver names: set --cluster-resource-namespace to that of the controllers", strings.Join(all, ", "), namespace)
}
