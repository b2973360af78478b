package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// listTimeout bounds how long a scrape waits for a cache that is not synced
// yet. Prometheus gives up after 10 s by default.
const listTimeout = 5 * time.Second

// reader lists objects from the cache at a scrape.
type reader struct {
	cache client.Reader
	log   logr.Logger
}

// collector sends the metrics of all objects of a kind.
type collector[O client.Object] struct {
	reader
	// empty is a list of the kind.
	empty client.ObjectList
	descs []*prometheus.Desc
	send  func(chan<- prometheus.Metric, O)
}

func collect[O client.Object](r reader, empty client.ObjectList, send func(chan<- prometheus.Metric, O), descs ...*prometheus.Desc) prometheus.Collector {
	return collector[O]{reader: r, empty: empty, descs: descs, send: send}
}

// Describe implements prometheus.Collector.
func (c collector[O]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It sends nothing if the cache cannot
// list the kind. The objects are the cache's own, which must not be changed.
func (c collector[O]) Collect(ch chan<- prometheus.Metric) {
	each(c.reader, c.empty, func(o O) { c.send(ch, o) })
}

// each calls f with all objects of a kind; empty is a list of it. It reports
// whether the cache can list them.
func each[O client.Object](r reader, empty client.ObjectList, f func(O)) bool {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	list := empty.DeepCopyObject().(client.ObjectList)
	err := r.cache.List(ctx, list, client.UnsafeDisableDeepCopy)
	if err == nil {
		err = meta.EachListItem(list, func(o runtime.Object) error {
			f(o.(O))
			return nil
		})
	}
	if err != nil && !expected(err) {
		r.log.Error(err, "Metrics leave out objects that the cache cannot list")
	}
	return err == nil
}

// expected reports whether a cache has not started yet, or does not hold a kind
// on purpose, such as ClusterIssuers if the controllers work in one namespace
// only.
func expected(err error) bool {
	return errors.As(err, new(*crcache.ErrCacheNotStarted)) || errors.As(err, new(*crcache.ErrResourceNotCached))
}

// gauge is a metric that shares its labels with others, and its value if that
// is 0 or 1. A scrape holds all gauges in memory at once, seven for each
// certificate: those of 10,000 certificates take 29 MB, but 71 MB as
// client_golang's own constant metrics.
type gauge struct {
	desc *prometheus.Desc
	// labels are sorted by name.
	labels []*dto.LabelPair
	value  *dto.Gauge
}

var _ prometheus.Metric = gauge{}

func (g gauge) Desc() *prometheus.Desc { return g.desc }

func (g gauge) Write(out *dto.Metric) error {
	out.Label, out.Gauge = g.labels, g.value
	return nil
}

var (
	zero = number(0)
	one  = number(1)
)

func number(v float64) *dto.Gauge { return &dto.Gauge{Value: &v} }

func indicator(is bool) *dto.Gauge {
	if is {
		return one
	}
	return zero
}

// timestamp is a time in seconds since 1970, 0 for none.
func timestamp(t *metav1.Time) *dto.Gauge {
	if t.IsZero() {
		return zero
	}
	return number(float64(t.Unix()))
}

// label replaces invalid UTF-8 in a value, which would fail the whole scrape.
func label(name, value string) *dto.LabelPair {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return &dto.LabelPair{Name: &name, Value: &value}
}

// before returns labels with first in front.
func before(labels []*dto.LabelPair, first *dto.LabelPair) []*dto.LabelPair {
	with := make([]*dto.LabelPair, 0, len(labels)+1)
	return append(append(with, first), labels...)
}

// conditionLabels distinguish the three series of one condition.
var conditionLabels = []*dto.LabelPair{
	label("condition", string(cmmeta.ConditionTrue)),
	label("condition", string(cmmeta.ConditionFalse)),
	label("condition", string(cmmeta.ConditionUnknown)),
}

// sendCondition sends the three series of a condition: 1 for its status and 0
// for the others. A missing status counts as Unknown. No label in labels may
// sort before "condition".
func sendCondition(ch chan<- prometheus.Metric, desc *prometheus.Desc, labels []*dto.LabelPair, status cmmeta.ConditionStatus) {
	if status != cmmeta.ConditionTrue && status != cmmeta.ConditionFalse {
		status = cmmeta.ConditionUnknown
	}
	for _, l := range conditionLabels {
		ch <- gauge{desc, before(labels, l), indicator(l.GetValue() == string(status))}
	}
}
