package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

var (
	issuerReady = prometheus.NewDesc("certmanager_issuer_ready_status",
		"Whether the condition Ready of an Issuer has the status that the label condition names.",
		[]string{"name", "namespace", "condition"}, nil)
	clusterIssuerReady = prometheus.NewDesc("certmanager_clusterissuer_ready_status",
		"Whether the condition Ready of a ClusterIssuer has the status that the label condition names.",
		[]string{"name", "condition"}, nil)
)

// issuers collects the metrics of Issuers.
type issuers struct{ reader }

// Describe implements prometheus.Collector.
func (c issuers) Describe(ch chan<- *prometheus.Desc) { describe(ch, issuerReady) }

// Collect implements prometheus.Collector.
func (c issuers) Collect(ch chan<- prometheus.Metric) {
	var list cmv1.IssuerList
	if !c.list(&list) {
		return
	}
	for i := range list.Items {
		issuer := &list.Items[i]
		labels := []*dto.LabelPair{label("name", issuer.Name), label("namespace", issuer.Namespace)}
		sendCondition(ch, issuerReady, labels, condition.Status(issuer.Status.Conditions, cmv1.IssuerConditionReady))
	}
}

// clusterIssuers collects the metrics of ClusterIssuers.
type clusterIssuers struct{ reader }

// Describe implements prometheus.Collector.
func (c clusterIssuers) Describe(ch chan<- *prometheus.Desc) { describe(ch, clusterIssuerReady) }

// Collect implements prometheus.Collector.
func (c clusterIssuers) Collect(ch chan<- prometheus.Metric) {
	var list cmv1.ClusterIssuerList
	if !c.list(&list) {
		return
	}
	for i := range list.Items {
		issuer := &list.Items[i]
		sendCondition(ch, clusterIssuerReady, []*dto.LabelPair{label("name", issuer.Name)}, condition.Status(issuer.Status.Conditions, cmv1.IssuerConditionReady))
	}
}
