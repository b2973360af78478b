package operator

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/responder"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
	"github.com/everleaf/everleaf/internal/solver/http01"
)

// solvers returns what solves challenges, by their type.
func (s *system) solvers() (solver.Solvers, error) {
	mode := propagation.Authoritative
	if s.options.RecursiveNameserversOnly {
		mode = propagation.RecursiveOnly
	}
	byDNS, err := dns01.New(dns01.Config{
		Providers: providers.All(), Secrets: cluster.NewRecentSecrets(s.secrets, s.clock),
		Ambient: s.options.Ambient, HTTP: s.options.VendorHTTP, Cluster: cluster.ForProviders{Core: s.core},
		Survey: dns.Survey{
			System: s.options.systemServers(), Configured: s.options.RecursiveNameservers, Only: s.options.RecursiveNameserversOnly,
			Config: dns.Config{Clock: s.clock, Port: s.options.AuthoritativePort},
		},
		Resolver: s.resolver, Mode: mode, Retry: s.options.CheckRetryPeriod, CacheFloor: s.options.ACMEDNSCacheFloor, Ledger: &propagation.Ledger{}, Clock: s.clock,
	})
	if err != nil {
		return nil, err
	}
	byHTTP, err := s.http01()
	if err != nil {
		return nil, err
	}
	return solver.Solvers{acmev1.ACMEChallengeTypeDNS01: byDNS, acmev1.ACMEChallengeTypeHTTP01: byHTTP}, nil
}

// http01 returns what solves HTTP-01 challenges.
func (s *system) http01() (solver.Solver, error) {
	o := s.options.HTTP01
	var nameservers []string
	for _, server := range o.Nameservers {
		nameservers = append(nameservers, server.String())
	}
	checker, err := selfcheck.New(selfcheck.Config{Nameservers: nameservers, UserAgent: "everleaf", Clock: s.clock, Retry: s.options.CheckRetryPeriod})
	if err != nil {
		return nil, err
	}
	pathType := networkingv1.PathTypeExact
	if !s.options.gate(gatePathTypeExact) {
		pathType = networkingv1.PathTypeImplementationSpecific
	}
	byHTTP, err := http01.New(http01.Config{
		API: live{s.manager.GetAPIReader(), s.manager.GetClient()}, Namespace: s.options.Namespace, Checker: checker, Clock: s.clock,
		Responder: shared{s.backends, s.tokens}, GatewayAPI: s.gatewayAPI.Problem,
		Mode: http01.Mode(o.Mode), ExtraLabels: o.ExtraLabels, PathType: pathType,
		Pods: http01.Pods{
			Image: o.Image, Requests: o.Requests, Limits: o.Limits, RunAsNonRoot: o.RunAsNonRoot, RuntimeClassName: o.RuntimeClassName,
		},
	})
	if err != nil {
		return nil, err
	}
	// As the leader only.
	return byHTTP, s.manager.Add(manager.RunnableFunc(byHTTP.Follow))
}

// live reads from the API server, not from a cache.
type live struct {
	client.Reader
	client.Writer
}

// shared is the shared responder as the solver needs it.
type shared struct {
	backends responder.Backends
	table    *responder.Table
}

// Backends implements http01.Responder.
func (r shared) Backends() (http01.Backends, bool) {
	if r.backends == nil {
		return http01.Backends{}, false
	}
	addresses, port := r.backends.Ready()
	return http01.Backends{Addresses: addresses, Port: port}, true
}

// Obstacle implements http01.Responder.
func (r shared) Obstacle() string {
	if r.backends == nil {
		return ""
	}
	return r.backends.Obstacle()
}

// Subscribe implements http01.Responder.
func (r shared) Subscribe(f func()) {
	if r.backends != nil {
		r.backends.Subscribe(f)
	}
}

// Saw implements http01.Responder.
func (r shared) Saw(challenge types.UID) http01.Sighting {
	saw, _ := r.table.Seen(challenge)
	return http01.Sighting{Answered: !saw.Answered.IsZero(), Host: saw.Host}
}
