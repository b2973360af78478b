package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

var (
	certificateLabels = []string{"name", "namespace", "issuer_name", "issuer_kind", "issuer_group"}

	certificateReady = prometheus.NewDesc("certmanager_certificate_ready_status",
		"The ready status of the certificate.",
		append([]string{"condition"}, certificateLabels...), nil)
	certificateNotBefore = prometheus.NewDesc("certmanager_certificate_not_before_timestamp_seconds",
		"The timestamp before which the certificate is invalid, expressed as a Unix Epoch Time.", certificateLabels, nil)
	certificateNotAfter = prometheus.NewDesc("certmanager_certificate_not_after_timestamp_seconds",
		"The timestamp after which the certificate is invalid, expressed as a Unix Epoch Time.", certificateLabels, nil)
	certificateExpiration = prometheus.NewDesc("certmanager_certificate_expiration_timestamp_seconds",
		"The timestamp after which the certificate expires, expressed in Unix Epoch Time.", certificateLabels, nil)
	certificateRenewal = prometheus.NewDesc("certmanager_certificate_renewal_timestamp_seconds",
		"The timestamp after which the certificate should be renewed, expressed in Unix Epoch Time.", certificateLabels, nil)
)

var issuancesHalted = prometheus.NewDesc("everleaf_certificate_issuances_halted",
	"1 for each Certificate that is not issued any more because it was issued too often: something undoes each issuance.",
	certificateLabels, nil)

// certificates collects the metrics of Certificates.
type certificates struct{ reader }

// Describe implements prometheus.Collector.
func (certificates) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{issuancesHalted, certificateReady, certificateNotBefore, certificateNotAfter, certificateExpiration, certificateRenewal} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It sends the series of a metric in the order in
// which a registry sorts them: to sort seven for each Certificate takes a quarter of a scrape.
func (c certificates) Collect(ch chan<- prometheus.Metric) {
	var certs []*cmv1.Certificate
	each(c.reader, &cmv1.CertificateList{}, func(cert *cmv1.Certificate) { certs = append(certs, cert) })
	slices.SortFunc(certs, func(a, b *cmv1.Certificate) int {
		x, y := a.Spec.IssuerRef, b.Spec.IssuerRef
		return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	labels := make([][]*dto.LabelPair, len(certs))
	for i, cert := range certs {
		labels[i] = labelsOf(cert)
	}
	for _, l := range conditionLabels {
		for i, cert := range certs {
			ch <- conditionGauge(certificateReady, l, labels[i], condition.Status(cert.Status.Conditions, cmv1.CertificateConditionReady))
		}
	}
	for i, cert := range certs {
		labels := labels[i]
		ch <- gauge{certificateNotBefore, labels, timestamp(cert.Status.NotBefore)}
		notAfter := timestamp(cert.Status.NotAfter)
		ch <- gauge{certificateNotAfter, labels, notAfter}
		ch <- gauge{certificateExpiration, labels, notAfter}
		ch <- gauge{certificateRenewal, labels, timestamp(cert.Status.RenewalTime)}
		if last := condition.Find(cert.Status.Conditions, cmv1.CertificateConditionIssuing); last != nil && last.Reason == certificate.ReasonHalted {
			ch <- gauge{issuancesHalted, labels, one}
		}
	}
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

var outlivesIssuer = prometheus.NewDesc("everleaf_certificate_outlives_issuer",
	"1 for each Certificate whose certificate is valid for longer than that of the CA which has signed it: clients reject it from then on.",
	certificateLabels, nil)

// Outliving collects the Certificates whose certificates outlive their CAs. secret
// returns what a cache knows of a Secret, or nil.
func Outliving(cache client.Reader, secret func(namespace, name string) *facts.Secret) prometheus.Collector {
	return collect(reader{cache: cache, log: logr.Discard()}, &cmv1.CertificateList{}, func(ch chan<- prometheus.Metric, cert *cmv1.Certificate) {
		s := secret(cert.Namespace, cert.Spec.SecretName)
		if s != nil && s.Leaf != nil && !s.IssuerNotAfter.IsZero() && s.IssuerNotAfter.Before(s.Leaf.NotAfter) {
			ch <- gauge{outlivesIssuer, labelsOf(cert), one}
		}
	}, outlivesIssuer)
}

// labelsOf are certificateLabels of a Certificate, sorted by name.
func labelsOf(cert *cmv1.Certificate) []*dto.LabelPair {
	issuer := cert.Spec.IssuerRef
	return []*dto.LabelPair{
		label("issuer_group", issuer.Group), label("issuer_kind", issuer.Kind), label("issuer_name", issuer.Name),
		label("name", cert.Name), label("namespace", cert.Namespace),
	}
}
