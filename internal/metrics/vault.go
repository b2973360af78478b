package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// unanswered is the label status of a call without an answer.
const unanswered = "none"

func newVaultCalls() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "everleaf_vault_client_request_duration_seconds",
		Help:    "Time that a call to a Vault server takes, in seconds, by the call and the class of its HTTP status.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	}, []string{"call", "status"})
}

// ObserveVaultCall counts a call to a Vault. status is that of HTTP, 0 for no answer. Of the
// status only its first digit counts, because servers have it.
func (m *Metrics) ObserveVaultCall(call string, status int, d time.Duration) {
	class := unanswered
	if status > 0 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.vault.WithLabelValues(call, class).Observe(d.Seconds())
}
