package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// noAnswer is cert-manager's label status for a request without a response.
	noAnswer = 999
	// maxACMESeries bounds the combinations of labels, because servers and
	// authors of Issuers influence host and status. A summary takes about 25
	// kB.
	maxACMESeries = 512
)

// acmeLabels are the labels of a request, in the order of acmeLabelNames.
type acmeLabels struct{ scheme, host, action, method, status string }

var acmeLabelNames = []string{"scheme", "host", "action", "method", "status"}

type acmeRequests struct {
	count    *prometheus.CounterVec
	duration *prometheus.SummaryVec
	seen     *series[acmeLabels]
}

func newACMERequests() acmeRequests {
	return acmeRequests{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certmanager_http_acme_client_request_count",
			Help: "Number of requests to ACME servers.",
		}, acmeLabelNames),
		duration: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name:       "certmanager_http_acme_client_request_duration_seconds",
			Help:       "Time from a request to an ACME server to the header of its answer, in seconds, over the last 10 minutes.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
			MaxAge:     10 * time.Minute,
			AgeBuckets: 2,
			BufCap:     64,
		}, acmeLabelNames),
		seen: newSeries[acmeLabels](maxACMESeries),
	}
}

func (r acmeRequests) observe(action, method, host, scheme string, status int, d time.Duration) {
	if status == 0 {
		status = noAnswer
	}
	l := acmeLabels{
		scheme: scheme, host: strings.ToValidUTF8(host, "\uFFFD"), action: action, method: method,
		status: strconv.Itoa(status),
	}
	if !r.seen.own(l) {
		l.host, l.status = other, other
	}
	r.count.WithLabelValues(l.scheme, l.host, l.action, l.method, l.status).Inc()
	r.duration.WithLabelValues(l.scheme, l.host, l.action, l.method, l.status).Observe(d.Seconds())
}
