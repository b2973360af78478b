package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// venafiRequests are the calls to Certificate Manager (Venafi).
type venafiRequests struct {
	// count and duration are of those that verify credentials, or that have a token made
	// for them, calls of the others.
	count    *prometheus.CounterVec
	duration prometheus.Histogram
	calls    *prometheus.SummaryVec
}

func newVenafiRequests() venafiRequests {
	return venafiRequests{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_venafi_oauth_token_requests_total",
			Help: "Total number of Venafi OAuth token requests made by cert-manager. Label: status (success/failure).",
		}, []string{"status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "certmanager_venafi_oauth_token_request_duration_seconds",
			Help:    "Duration in seconds of Venafi OAuth token requests. Buckets cover typical token-exchange latencies from 10ms to 30s.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}),
		calls: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name:       "certmanager_http_venafi_client_request_duration_seconds",
			Help:       "Time that a call to Certificate Manager (Venafi) takes, in seconds, over the last 10 minutes. Label: api_call.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
			MaxAge:     10 * time.Minute,
			AgeBuckets: 2,
			BufCap:     64,
		}, []string{"api_call"}),
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

// ObserveVenafiCall counts another call to Certificate Manager, by cert-manager's name for it.
func (m *Metrics) ObserveVenafiCall(call string, d time.Duration) {
	m.venafi.calls.WithLabelValues(call).Observe(d.Seconds())
}
