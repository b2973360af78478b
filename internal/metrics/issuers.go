package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

var (
	issuerReady = prometheus.NewDesc("certmanager_issuer_ready_status",
		"The ready status of the Issuer.",
		[]string{"name", "namespace", "condition"}, nil)
	clusterIssuerReady = prometheus.NewDesc("certmanager_clusterissuer_ready_status",
		"The ready status of the ClusterIssuer.",
		[]string{"name", "condition"}, nil)
)

// issuers collects the metrics of Issuers.
func issuers(r reader) prometheus.Collector {
	return collect(r, &cmv1.IssuerList{}, func(ch chan<- prometheus.Metric, issuer *cmv1.Issuer) {
		labels := []*dto.LabelPair{label("name", issuer.Name), label("namespace", issuer.Namespace)}
		sendCondition(ch, issuerReady, labels, condition.Status(issuer.Status.Conditions, cmv1.IssuerConditionReady))
	}, issuerReady)
}

// clusterIssuers collects the metrics of ClusterIssuers.
func clusterIssuers(r reader) prometheus.Collector {
	return collect(r, &cmv1.ClusterIssuerList{}, func(ch chan<- prometheus.Metric, issuer *cmv1.ClusterIssuer) {
		labels := []*dto.LabelPair{label("name", issuer.Name)}
		sendCondition(ch, clusterIssuerReady, labels, condition.Status(issuer.Status.Conditions, cmv1.IssuerConditionReady))
	}, clusterIssuerReady)
}
