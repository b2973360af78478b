package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

// maxIssuers bounds the issuers that have series of their own: anybody who may
// create Issuers adds to them.
const maxIssuers = 256

// issuerLabels are the labels of an issuer, in the order of issuerLabelNames.
type issuerLabels struct{ namespace, name, kind string }

var issuerLabelNames = []string{"issuer_namespace", "issuer_name", "issuer_kind"}

// issuances counts the requests that own issuers have answered.
type issuances struct {
	clock    clock.PassiveClock
	duration *prometheus.HistogramVec
	failures *prometheus.CounterVec
	seen     *series[issuerLabels]
}

func newIssuances(c clock.PassiveClock) *issuances {
	return &issuances{
		clock: c, seen: newSeries[issuerLabels](maxIssuers),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "everleaf_issuance_duration_seconds",
			Help:    "Time from the creation of a CertificateRequest to its certificate, in seconds.",
			Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
		}, issuerLabelNames),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "everleaf_issuance_failures_total",
			Help: "Number of CertificateRequests that failed.",
		}, append([]string{"reason"}, issuerLabelNames...)),
	}
}

// observe counts a CertificateRequest when the event of its end is sent, which
// happens once. Other events count nothing.
func (i *issuances) observe(object runtime.Object, e plan.Event) {
	r, ok := object.(*cmv1.CertificateRequest)
	if !ok {
		return
	}
	failed := e.Warning && r.Status.FailureTime != nil
	issued := !e.Warning && e.Reason == cmv1.EventReasonCertificateIssued
	if !failed && !issued {
		return
	}
	ref := r.Spec.IssuerRef.WithDefaults()
	l := issuerLabels{namespace: r.Namespace, name: ref.Name, kind: ref.Kind}
	if l.kind == cmv1.ClusterIssuerKind {
		l.namespace = ""
	}
	if !i.seen.own(l) {
		l = issuerLabels{other, other, other}
	}
	if failed {
		i.failures.WithLabelValues(e.Reason, l.namespace, l.name, l.kind).Inc()
		return
	}
	i.duration.WithLabelValues(l.namespace, l.name, l.kind).Observe(max(0, i.clock.Since(r.CreationTimestamp.Time).Seconds()))
}
