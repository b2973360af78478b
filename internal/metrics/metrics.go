// Package metrics has the controller's Prometheus metrics. Metrics with the
// prefix certmanager_ have cert-manager's names, labels and values, so that
// dashboards and alerts written for it work. docs/metrics.md lists all metrics.
package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Metrics counts what the controllers do. It is safe for concurrent use.
type Metrics struct {
	acme             acmeRequests
	syncs            *prometheus.CounterVec
	syncErrors       *prometheus.CounterVec
	eventsDropped    prometheus.Counter
	recordsAbandoned prometheus.Counter
}

// New registers all metrics with reg: the counters of the returned Metrics, the
// clock's metrics, and collectors that read Certificates, Challenges, Issuers
// and ClusterIssuers from cache at each scrape and retain nothing. If one
// registration fails, New undoes the others.
//
// cache should be controller-runtime's. A scrape leaves out a kind that the
// cache cannot list because it has not started or has no informer for the kind.
func New(reg prometheus.Registerer, cache client.Reader, log logr.Logger, c clock.PassiveClock) (*Metrics, error) {
	m := &Metrics{
		acme: newACMERequests(),
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_controller_sync_call_count",
			Help: "Number of times that a controller has looked at one of its objects.",
		}, []string{"controller"}),
		syncErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_controller_sync_error_count",
			Help: "Number of failures: each action that failed, such as a write to the API server, a refused DNS update or a request that a CA rejected, whether it is retried or not, and each reconciliation that could not read what it needs.",
		}, []string{"controller"}),
		eventsDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "everleaf_events_dropped_total",
			Help: "Number of Kubernetes events that were not sent because too many were waiting.",
		}),
		recordsAbandoned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "everleaf_dns01_records_abandoned_total",
			Help: "Number of DNS-01 TXT records that could not be removed and were left behind.",
		}),
	}
	scraped := reader{cache: cache, log: log}
	err := registerAll(reg,
		m.acme.count, m.acme.duration, m.syncs, m.syncErrors, m.eventsDropped, m.recordsAbandoned,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "certmanager_clock_time_seconds",
			Help: "Deprecated: use certmanager_clock_time_seconds_gauge. The controller's clock in seconds since 1970.",
		}, seconds(c)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "certmanager_clock_time_seconds_gauge",
			Help: "The controller's clock in seconds since 1970.",
		}, seconds(c)),
		certificates(scraped), challenges(scraped), issuers(scraped), clusterIssuers(scraped),
	)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func registerAll(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	for i, c := range collectors {
		if err := reg.Register(c); err != nil {
			for _, done := range collectors[:i] {
				reg.Unregister(done)
			}
			return fmt.Errorf("metrics cannot be registered: %w", err)
		}
	}
	return nil
}

func seconds(c clock.PassiveClock) func() float64 {
	return func() float64 { return float64(c.Now().Unix()) }
}

// ObserveACME counts a request to an ACME server. It has the signature of
// acme.Config.Observe: a status of 0 means that no response arrived.
func (m *Metrics) ObserveACME(action, method, host, scheme string, status int, d time.Duration) {
	m.acme.observe(action, method, host, scheme, status, d)
}

// Count returns a reconciler that calls r and counts the calls under a
// controller's name, such as "certificates" or "orders".
func (m *Metrics) Count(controller string, r reconcile.Reconciler) reconcile.Reconciler {
	// Both series exist with 0 from the start, so that a rate is visible from
	// the first error on.
	calls, failures := m.syncs.WithLabelValues(controller), m.syncErrors.WithLabelValues(controller)
	return reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		calls.Inc()
		result, err := r.Reconcile(ctx, request)
		if err != nil {
			failures.Inc()
		}
		return result, err
	})
}

// Failed returns a function that counts a failure of a controller.
func (m *Metrics) Failed(controller string) func() {
	return m.syncErrors.WithLabelValues(controller).Inc
}

// EventDropped counts a Kubernetes event that was not sent.
func (m *Metrics) EventDropped() { m.eventsDropped.Inc() }

// RecordAbandoned counts a TXT record of a challenge that was left behind.
func (m *Metrics) RecordAbandoned() { m.recordsAbandoned.Inc() }
