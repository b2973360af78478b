package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

var (
	certificateLabels = []string{"name", "namespace", "issuer_name", "issuer_kind", "issuer_group"}

	certificateReady = prometheus.NewDesc("certmanager_certificate_ready_status",
		"Whether the condition Ready of a Certificate has the status that the label condition names.",
		append([]string{"condition"}, certificateLabels...), nil)
	certificateNotBefore = prometheus.NewDesc("certmanager_certificate_not_before_timestamp_seconds",
		"When a certificate becomes valid, in seconds since 1970; 0 if there is none.", certificateLabels, nil)
	certificateNotAfter = prometheus.NewDesc("certmanager_certificate_not_after_timestamp_seconds",
		"When a certificate expires, in seconds since 1970; 0 if there is none.", certificateLabels, nil)
	certificateExpiration = prometheus.NewDesc("certmanager_certificate_expiration_timestamp_seconds",
		"The same as certmanager_certificate_not_after_timestamp_seconds.", certificateLabels, nil)
	certificateRenewal = prometheus.NewDesc("certmanager_certificate_renewal_timestamp_seconds",
		"When a certificate will be renewed, in seconds since 1970; 0 if that is not planned.", certificateLabels, nil)
)

// certificates collects the metrics of Certificates.
func certificates(r reader) prometheus.Collector {
	return collect(r, &cmv1.CertificateList{}, func(ch chan<- prometheus.Metric, cert *cmv1.Certificate) {
		issuer := cert.Spec.IssuerRef
		labels := []*dto.LabelPair{
			label("issuer_group", issuer.Group), label("issuer_kind", issuer.Kind), label("issuer_name", issuer.Name),
			label("name", cert.Name), label("namespace", cert.Namespace),
		}
		sendCondition(ch, certificateReady, labels, condition.Status(cert.Status.Conditions, cmv1.CertificateConditionReady))
		ch <- gauge{certificateNotBefore, labels, timestamp(cert.Status.NotBefore)}
		notAfter := timestamp(cert.Status.NotAfter)
		ch <- gauge{certificateNotAfter, labels, notAfter}
		ch <- gauge{certificateExpiration, labels, notAfter}
		ch <- gauge{certificateRenewal, labels, timestamp(cert.Status.RenewalTime)}
	}, certificateReady, certificateNotBefore, certificateNotAfter, certificateExpiration, certificateRenewal)
}

var overdueRenewal = prometheus.NewDesc("everleaf_oldest_overdue_renewal_seconds",
	"How long the renewal of a certificate is overdue, in seconds: of the one that should have been renewed first; 0 if none is overdue.",
	nil, nil)

// overdue collects how long renewals are overdue.
type overdue struct {
	reader
	clock clock.PassiveClock
}

// Describe implements prometheus.Collector.
func (overdue) Describe(ch chan<- *prometheus.Desc) { ch <- overdueRenewal }

// Collect implements prometheus.Collector. It sends nothing if the cache cannot
// list Certificates, which the other collector of Certificates logs.
func (o overdue) Collect(ch chan<- prometheus.Metric) {
	now, longest := o.clock.Now(), time.Duration(0)
	if each(o.reader, &cmv1.CertificateList{}, func(cert *cmv1.Certificate) {
		if at := cert.Status.RenewalTime; !at.IsZero() {
			longest = max(longest, now.Sub(at.Time))
		}
	}) {
		ch <- prometheus.MustNewConstMetric(overdueRenewal, prometheus.GaugeValue, longest.Seconds())
	}
}
