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
	toolscache "k8s.io/client-go/tools/cache"
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

// object is a pointer to a type, and an object of the API.
type object[T any] interface {
	*T
	client.Object
}

// collector sends the metrics of all objects of a kind.
type collector[T any, O object[T]] struct {
	reader
	// empty is a list of the kind.
	empty client.ObjectList
	descs []*prometheus.Desc
	send  func(chan<- prometheus.Metric, O)
}

func collect[T any, O object[T]](r reader, empty client.ObjectList, send func(chan<- prometheus.Metric, O), descs ...*prometheus.Desc) prometheus.Collector {
	return collector[T, O]{reader: r, empty: empty, descs: descs, send: send}
}

// Describe implements prometheus.Collector.
func (c collector[T, O]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It sends nothing if the cache cannot
// list the kind. The objects are the cache's own, which must not be changed.
func (c collector[T, O]) Collect(ch chan<- prometheus.Metric) {
	each(c.reader, c.empty, func(o O) { c.send(ch, o) })
}

// each calls f with all objects of a kind; empty is a list of it. It reports
// whether the cache can list them.
func each[T any, O object[T]](r reader, empty client.ObjectList, f func(O)) bool {
	objects, err := stored[T, O](r.cache, empty)
	if err != nil && !expected(err) {
		r.log.Error(err, "Metrics leave out objects that the cache cannot list")
	}
	for _, o := range objects {
		f(o)
	}
	return err == nil
}

// stored are all objects of a kind, in no order; empty is a list of it.
func stored[T any, O object[T]](cache client.Reader, empty client.ObjectList) ([]O, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	list := empty.DeepCopyObject().(client.ObjectList)
	// A list copies objects into a slice, 14 MB for 10,000 Certificates. This one fails as a
	// whole one would, and the informer that it needs is there then.
	informers, ok := cache.(informers)
	if ok {
		if err := cache.List(ctx, list, client.UnsafeDisableDeepCopy, client.Limit(1)); err != nil {
			return nil, err
		}
		informer, err := informers.GetInformer(ctx, O(new(T)))
		if err != nil {
			return nil, err
		}
		// The informer of several namespaces has no store.
		if shared, ok := informer.(toolscache.SharedIndexInformer); ok {
			return pointers[O](shared.GetStore().List()), nil
		}
	}
	if err := cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var objects []O
	err := meta.EachListItem(list, func(o runtime.Object) error {
		objects = append(objects, o.(O))
		return nil
	})
	return objects, err
}

// informers are the informers of controller-runtime's cache.
type informers interface {
	GetInformer(ctx context.Context, o client.Object, options ...crcache.InformerGetOption) (crcache.Informer, error)
}

func pointers[O client.Object](items []any) []O {
	objects := make([]O, len(items))
	for i, item := range items {
		objects[i] = item.(O)
	}
	return objects
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

// conditionLabels distinguish the three series of one condition, sorted.
var conditionLabels = []*dto.LabelPair{
	label("condition", string(cmmeta.ConditionFalse)),
	label("condition", string(cmmeta.ConditionTrue)),
	label("condition", string(cmmeta.ConditionUnknown)),
}

// sendCondition sends the three series of a condition: 1 for its status and 0
// for the others. A missing status counts as Unknown.
func sendCondition(ch chan<- prometheus.Metric, desc *prometheus.Desc, labels []*dto.LabelPair, status cmmeta.ConditionStatus) {
	for _, l := range conditionLabels {
		ch <- conditionGauge(desc, l, labels, status)
	}
}

// conditionGauge is the series of a condition that has a label of conditionLabels. No label
// in labels may sort before "condition".
func conditionGauge(desc *prometheus.Desc, l *dto.LabelPair, labels []*dto.LabelPair, status cmmeta.ConditionStatus) gauge {
	if status != cmmeta.ConditionTrue && status != cmmeta.ConditionFalse {
		status = cmmeta.ConditionUnknown
	}
	return gauge{desc, before(labels, l), indicator(l.GetValue() == string(status))}
}
