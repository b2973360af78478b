package challenge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Providers makes DNS providers from an issuer's solvers.
type Providers struct {
	Registry dns01.Registry
	Secrets  dns01.Secrets
	Resolver *dns.Resolver
	Clock    clock.PassiveClock
}

// For returns the provider of a solver, with credentials read now.
func (p *Providers) For(ctx context.Context, namespace string, solver *acmev1.ACMEChallengeSolverDNS01) (dns01.Provider, error) {
	return p.Registry.New(ctx, dns01.Deps{Namespace: namespace, Secrets: p.Secrets, Zone: p.zoneAbove, Clock: p.Clock}, solver)
}

// zoneAbove finds the zone of a challenge name by the name above it: a resolver
// that is asked for the name itself caches that it does not exist.
func (p *Providers) zoneAbove(ctx context.Context, fqdn string) (string, error) {
	if above := dnsname.Parent(fqdn); above != "." {
		fqdn = above
	}
	return p.Resolver.FindZone(ctx, fqdn)
}

// Propagation is how the propagation of a record is checked.
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
