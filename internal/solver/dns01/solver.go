package dns01

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

// Resolver asks name servers. *dns.Resolver is one.
type Resolver interface {
	Probe(ctx context.Context, fqdn, value string, mode propagation.Mode, zone string) (propagation.Report, error)
	Locate(ctx context.Context, fqdn string, follow bool) (name, zone string, err error)
	FindZone(ctx context.Context, fqdn string) (string, error)
	Alias(ctx context.Context, fqdn string) (string, error)
	Authoritative(ctx context.Context, zone string) bool
}

// Config configures a Solver. All fields without a default are required.
type Config struct {
	Providers Registry
	Secrets   Secrets
	// Resolver and Mode say which servers are asked for the records of solvers
	// without nameservers of their own.
	Resolver Resolver
	Mode     propagation.Mode
	// Retry is --dns01-check-retry-period; 0 is propagation.DefaultRetry.
	Retry time.Duration
	// CacheFloor is --acme-dns-cache-floor.
	CacheFloor time.Duration

	// Ambient says whose solvers may use the credentials of the environment.
	Ambient Ambient
	// HTTP asks the vendors' APIs; nil is vendorapi.NewTransport.
	HTTP http.RoundTripper
	// Cluster is what providers need of the API server; nil if there is none.
	Cluster Cluster

	Ledger *propagation.Ledger
	Clock  clock.PassiveClock
	// Survey has what a View of any Challenge needs: the resolvers of the system and
	// of the configuration, and how servers are asked.
	Survey dns.Survey
	// NewResolver makes the Resolver of a solver with nameservers of its own;
	// nil is dns.NewResolver.
	NewResolver func(servers []string) (Resolver, error)
}

// Ambient says whose solvers may use the credentials of the environment:
// --issuer-ambient-credentials and --cluster-issuer-ambient-credentials.
type Ambient struct{ Issuers, ClusterIssuers bool }

func (a Ambient) allows(c solver.Challenge) bool {
	return a.ClusterIssuers && c.ClusterIssuer || a.Issuers && !c.ClusterIssuer
}

// Solver solves dns-01 challenges.
type Solver struct {
	config Config

	// other holds the Resolvers of solvers with nameservers of their own, by
	// these nameservers.
	other *lru.Cache
}

const (
	// maxResolvers bounds the Resolvers that are kept: each has caches.
	maxResolvers = 64
	// maxAliases bounds a CNAME chain.
	maxAliases = 16
)

var (
	_ solver.Solver   = (*Solver)(nil)
	_ solver.Restorer = (*Solver)(nil)
	_ solver.Grouper  = (*Solver)(nil)
	_ solver.Placed   = (*Solver)(nil)
)

// New returns a Solver, or an error if something that it needs is missing.
func New(c Config) (*Solver, error) {
	if len(c.Providers) == 0 || c.Secrets == nil || c.Resolver == nil || c.Ledger == nil || c.Clock == nil {
		return nil, errors.New("dns01: providers, secrets, resolver, ledger and clock are required")
	}
	if c.NewResolver == nil {
		c.NewResolver = func(servers []string) (Resolver, error) {
			return dns.NewResolver(dns.Config{Servers: servers, Clock: c.Clock})
		}
	}
	if c.HTTP == nil {
		c.HTTP = vendorapi.NewTransport()
	}
	return &Solver{config: c, other: lru.New(maxResolvers)}, nil
}

// Begin implements solver.Solver.
func (s *Solver) Begin(c solver.Challenge) solver.Session {
	return &session{Solver: s, challenge: c, fqdn: dnsname.Challenge(c.DNSName)}
}

// Restore implements solver.Restorer.
func (s *Solver) Restore(c solver.Challenge, accepted, ended time.Time, failed bool) {
	s.floor(c)
	s.config.Ledger.Restore(c.CA, dnsname.Challenge(c.DNSName), propagation.Lookup{Started: accepted, Ended: ended, Failed: failed}, s.config.Clock.Now())
}

// floor returns how long the resolvers of a Challenge's CA keep an answer at least,
// and has the Ledger remember look-ups for that long.
func (s *Solver) floor(c solver.Challenge) time.Duration {
	floor := s.config.CacheFloor
	if c.CacheFloor != nil {
		floor = *c.CacheFloor
	}
	s.config.Ledger.KeepFor(floor)
	return floor
}

// Server implements solver.Placed.
func (s *Solver) Server(c *acmev1.ACMEChallengeSolver) string {
	return s.config.Providers.Server(c.DNS01)
}

