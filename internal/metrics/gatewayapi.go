package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

var gatewayAPI = prometheus.NewDesc("everleaf_gateway_api_available",
	"1 for each kind of the Gateway API that is to be used and that the API server has, 0 if its CRD is missing or has another version.",
	[]string{"kind"}, nil)

// kindsOfGatewayAPI collects which kinds of the Gateway API there are.
type kindsOfGatewayAPI struct{ available func() map[string]bool }

// GatewayAPI collects which kinds of the Gateway API that are to be used the API server
// has.
func GatewayAPI(available func() map[string]bool) prometheus.Collector {
	return kindsOfGatewayAPI{available}
}

// Describe implements prometheus.Collector.
func (kindsOfGatewayAPI) Describe(ch chan<- *prometheus.Desc) { ch <- gatewayAPI }

// Collect implements prometheus.Collector.
func (k kindsOfGatewayAPI) Collect(ch chan<- prometheus.Metric) {
	available := k.available()
	for _, kind := range slices.Sorted(maps.Keys(available)) {
		value := 0.0
		if available[kind] {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(gatewayAPI, prometheus.GaugeValue, value, kind)
	}
}
