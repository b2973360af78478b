package operator

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/certificate"
	"github.com/everleaf/everleaf/internal/controller/certificaterequest"
	"github.com/everleaf/everleaf/internal/controller/challenge"
	issuercontroller "github.com/everleaf/everleaf/internal/controller/issuer"
	"github.com/everleaf/everleaf/internal/controller/order"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
)

// upstream's controllers have --concurrent-workers each. One of ours does the
// work of six for Certificates and of six for CertificateRequests, in far fewer
// calls, so that half as many workers keep an API server busy; more would only
// make each call slower, and need more streams than a connection to the API
// server has (100). Those that ask foreign servers have more, because they wait
// for answers.
const (
	requestShare = 3
	serverShare  = 4
)

// add makes one controller.
func (s *system) add(kind cluster.Kind, name string, share int, slowest time.Duration, r reconcile.Reconciler, sources ...source.Source) error {
	c, err := ctrlcontroller.New(name, s.manager, ctrlcontroller.Options{
		Reconciler:              controller.Drain(s.metrics.Count(name, r)),
		MaxConcurrentReconciles: share * s.options.ConcurrentWorkers,
		NewQueue:                controller.NewQueue,
		RateLimiter:             controller.Backoff(200*time.Millisecond, slowest),
	})
	if err != nil {
		return err
	}
	own := []source.Source{s.watch(s.kinds()[kind], controller.Own()), s.waits[kind]}
	for _, src := range append(own, sources...) {
		if err := c.Watch(src); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) watch(object client.Object, h handler.EventHandler) source.Source {
	return source.Kind(s.manager.GetCache(), object, h)
}

func (s *system) related(object client.Object, keys func(context.Context, client.Object) []types.NamespacedName) source.Source {
	return s.watch(object, controller.Related(keys))
}

// secretEvents are the events of all Secrets.
func (s *system) secretEvents(keys func(context.Context, client.Object) []types.NamespacedName) []source.Source {
	var sources []source.Source
	for _, informer := range s.secrets.Informers() {
		sources = append(sources, controller.Informer(informer, controller.Related(keys)))
	}
	return sources
}

func (s *system) addControllers(ctx context.Context) error {
	for _, add := range []func(context.Context) error{s.addIssuers, s.addCertificates, s.addRequests} {
		if err := add(ctx); err != nil {
			return err
		}
	}
	for _, add := range []func() error{s.addOrders, s.addChallenges} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) addCertificates(ctx context.Context) error {
	c, err := certificate.New(certificate.Deps{
		Cache: s.manager.GetCache(), Secrets: s.secrets, Requests: s.requests, Answers: s.answers, Issuers: s.issuers,
		Approval: s.approval, Server: s.server, Keys: s.keys, Clock: s.clock,
	}, certificate.Config{
		Backoff: s.options.Backoff, OwnSecrets: s.options.EnableCertificateOwnerRef,
		CopiedAnnotations: s.options.CopiedAnnotationPrefixes, Limits: s.options.Limits,
	}, s.metrics.Failed("certificates"))
	if err != nil {
		return err
	}
	return s.builder.Register(ctx, c.Registration())
}

func (s *system) addRequests(ctx context.Context) error {
	c, err := certificaterequest.New(certificaterequest.Deps{
		Requests: s.requests, Orders: s.orders, Answers: s.answers, Issuers: s.issuers, Approval: s.approval,
		Types: &s.types, Server: s.server, Clock: s.clock,
	}, certificaterequest.Config{Limits: s.options.Limits}, s.metrics.Failed("certificaterequests"))
	if err != nil {
		return err
	}
	return s.builder.Register(ctx, c.Registration())
}

func (s *system) addIssuers(ctx context.Context) error {
	for kind, name := range map[string]string{cmv1.IssuerKind: "issuers", cmv1.ClusterIssuerKind: "clusterissuers"} {
		if s.kinds()[kind] == nil {
			continue
		}
		c, err := issuercontroller.New(issuercontroller.Deps{
			Kind: kind, Cache: s.manager.GetCache(), Issuers: s.issuers, Types: &s.types, Server: s.server,
			AccountReady: s.accountReady, News: s.issuerNews, Clock: s.clock,
		}, s.metrics.Failed(name))
		if err != nil {
			return err
		}
		if err := s.builder.Register(ctx, c.Registration()); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) addOrders() error {
	cache := s.manager.GetCache()
	r := &order.Reconciler{
		Cache: cache, Live: s.manager.GetAPIReader(), Issuers: s.issuers, Accounts: s.accounts, WakeIssuer: s.wakeIssuer,
		Write: s.write, Events: s.events, Wait: s.waits[cluster.Order], Clock: s.clock, Limits: s.options.Limits,
	}
	sources := append(s.issuerEvents(s.ordersOf),
		s.related(&acmev1.Challenge{}, func(_ context.Context, o client.Object) []types.NamespacedName {
			return cluster.ControllerOf(o, acmev1.OrderKind)
		}),
		s.related(&acmev1.Order{}, order.Class(cache)))
	return s.add(cluster.Order, "orders", serverShare, 5*time.Minute, r, sources...)
}

func (s *system) addChallenges() error {
	mode := propagation.Authoritative
	if s.options.RecursiveNameserversOnly {
		mode = propagation.RecursiveOnly
	}
	s.solver = &challenge.Reconciler{
		Cache: s.manager.GetCache(), Live: s.manager.GetAPIReader(), Issuers: s.issuers, Accounts: s.accounts, WakeIssuer: s.wakeIssuer,
		Providers: &challenge.Providers{
			Registry: providers.All(), Secrets: cluster.IssuerSecrets{Secrets: s.secrets, Writer: s.write},
			Resolver: s.resolver, Clock: s.clock,
		},
		Propagation: &challenge.Propagation{Resolver: s.resolver, Mode: mode, Retry: s.options.CheckRetryPeriod, Clock: s.clock},
		Ledger:      &propagation.Ledger{}, Failures: &challenge.Failures{}, Slots: challenge.NewSlots(s.options.MaxConcurrentChallenges),
		Write: s.write, Events: s.events, Wait: s.waits[cluster.Challenge], Clock: s.clock, Abandoned: s.metrics.RecordAbandoned,
	}
	sources := append(s.issuerEvents(func(ctx context.Context, i cmv1.GenericIssuer) []types.NamespacedName {
		return s.solver.Retry(s.challengesOf(ctx, i))
	}), s.related(&acmev1.Order{}, s.challengesOfOrder))
	sources = append(sources, s.secretEvents(s.challengesOfSecret)...)
	return s.add(cluster.Challenge, "challenges", serverShare, 30*time.Minute, s.solver, sources...)
}
