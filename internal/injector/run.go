package injector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller/cainjector"
	"github.com/everleaf/everleaf/internal/metrics"
)

const (
	// leaseName is cert-manager's, so that the two never work at once.
	leaseName = "cert-manager-cainjector-leader-election"
	// leaseTolerance is how long beyond the duration of a lease the process goes on
	// that is not allowed to use its lease. Nothing probes the cainjector: its end
	// makes the fault visible.
	leaseTolerance = 4 * time.Minute
	// crdInterval is the time between two looks for the CRD of Certificates.
	crdInterval = 2 * time.Second
)

// Run runs the cainjector until ctx ends or it fails.
func Run(ctx context.Context, base *rest.Config, o Options, log logr.Logger) error {
	if err := errors.Join(o.Check(), o.Listeners().Try()); err != nil {
		return err
	}
	ctrl.SetLogger(log)
	for _, warning := range o.ineffective() {
		log.Info(warning)
	}
	rc := rest.CopyConfig(base)
	if rc.UserAgent == "" {
		rc.UserAgent = "everleaf-cainjector"
	}
	// The workers bound the requests.
	rc.QPS = -1
	writes := metrics.NewWrites()
	rc.Wrap(writes.Wrap)
	rc.Wrap(component.Rewatch(log))
	core, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("start the cainjector: %w", err)
	}
	if o.WatchCertificates {
		if err := waitForCRD(ctx, log, o.CRDTimeout, func() (bool, error) { return knowsCertificates(core.Discovery()) }); err != nil {
			return err
		}
	}
	options, err := o.managerOptions(log)
	if err != nil {
		return fmt.Errorf("start the cainjector: %w", err)
	}
	caches := component.NewCaches(ctx, log)
	caches.Set(&options)
	lease := o.LeaderElection.Observe(&options, rc, clock.RealClock{})
	keepCertificate, err := o.MetricsTLS.ServeMetrics(&options.Metrics, func() (kubernetes.Interface, error) { return core, nil }, log.WithName("metrics"))
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rc, options)
	if err != nil {
		return fmt.Errorf("start the cainjector: %w", err)
	}
	if err := keepCertificate(mgr); err != nil {
		return err
	}
	if err := mgr.Add(component.Always(func(ctx context.Context) error { return lease.Watch(ctx, leaseTolerance) })); err != nil {
		return err
	}
	if err := o.Profiles.Add(mgr); err != nil {
		return err
	}
	if err := o.register(ctx, mgr, core, rc); err != nil {
		return fmt.Errorf("start the cainjector: %w", err)
	}
	// A registry of its own, so that Run can unregister all metrics at once.
	registry := prometheus.NewRegistry()
	if err := registry.Register(writes); err != nil {
		return fmt.Errorf("register the metrics: %w", err)
	}
	hide, err := component.Expose(registry, o.Registerer)
	if err != nil {
		return err
	}
	defer hide()
	return caches.Run(mgr.Start)
}

// ineffective says which feature gates were set without effect.
func (o *Options) ineffective() []string {
	if o.features == nil {
		return nil
	}
	return gates.Ineffective(o.features)
}

func (o *Options) managerOptions(log logr.Logger) (manager.Options, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cmv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return manager.Options{}, err
		}
	}
	options := manager.Options{
		Scheme: scheme,
		Logger: log,
		Cache: cache.Options{
			ReaderFailOnMissingInformer: true,
			// Nothing changes what it reads.
			DefaultUnsafeDisableDeepCopy: ptr.To(true),
			DefaultTransform:             cainjector.Compact,
		},
		Metrics: metricsserver.Options{BindAddress: o.MetricsListenAddress},
		// Several cainjectors may run in one process, in tests.
		Controller: config.Controller{SkipNameValidation: ptr.To(true), RecoverPanic: ptr.To(true)},
	}
	if o.Scope.Namespace != "" {
		only := cache.ByObject{Namespaces: map[string]cache.Config{o.Scope.Namespace: {}}}
		options.Cache.ByObject = map[client.Object]cache.ByObject{&corev1.Secret{}: only, &cmv1.Certificate{}: only}
	}
	o.LeaderElection.Elect(&options, leaseName)
	return options, nil
}

// register makes the controllers.
func (o *Options) register(ctx context.Context, mgr ctrl.Manager, core kubernetes.Interface, rc *rest.Config) error {
	writer, err := metadata.NewForConfigAndClient(rc, mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	authorities := &cainjector.Authorities{
		Scope: o.Scope, Cache: mgr.GetCache(), Certificates: mgr.GetAPIReader(), Core: core,
		APIServer: func() ([]byte, error) { return apiServerCA(rc) },
	}
	if o.WatchCertificates {
		authorities.Certificates = mgr.GetCache()
	}
	for _, target := range o.targets() {
		r, err := cainjector.New(cainjector.Deps{
			Cache: mgr.GetCache(), Authorities: authorities, Core: core, Metadata: writer, Clock: clock.RealClock{},
		}, target)
		if err != nil {
			return err
		}
		if err := r.Register(ctx, mgr, o.WatchCertificates); err != nil {
			return err
		}
	}
	return nil
}

// apiServerCA is the CA that the connection to the API server is checked by. The file
// of a pod's service account may change.
func apiServerCA(rc *rest.Config) ([]byte, error) {
	if len(rc.CAData) > 0 || rc.CAFile == "" {
		return rc.CAData, nil
	}
	ca, err := os.ReadFile(rc.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the API server: %w", err)
	}
	return ca, nil
}

// waitForCRD waits until the API server knows Certificates.
func waitForCRD(ctx context.Context, log logr.Logger, timeout time.Duration, known func() (bool, error)) error {
	var last error
	told := false
	err := wait.PollUntilContextTimeout(ctx, crdInterval, timeout, true, func(context.Context) (bool, error) {
		var found bool
		if found, last = known(); found {
			return true, nil
		}
		if !told {
			told = true
			log.Info("Waiting for the CRD certificates.cert-manager.io", "timeout", timeout.String(), "error", last)
		}
		return false, nil
	})
	switch {
	case err == nil, ctx.Err() != nil:
		return ctx.Err()
	case last != nil:
		return fmt.Errorf("the API server has not said within %s whether it has the CRD certificates.cert-manager.io: %w", timeout, last)
	default:
		return fmt.Errorf("the CRD certificates.cert-manager.io has not been installed within %s: install the CRDs, or set --enable-certificates-data-source=false, which needs none", timeout)
	}
}

// knowsCertificates reports whether the API server has the CRD of Certificates.
func knowsCertificates(server discovery.ServerResourcesInterface) (bool, error) {
	resources, err := server.ServerResourcesForGroupVersion(cmv1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, r := range resources.APIResources {
		if r.Kind == cmv1.CertificateKind {
			return true, nil
		}
	}
	return false, nil
}
