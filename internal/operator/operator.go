package operator

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/metrics"
)

const (
	// leaseName is cert-manager's, so that the two never work at once.
	leaseName = "cert-manager-controller"
	// probeTimeout is how long the API server's first answer is waited for.
	probeTimeout = 10 * time.Second
)

// Scheme knows all kinds that the controllers use.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cmv1.AddToScheme, acmev1.AddToScheme, gwapi.Install} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// Run runs the controllers until ctx ends or they fail.
func Run(ctx context.Context, base *rest.Config, o Options, log logr.Logger) error {
	if err := o.Check(); err != nil {
		return err
	}
	if err := o.Listeners().Try(); err != nil {
		return err
	}
	ctrl.SetLogger(log)
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	rc := rest.CopyConfig(base)
	if rc.UserAgent == "" {
		rc.UserAgent = "everleaf"
	}
	if err := limit(ctx, rc, o); err != nil {
		return err
	}
	for _, warning := range o.ineffective() {
		log.Info(warning)
	}
	writes := metrics.NewWrites()
	rc.Wrap(writes.Wrap)
	rc.Wrap(component.Rewatch(log))
	watches, err := cluster.NewWatches(rc, scheme, o.Namespace)
	if err != nil {
		return err
	}
	options := managerOptions(o, scheme, log)
	caches := component.NewCaches(ctx, log)
	caches.Set(&options)
	options.Cache.NewInformer = watches.NewInformer
	lease := o.LeaderElection.Observe(&options, rc, clock.RealClock{})
	core := func() (kubernetes.Interface, error) { return kubernetes.NewForConfig(rc) }
	keepCertificate, err := o.MetricsTLS.ServeMetrics(&options.Metrics, core, log.WithName("metrics"))
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rc, options)
	if err != nil {
		return fmt.Errorf("start the controllers: %w", missingCRDs(err))
	}
	if err := keepCertificate(mgr); err != nil {
		return err
	}
	// cert-manager's two checks.
	leader := func(*http.Request) error { return lease.Check(o.LeaderTimeout) }
	for name, check := range map[string]healthz.Checker{"clockHealth": component.ClockHealth(), "leaderElection": leader} {
		if err := mgr.AddHealthzCheck(name, check); err != nil {
			return err
		}
	}
	if err := o.Profiles.Add(mgr); err != nil {
		return err
	}
	// A registry of its own, so that Run can unregister all metrics at once.
	registry := prometheus.NewRegistry()
	if err := registry.Register(writes); err != nil {
		return fmt.Errorf("register the metrics: %w", err)
	}
	s, err := newSystem(ctx, mgr, rc, o, registry, caches)
	if err != nil {
		return err
	}
	if err := s.register(ctx); err != nil {
		return err
	}
	hide, err := component.Expose(registry, o.Registerer)
	if err != nil {
		return err
	}
	defer hide()
	defer s.sendEvents(ctx)()
	defer s.responding.End()
	return caches.Run(mgr.Start)
}

// limit sets how many requests per second may go to the API server: any number if
// its API Priority and Fairness throttles by itself. It fails if the server cannot
// be reached.
func limit(ctx context.Context, rc *rest.Config, o Options) error {
	rc.QPS = -1
	client, err := rest.HTTPClientFor(rc)
	if err != nil {
		return fmt.Errorf("start the controllers: %w", err)
	}
	server, _, err := rest.DefaultServerUrlFor(rc)
	if err != nil {
		return fmt.Errorf("start the controllers: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath("livez", "ping").String(), nil)
	if err != nil {
		return fmt.Errorf("start the controllers: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("cannot reach the API server: %w; check the address in the kubeconfig or in --master, and that the server runs", err)
	}
	defer answer.Body.Close()
	if answer.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID) == "" {
		rc.QPS, rc.Burst = o.QPS, o.Burst
	}
	return nil
}

func managerOptions(o Options, scheme *runtime.Scheme, log logr.Logger) manager.Options {
	options := manager.Options{
		Scheme: scheme,
		Logger: log,
		Cache: cache.Options{
			Scheme:                      scheme,
			ReaderFailOnMissingInformer: true,
			// Nothing changes what it reads: writes start from deep copies.
			DefaultUnsafeDisableDeepCopy: ptr.To(true),
			DefaultTransform:             cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&cmv1.Certificate{}:     {Transform: cluster.CompactCertificate},
				&networkingv1.Ingress{}: {Transform: cluster.CompactIngress(o.Shims.Reads)},
			},
		},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: false}},
		Metrics: metricsserver.Options{BindAddress: o.MetricsListenAddress},

		HealthProbeBindAddress: o.HealthzListenAddress,
		LivenessEndpointName:   "/livez",

		// Several systems may run in one process.
		Controller: config.Controller{SkipNameValidation: ptr.To(true), RecoverPanic: ptr.To(true)},
	}
	o.LeaderElection.Elect(&options, leaseName)
	if o.Namespace != "" {
		// The informers list and watch under this namespace's path, for which
		// its permissions are enough. DefaultNamespaces would do the same, by
		// informers without a store, so that their lag would not be known.
		options.Cache.DefaultFieldSelector = fields.OneTermEqualSelector("metadata.namespace", o.Namespace)
	}
	return options
}

// missingCRDs says what to do about an API server that does not know our kinds.
func missingCRDs(err error) error {
	if !meta.IsNoMatchError(err) {
		return err
	}
	return fmt.Errorf("the API server does not know all kinds of cert-manager.io and acme.cert-manager.io: install the CRDs: set crds.enabled=true in the values of the chart: %w", err)
}

// informers are those behind the caches of kinds.
func informers(ctx context.Context, c cache.Cache, kinds map[string]client.Object) (map[string]toolscache.SharedIndexInformer, error) {
	found := map[string]toolscache.SharedIndexInformer{}
	for kind, object := range kinds {
		informer, err := c.GetInformer(ctx, object)
		if err != nil {
			return nil, fmt.Errorf("cache of %T: %w", object, missingCRDs(err))
		}
		shared, ok := informer.(toolscache.SharedIndexInformer)
		if !ok {
			return nil, fmt.Errorf("cache of %T: an informer of type %T has no store", object, informer)
		}
		found[kind] = shared
	}
	return found, nil
}
