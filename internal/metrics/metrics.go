// Package metrics has the controller's Prometheus metrics. Metrics with the
// prefix certmanager_ have cert-manager's names, labels and values, so that
// dashboards and alerts written for it work. docs/metrics.md lists all metrics.
package metrics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/plan"
)

// Metrics counts what the controllers do. It is safe for concurrent use.
type Metrics struct {
	acme             acmeRequests
	venafi           venafiRequests
	vault            *prometheus.HistogramVec
	issuances        *issuances
	syncs            *prometheus.CounterVec
	syncErrors       *prometheus.CounterVec
	eventsDropped    prometheus.Counter
	recordsAbandoned prometheus.Counter
	http01Requests   *prometheus.CounterVec
	waiting          *waiting
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
		acme: newACMERequests(), venafi: newVenafiRequests(), vault: newVaultCalls(), issuances: newIssuances(c), waiting: &waiting{clock: c},
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_controller_sync_call_count",
			Help: "The number of sync() calls made by a controller. Label: controller (fixed small set of controller names).",
		}, []string{"controller"}),
		syncErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_controller_sync_error_count",
			Help: "The number of errors encountered during controller sync(). Label: controller. Use with controller_sync_call_count to derive error rates.",
		}, []string{"controller"}),
		eventsDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "everleaf_events_dropped_total",
			Help: "Number of Kubernetes events that were not sent because too many were waiting.",
		}),
		recordsAbandoned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "everleaf_dns01_records_abandoned_total",
			Help: "Number of DNS-01 TXT records that could not be removed and were left behind.",
		}),
		http01Requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "everleaf_http01_responder_requests_total",
			Help: "Number of requests that the shared HTTP-01 responder of this process has answered, by what became of them.",
		}, []string{"result"}),
	}
	scraped := reader{cache: cache, log: log}
	err := registerAll(reg,
		m.acme.count, m.acme.duration, m.venafi.count, m.venafi.duration, m.venafi.calls, m.vault, m.issuances.duration, m.issuances.failures, m.syncs, m.syncErrors, m.eventsDropped, m.recordsAbandoned, m.http01Requests, m.waiting,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "certmanager_clock_time_seconds",
			Help: "DEPRECATED: use clock_time_seconds_gauge instead. The clock time given in seconds (from 1970/01/01 UTC).",
		}, seconds(c)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "certmanager_clock_time_seconds_gauge",
			Help: "The clock time given in seconds (from 1970/01/01 UTC). Gauge form of the deprecated clock_time_seconds counter. No labels.",
		}, seconds(c)),
		certificates{scraped}, overdue{reader{cache: cache, log: logr.Discard()}, c}, challenges(scraped), issuers(scraped), clusterIssuers(scraped),
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

// looks are cert-manager's controllers whose work every reconciliation of one of
// ours does, and steps those whose work its actions do. Of a controller that has
// neither, the name is cert-manager's.
var (
	looks = map[string][]string{
		"certificates":        {"certificates-trigger", "certificates-readiness"},
		"renewal-information": {"certificates-readiness"},
		"certificaterequests": {"certificaterequests-approver"},
		// Only its actions count.
		"certificatesigningrequests": {},
	}
	steps = map[string][]string{
		"certificates": {"certificates-issuing", "certificates-key-manager", "certificates-request-manager", "certificates-revision-manager"},
		"certificaterequests": {
			"certificaterequests-issuer-acme", "certificaterequests-issuer-ca", "certificaterequests-issuer-selfsigned",
			"certificaterequests-issuer-vault", "certificaterequests-issuer-venafi",
		},
		"certificatesigningrequests": {
			"certificatesigningrequests-issuer-acme", "certificatesigningrequests-issuer-ca", "certificatesigningrequests-issuer-selfsigned",
			"certificatesigningrequests-issuer-vault", "certificatesigningrequests-issuer-venafi",
		},
	}
)

// upstream returns the names that reconciliations of a controller count under.
func upstream(controller string) []string {
	if names := looks[controller]; names != nil {
		return names
	}
	return []string{controller}
}

// Count returns a reconciler that calls r and counts the calls under the names of
// the controllers of cert-manager that do the work of a controller, such as
// "certificates" or "orders".
func (m *Metrics) Count(controller string, r reconcile.Reconciler) reconcile.Reconciler {
	// All series exist with 0 from the start, so that a rate is visible from the
	// first error on.
	var calls []prometheus.Counter
	for _, name := range upstream(controller) {
		calls = append(calls, m.syncs.WithLabelValues(name))
		m.syncErrors.WithLabelValues(name)
	}
	for _, name := range steps[controller] {
		m.syncs.WithLabelValues(name)
		m.syncErrors.WithLabelValues(name)
	}
	failed := m.Failed(controller)
	return reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		for _, c := range calls {
			c.Inc()
		}
		result, err := r.Reconcile(ctx, request)
		if err != nil {
			failed()
		}
		return result, err
	})
}

// Step counts an action as a call of a controller of cert-manager.
func (m *Metrics) Step(controller string, failed bool) {
	m.syncs.WithLabelValues(controller).Inc()
	if failed {
		m.syncErrors.WithLabelValues(controller).Inc()
	}
}

// Failed returns a function that counts a failure of a controller that is not one
// of its steps.
func (m *Metrics) Failed(controller string) func() {
	names := append(slices.Clone(upstream(controller)), steps[controller]...)
	return m.syncErrors.WithLabelValues(names[0]).Inc
}

// ObserveEvent counts what the event of an object says: the end of a
// CertificateRequest.
func (m *Metrics) ObserveEvent(object runtime.Object, e plan.Event) { m.issuances.observe(object, e) }

// EventDropped counts a Kubernetes event that was not sent.
func (m *Metrics) EventDropped() { m.eventsDropped.Inc() }

// HTTP01Responder returns a function that counts a request to the shared HTTP-01 responder
// by its result, one of results. It allocates nothing, because foreigners decide how many
// requests there are.
func (m *Metrics) HTTP01Responder(results []string) func(result string) {
	counters := map[string]prometheus.Counter{}
	for _, r := range results {
		counters[r] = m.http01Requests.WithLabelValues(r)
	}
	return func(result string) {
		if c := counters[result]; c != nil {
			c.Inc()
		}
	}
}

// RecordAbandoned counts a TXT record of a challenge that was left behind.
func (m *Metrics) RecordAbandoned() { m.recordsAbandoned.Inc() }
