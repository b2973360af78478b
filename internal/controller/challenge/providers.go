package challenge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
)

// Providers makes DNS providers from an issuer's solvers.
type Providers struct {
	Secrets  *cluster.Secrets
	Resolver *dns.Resolver
	Clock    clock.PassiveClock
}

// For returns the provider of a solver, with credentials read now.
func (p *Providers) For(ctx context.Context, namespace string, solver *acmev1.ACMEChallengeSolverDNS01) (dns01.Provider, error) {
	if solver == nil || solver.RFC2136 == nil {
		return nil, fault.New(fault.User, "UnsupportedSolver", "this version of everleaf has no provider for the solver; it has rfc2136")
	}
	spec := solver.RFC2136
	config := rfc2136.Config{
		Nameserver: spec.Nameserver, Protocol: string(spec.Protocol),
		TSIGKeyName: spec.TSIGKeyName, TSIGAlgorithm: spec.TSIGAlgorithm,
		Walk: p.zoneAbove, Clock: p.Clock,
	}
	if spec.TSIGSecret.Name != "" {
		secret, err := p.entry(ctx, namespace, spec.TSIGSecret)
		if err != nil {
			return nil, err
		}
		config.TSIGSecret, config.SecretName = secret, namespace+"/"+spec.TSIGSecret.Name
	}
	return rfc2136.New(config)
}

// zoneAbove finds the zone of a challenge name by the name above it: asked for
// the name itself, a resolver would remember that it does not exist.
func (p *Providers) zoneAbove(ctx context.Context, fqdn string) (string, error) {
	if _, above, ok := strings.Cut(fqdn, "."); ok && above != "" {
		fqdn = above
	}
	return p.Resolver.FindZone(ctx, fqdn)
}

func (p *Providers) entry(ctx context.Context, namespace string, ref cmmeta.SecretKeySelector) (string, error) {
	secret, err := p.Secrets.Live(ctx, namespace, ref.Name)
	switch {
	case err != nil:
		return "", fault.New(fault.Transient, "SecretGetError", "the secret %s/%s cannot be read", namespace, ref.Name).Because(err)
	case secret == nil:
		return "", fault.New(fault.User, "SecretMissing", "the secret %s/%s does not exist", namespace, ref.Name)
	case len(secret.Data[ref.Key]) == 0:
		return "", fault.New(fault.User, "SecretInvalidData", "the secret %s/%s does not have key %q", namespace, ref.Name, ref.Key)
	default:
		return string(secret.Data[ref.Key]), nil
	}
}

// Propagation is how the spread of a record is checked.
type Propagation struct {
	Resolver *dns.Resolver
	Mode     propagation.Mode
	// Retry is --dns01-check-retry-period.
	Retry time.Duration
	Clock clock.PassiveClock

	mu    sync.Mutex
	other map[string]*dns.Resolver
}

// For returns whom to ask for a solver's records: a solver with name servers of
// its own asks those, and only those.
func (p *Propagation) For(solver *acmev1.ACMEChallengeSolverDNS01) (*dns.Resolver, propagation.Mode, error) {
	if solver == nil || len(solver.Nameservers) == 0 {
		return p.Resolver, p.Mode, nil
	}
	key := strings.Join(solver.Nameservers, " ")
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.other[key]; r != nil {
		return r, propagation.RecursiveOnly, nil
	}
	r, err := dns.NewResolver(dns.Config{Servers: solver.Nameservers, Clock: p.Clock})
	if err != nil {
		return nil, 0, fmt.Errorf("the solver's name servers: %w", err)
	}
	if p.other == nil {
		p.other = map[string]*dns.Resolver{}
	}
	p.other[key] = r
	return r, propagation.RecursiveOnly, nil
}
