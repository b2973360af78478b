package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// venafiTokens are the calls to Certificate Manager (Venafi) that verify credentials, or
// that have a token made for them.
type venafiTokens struct {
	count    *prometheus.CounterVec
	duration prometheus.Histogram
}

func newVenafiTokens() venafiTokens {
	return venafiTokens{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_venafi_oauth_token_requests_total",
			Help: "Total number of Venafi OAuth token requests made by cert-manager. Label: status (success/failure).",
		}, []string{"status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "certmanager_venafi_oauth_token_request_duration_seconds",
			Help:    "Duration in seconds of Venafi OAuth token requests. Buckets cover typical token-exchange latencies from 10ms to 30s.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}),
	}
}

// ObserveVenafiToken counts a call to Certificate Manager that is about credentials.
func (m *Metrics) ObserveVenafiToken(ok bool, d time.Duration) {
	status := "failure"
	if ok {
		status = "success"
	}
	m.venafi.count.WithLabelValues(status).Inc()
	m.venafi.duration.Observe(d.Seconds())
}
