package operator

import (
	"context"
	"maps"
	goruntime "runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	"github.com/everleaf/everleaf/internal/issuer/ca"
	"github.com/everleaf/everleaf/internal/issuer/selfsigned"
	"github.com/everleaf/everleaf/internal/issuer/vault"
	"github.com/everleaf/everleaf/internal/issuer/venafi"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/metrics"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/responder"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
)

// system is what the controllers share.
type system struct {
	options  Options
	manager  ctrl.Manager
	clock    clock.WithTicker
	core     kubernetes.Interface
	secrets  *cluster.Secrets
	issuers  *cluster.Issuers
	approval *cluster.Approval
	write    *cluster.Writer
	events   *cluster.Events
	server   *cluster.Server
	requests *cluster.Requests
	// signing is nil if CertificateSigningRequests are left alone.
	signing *cluster.SigningRequests
	// podCertificates is nil if PodCertificateRequests are left alone.
	podCertificates *cluster.PodCertificates
	orders          *cluster.Orders
	answers         *cluster.Answers
	builder         *controller.Builder
	keys            *pki.KeyPool
	metrics         *metrics.Metrics
	accounts        *issueracme.Accounts
	types           issuer.Registry
	signers         *controller.Signers
	resolver        *dns.Resolver
	// tokens are those that the shared HTTP-01 responder answers; backends, nil if none
	// are configured, are where responders are; responding is nil if this process is none.
	tokens     *responder.Table
	backends   responder.Backends
	responding *responding
	// gatewayAPI knows which kinds of the Gateway API there are.
	gatewayAPI *cluster.GatewayAPI

	// accountReady passes on issuers whose account can be used from now on,
	// issuerNews those that have to be checked again.
	accountReady controller.Topic[cmv1.GenericIssuer]
	issuerNews   controller.Topic[controller.IssuerNews]
	// verified passes Challenges that are valid on to the Orders.
	verified controller.Topic[controller.Verified]
}