// Grouped implements solver.Grouper: a resolver caches all values of one name
// together.
func (*Solver) Grouped(a, b solver.Challenge) bool {
	return a.Type == b.Type && strings.EqualFold(a.DNSName, b.DNSName)
}

// newProvider makes the Provider of a Challenge with the credentials as they are
// now.
func (s *Solver) newProvider(ctx context.Context, c solver.Challenge) (Provider, error) {
	return s.config.Providers.New(ctx, Deps{
		Namespace: c.SecretNamespace, Secrets: s.config.Secrets, Zone: s.zoneAbove, Clock: s.config.Clock,
		Ambient: s.config.Ambient.allows(c), HTTP: s.config.HTTP, Cluster: s.config.Cluster,
	}, c.Solver.DNS01)
}

// zoneAbove finds the zone of a challenge name by the name above it: a resolver
// that is asked for the name itself caches that it does not exist.
func (s *Solver) zoneAbove(ctx context.Context, fqdn string) (zone string, err error) {
	server := ""
	if claims, ok := s.config.Resolver.(claimer); ok {
		zone, server, err = claims.Claim(ctx, above(fqdn))
	} else {
		zone, err = s.config.Resolver.FindZone(ctx, above(fqdn))
	}
	if err != nil {
		return "", err
	}
	return zone, checkZone(fqdn, zone, server)
}

// above returns the name above a name, or the name itself if there is only the root.
func above(fqdn string) string {
	if parent := dnsname.Parent(fqdn); parent != "." {
		return parent
	}
	return fqdn
}

// Place returns where the record of a Challenge would be written: its name, and the zone.
// It writes nothing.
func (s *Solver) Place(ctx context.Context, c solver.Challenge) (name, zone string, err error) {
	provider, err := s.newProvider(ctx, c)
	if err != nil {
		return "", "", err
	}
	planned := &session{Solver: s, challenge: c, fqdn: dnsname.Challenge(c.DNSName)}
	if err := planned.locateRecord(ctx, provider); err != nil {
		return "", "", err
	}
	if err := checkTarget(planned.fqdn, planned.record.FQDN); err != nil {
		return "", "", err
	}
	if zone, err = provider.Zone(ctx, planned.record.FQDN); err != nil {
		return "", "", planned.advise(ctx, provider, err)
	}
	return planned.record.FQDN, zone, nil
}

// resolver returns the Resolver for the records of a solver. For a solver with
// nameservers of its own, it asks those and no others.
func (s *Solver) resolver(spec *Spec) (Resolver, propagation.Mode, error) {
	if spec == nil || len(spec.Nameservers) == 0 {
		return s.config.Resolver, s.config.Mode, nil
	}
	key := strings.Join(spec.Nameservers, " ")
	if found, ok := s.other.Get(key); ok {
		return found.(Resolver), propagation.RecursiveOnly, nil
	}
	r, err := s.config.NewResolver(spec.Nameservers)
	if err != nil {
		return nil, 0, fmt.Errorf("the solver's name servers: %w", err)
	}
	s.other.Add(key, r)
	return r, propagation.RecursiveOnly, nil
}

// locate returns the name to write at with a Provider.
func (s *Solver) locate(ctx context.Context, fqdn string, spec *Spec, provider Provider) (string, error) {
	if !follows(spec) {
		return fqdn, nil
	}
	resolver, mode, err := s.resolver(spec)
	if err != nil {
		return "", err
	}
	if mode == propagation.RecursiveOnly {
		return followCNAME(ctx, fqdn, provider, resolver)
	}
	name, _, err := resolver.Locate(ctx, fqdn, true)
	return name, fault.Elsewhere(err)
}

func follows(spec *Spec) bool { return spec != nil && spec.CNAMEStrategy == acmev1.FollowStrategy }

// followCNAME returns the end of a CNAME chain. It asks the provider where that
// knows, and the resolver for the other names: those exist, or nothing can be
// written there.
func followCNAME(ctx context.Context, fqdn string, provider Provider, resolver Resolver) (string, error) {
	name := fqdn
	for range maxAliases {
		target, err := aliasOf(ctx, name, provider, resolver)
		if err != nil || target == "" {
			return name, err
		}
		name = target
	}
	return "", fault.New(fault.User, "CNAMELoop", "Found recursive CNAME record to %q when looking up %q", name, fqdn)
}

func aliasOf(ctx context.Context, name string, provider Provider, resolver Resolver) (string, error) {
	if aliaser, ok := provider.(Aliaser); ok {
		if target, known, err := aliaser.Alias(ctx, name); known || err != nil {
			return target, err
		}
	}
	target, err := resolver.Alias(ctx, name)
	return target, fault.Elsewhere(err)
}
