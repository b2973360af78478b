package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/everleaf/everleaf/internal/component"
)

// errInsecure ends the start without TLS: API servers call webhooks by HTTPS only.
var errInsecure = errors.New("no CertificateSource specified: set --dynamic-serving-ca-secret-namespace, --dynamic-serving-ca-secret-name and --dynamic-serving-dns-names, or --tls-cert-file and --tls-private-key-file")

// Run serves the webhook until ctx ends or it fails. It reaches the API server when
// it needs it: to keep its CA, and to ask who may approve.
func Run(ctx context.Context, rc *rest.Config, o Options, log logr.Logger) error {
	if err := o.Check(); err != nil {
		return err
	}
	ctrl.SetLogger(log)
	for _, warning := range o.ineffective() {
		log.Info(warning)
	}
	rc = rest.CopyConfig(rc)
	rc.QPS = -1
	if rc.UserAgent == "" {
		rc.UserAgent = "everleaf"
	}
	rc.Wrap(component.Rewatch(log))
	core, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("start the webhook: %w", err)
	}
	reviews, err := kubernetes.NewForConfig(asker(rc))
	if err != nil {
		return fmt.Errorf("start the webhook: %w", err)
	}
	client := func() (kubernetes.Interface, error) { return core, nil }
	certificate, err := o.TLS.Source(client, log.WithName("webhook"))
	if err != nil {
		return fmt.Errorf("serve with TLS: %w", err)
	}
	if certificate == nil {
		log.Info("serving insecurely as tls certificate data not provided")
		return errInsecure
	}
	config := &tls.Config{}
	o.TLS.Configure(config, certificate)
	if err := o.Clients.configure(config, log); err != nil {
		return fmt.Errorf("verify clients: %w", err)
	}
	handler, err := newHandler(&Validator{Gates: o.Gates, Limits: o.Limits, Approval: newPermissions(reviews, clock.RealClock{}, log)}, log)
	if err != nil {
		return err
	}
	s := newServer(certificate, config, handler, o.Grace, clock.RealClock{}, log)

	admission, probes, err := o.listen()
	if err != nil {
		return err
	}
	log.Info("Serving", "address", admission.Addr().String())
	g := newGroup(ctx)
	defer g.end()
	if err := g.Add(manager.RunnableFunc(certificate.Start)); err != nil {
		return err
	}
	if err := o.serveMetrics(g, rc, client, log.WithName("metrics")); err != nil {
		return err
	}
	if err := o.Profiles.Add(g); err != nil {
		return err
	}
	return g.run(func(ctx context.Context) error { return s.serve(ctx, admission, probes) })
}

// serveMetrics adds the server of the metrics, if they are served.
func (o *Options) serveMetrics(g *group, rc *rest.Config, client func() (kubernetes.Interface, error), log logr.Logger) error {
	options := metricsserver.Options{BindAddress: o.MetricsListenAddress}
	keepCertificate, err := o.MetricsTLS.ServeMetrics(&options, client, log)
	if err != nil {
		return err
	}
	server, err := metricsserver.NewServer(options, rc, nil)
	if err != nil || server == nil {
		return err
	}
	if err := keepCertificate(g); err != nil {
		return err
	}
	return g.Add(server)
}

// group runs what is beside a main function, as long as this runs.
type group struct {
	*errgroup.Group
	// main ends when the program has to stop, all when nothing is needed any more.
	main, all context.Context
	end       context.CancelFunc
}

func newGroup(ctx context.Context) *group {
	all, end := context.WithCancel(context.WithoutCancel(ctx))
	g, all := errgroup.WithContext(all)
	return &group{g, ctx, all, end}
}

// Add starts what runs beside.
func (g *group) Add(r manager.Runnable) error {
	g.Go(func() error { return r.Start(g.all) })
	return nil
}

// run runs the main function until the program has to stop or anything fails, then
// ends the rest, and returns the first error.
func (g *group) run(main func(context.Context) error) error {
	ctx, stop := context.WithCancel(g.main)
	defer stop()
	defer context.AfterFunc(g.all, stop)()
	g.Go(func() error {
		defer g.end()
		return main(ctx)
	})
	return g.Wait()
}

// listen opens the ports of admission and, unless there is none, of the probes, and
// makes sure that the other addresses are free. The error says which value of
// the chart names a port that is in use.
func (o *Options) listen() (admission, probes net.Listener, err error) {
	var bad component.Complaints
	listen := func(flag, address, advice string) net.Listener {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			bad.Add(flag, "cannot listen on %q: %v; choose another one (in the chart, %s)", address, err, advice)
			return nil
		}
		return listener
	}
	admission = listen(flagSecurePort, ":"+strconv.Itoa(o.SecurePort), "webhook.securePort, or webhook.config.securePort if that is set")
	if o.HealthzPort != 0 {
		probes = listen(flagHealthzPort, ":"+strconv.Itoa(o.HealthzPort), "webhook.config.healthzPort")
	}
	for flag, address := range o.otherListeners() {
		advice := map[string]string{flagMetrics: "webhook.config.metricsListenAddress", component.FlagProfiles: "webhook.config.pprofAddress"}[flag]
		if address == "0" {
			continue
		}
		if listener := listen(flag, address, advice); listener != nil {
			listener.Close()
		}
	}
	if err := bad.Err(); err != nil {
		for _, listener := range []net.Listener{admission, probes} {
			if listener != nil {
				listener.Close()
			}
		}
		return nil, nil, err
	}
	return admission, probes, nil
}