func newSystem(ctx context.Context, mgr ctrl.Manager, rc *rest.Config, o Options, registry *prometheus.Registry, caches *component.Caches) (*system, error) {
	s := &system{options: o, manager: mgr, clock: o.Clock, answers: cluster.NewAnswers()}
	if s.clock == nil {
		s.clock = clock.RealClock{}
	}
	var err error
	if s.core, err = kubernetes.NewForConfigAndClient(compact(rc), mgr.GetHTTPClient()); err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfigAndClient(rc, mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	if s.secrets, err = cluster.NewSecrets(s.core, meta, o.Namespace, o.Limits); err != nil {
		return nil, err
	}
	for _, informer := range s.secrets.Informers() {
		if err := caches.Observe(informer); err != nil {
			return nil, err
		}
	}
	// Finished requests and Orders are kept as facts.
	informers, err := informers(ctx, mgr.GetCache(), s.kinds())
	if err != nil {
		return nil, err
	}
	stores := map[string]cluster.Store{plan.KindSecret: s.secrets.Store()}
	for kind, informer := range informers {
		stores[kind] = informer.GetIndexer()
	}
	if err := s.readPodCertificates(rc, caches, stores); err != nil {
		return nil, err
	}
	if s.requests, err = cluster.NewRequests(informers[cmv1.CertificateRequestKind], o.Limits); err != nil {
		return nil, err
	}
	if s.orders, err = cluster.NewOrders(informers[acmev1.OrderKind], o.Limits); err != nil {
		return nil, err
	}
	if s.metrics, err = metrics.New(registry, mgr.GetCache(), mgr.GetLogger(), s.clock); err != nil {
		return nil, err
	}
	if err := registry.Register(metrics.Outliving(mgr.GetCache(), s.secrets.Kept)); err != nil {
		return nil, err
	}
	s.write = cluster.NewWriter(mgr.GetClient(), s.core, cluster.NewGate(stores))
	s.events = cluster.NewEvents(s.core, mgr.GetScheme(), s.clock, mgr.GetLogger().WithName("events"), o.AllEvents, s.metrics.EventDropped)
	s.server = cluster.NewServer(s.write, s.events, mgr.GetAPIReader())
	s.server.Observe = s.metrics.ObserveEvent
	if err := s.newGatewayAPI(ctx, rc, caches); err != nil {
		return nil, err
	}
	if err := registry.Register(metrics.GatewayAPI(s.gatewayAPI.Available)); err != nil {
		return nil, err
	}
	s.builder = controller.NewBuilder(mgr, s.kinds(), s.secrets, s.optional(), o.ConcurrentWorkers, o.LeaderElection.DrainTime(), s.metrics, s.metrics.Count)
	s.issuers = cluster.NewIssuers(mgr.GetCache(), o.ClusterResourceNamespace)
	s.signers = &controller.Signers{Types: &s.types, Issuers: s.issuers, Suspected: &s.issuerNews, Clock: s.clock}
	if err := s.readSigningRequests(informers[signingrequest.Kind]); err != nil {
		return nil, err
	}
	s.approval = cluster.NewApproval(s.core, s.clock)
	s.keys = pki.NewKeyPool(goruntime.GOMAXPROCS(0))
	s.addIssuerTypes()
	if s.resolver, err = o.resolver(s.clock); err != nil {
		return nil, err
	}
	for _, start := range []func(context.Context) error{s.secrets.Start, tuneGC, s.tryResolvers} {
		if err := mgr.Add(component.Always(start)); err != nil {
			return nil, err
		}
	}
	if err := s.addResponder(informers[acmev1.ChallengeKind]); err != nil {
		return nil, err
	}
	return s, nil
}

// tryResolvers logs which resolvers over TLS or HTTPS do not work.
func (s *system) tryResolvers(ctx context.Context) error {
	for _, err := range s.resolver.Unusable(ctx) {
		s.manager.GetLogger().Error(err, "A recursive name server of --"+flagResolvers+" does not answer; others are asked in its place")
	}
	return nil
}

// compact has Secrets and events travel as protobuf, which costs both sides
// less than JSON. Custom resources know JSON only.
func compact(rc *rest.Config) *rest.Config {
	rc = rest.CopyConfig(rc)
	rc.ContentType = runtime.ContentTypeProtobuf
	rc.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return rc
}

// issuerTypes are the issuer types of this program.
var issuerTypes = map[facts.IssuerType]func(*system) issuer.Type{
	facts.IssuerCA: func(s *system) issuer.Type {
		return ca.New(ca.NewCache(s.secrets, s.options.Limits), s.options.Limits)
	},
	facts.IssuerSelfSigned: func(s *system) issuer.Type { return selfsigned.New(s.secrets, s.options.Limits) },
	facts.IssuerACME: func(s *system) issuer.Type {
		return &issueracme.Type{
			Accounts: s.accounts, Store: cluster.IssuerSecrets{Secrets: s.secrets, Writer: s.write}, Solvers: providers.All(),
			UserAgent: "everleaf", Clock: s.clock, Limits: s.options.Limits, Observe: s.metrics.ObserveACME,
		}
	},
	facts.IssuerVault: func(s *system) issuer.Type {
		if names := vault.IgnoreEnvironment(); len(names) > 0 {
			s.manager.GetLogger().Info("variables of the environment are for other programs that use Vault, and are ignored: an Issuer names its server, CA and credentials itself", "variables", names)
		}
		return vault.New(vault.Config{
			Secrets: s.secrets, Tokens: cluster.ForProviders{Core: s.core}, Ambient: vault.Ambient(s.options.Ambient),
			HTTP: s.options.VendorHTTP, Clock: s.clock, Limits: s.options.Limits, Observe: s.metrics.ObserveVaultCall,
		})
	},
	facts.IssuerVenafi: func(s *system) issuer.Type {
		return venafi.New(s.secrets, venafi.Config{
			UserAgent: "everleaf", Clock: s.clock, Limits: s.options.Limits, HTTP: s.options.VendorHTTP,
			Observe: s.metrics.ObserveVenafiToken, ObserveCall: s.metrics.ObserveVenafiCall,
		})
	},
}

// Serves reports whether this program has issuers of a type.
func Serves(t facts.IssuerType) bool { return issuerTypes[t] != nil }

// addIssuerTypes makes the issuer types of this program.
func (s *system) addIssuerTypes() {
	s.accounts = &issueracme.Accounts{}
	for _, name := range slices.Sorted(maps.Keys(issuerTypes)) {
		s.types = append(s.types, issuerTypes[name](s))
	}
}

// sendEvents sends events until stop is called. The manager would stop this
// before the controllers: the events of their last steps would be lost, and they
// would go on until the backlog is sent.
func (s *system) sendEvents(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.events.Start(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
