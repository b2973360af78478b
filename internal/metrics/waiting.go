package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// Queue is the Challenges of an issuer that wait for one of its places among the
// challenges in progress.
type Queue struct {
	// Kind, Namespace and Name are the issuer's; a ClusterIssuer has no namespace.
	Kind, Namespace, Name string
	// Challenges is how many wait, Oldest is since when the first of them has.
	Challenges int
	Oldest     time.Time
}

// Challenges is what knows the Challenges in progress.
type Challenges interface {
	// Queues returns the Queue of each issuer with challenges in progress.
	Queues() []Queue
	// LeftBehind returns how many records of Challenges that are gone are still tried to
	// be removed.
	LeftBehind() int
}

var (
	waitingLabels     = []string{"issuer_kind", "issuer_namespace", "issuer_name"}
	challengesWaiting = prometheus.NewDesc("everleaf_challenges_waiting",
		"Number of Challenges of an issuer that wait for a place among the challenges in progress (--max-concurrent-challenges).", waitingLabels, nil)
	oldestWaiting = prometheus.NewDesc("everleaf_oldest_waiting_challenge_seconds",
		"How long the Challenge of an issuer that has waited longest for a place has waited, 0 if none waits.", waitingLabels, nil)
	leftBehind = prometheus.NewDesc("everleaf_dns01_records_left_behind",
		"Number of DNS-01 TXT records of Challenges that are gone, which are still tried to be removed.", nil, nil)
)

// waiting collects the metrics of the Challenges in progress.
type waiting struct {
	of    atomic.Pointer[Challenges]
	clock clock.PassiveClock
}

// Describe implements prometheus.Collector.
func (*waiting) Describe(ch chan<- *prometheus.Desc) {
	ch <- challengesWaiting
	ch <- oldestWaiting
	ch <- leftBehind
}

// Collect implements prometheus.Collector.
func (w *waiting) Collect(ch chan<- prometheus.Metric) {
	of := w.of.Load()
	if of == nil {
		return
	}
	for _, q := range (*of).Queues() {
		longest := time.Duration(0)
		if !q.Oldest.IsZero() {
			longest = max(0, w.clock.Since(q.Oldest))
		}
		ch <- prometheus.MustNewConstMetric(challengesWaiting, prometheus.GaugeValue, float64(q.Challenges), q.Kind, q.Namespace, q.Name)
		ch <- prometheus.MustNewConstMetric(oldestWaiting, prometheus.GaugeValue, longest.Seconds(), q.Kind, q.Namespace, q.Name)
	}
	ch <- prometheus.MustNewConstMetric(leftBehind, prometheus.GaugeValue, float64((*of).LeftBehind()))
}

// ObserveChallenges has the metrics of the Challenges in progress taken from of.
func (m *Metrics) ObserveChallenges(of Challenges) { m.waiting.of.Store(&of) }
