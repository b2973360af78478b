package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/reference"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// eventQueue bounds the events that wait to be sent. Events are worth less
	// than the memory and the API calls of an endless backlog.
	eventQueue = 10_000
	// Issuance has priority over events: two senders keep up, except with a burst
	// on a busy API server. The helpers join when the backlog grows long.
	eventWorkers = 2
	eventHelpers = 6
	eventBacklog = 2_000
	eventTimeout = 10 * time.Second
	// rememberedEvents is how many kinds of events the correlator knows, to count
	// one up that repeats. It has three such memories.
	rememberedEvents = 1024
	// eventDrain bounds how long a stop waits for the events that are queued.
	eventDrain = 3 * time.Second
)

// Events sends core/v1 events in the background, several at a time. client-go
// has a recorder, but it sends them one after the other and tries each up to
// twelve times, 10 s apart: at a hundred issuances a second it falls behind,
// and in a namespace that is being deleted it stands still.
type Events struct {
	core       kubernetes.Interface
	scheme     *runtime.Scheme
	clock      clock.PassiveClock
	log        logr.Logger
	all        bool
	queue      chan *corev1.Event
	correlator *record.EventCorrelator
	dropped    func()
}

// NewEvents returns an Events that is not started yet. all also sends the verbose
// events. dropped counts the events that did not fit the queue.
func NewEvents(core kubernetes.Interface, scheme *runtime.Scheme, c clock.Clock, log logr.Logger, all bool, dropped func()) *Events {
	return &Events{
		core: core, scheme: scheme, clock: c, log: log, all: all, dropped: dropped,
		queue:      make(chan *corev1.Event, eventQueue),
		correlator: record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{LRUCacheSize: rememberedEvents, Clock: c}),
	}
}

// Send queues the events of a plan about an object.
func (e *Events) Send(object runtime.Object, events ...plan.Event) {
	for _, ev := range events {
		if ev.Verbose && !e.all && !ev.Warning {
			continue
		}
		ref, err := reference.GetReference(e.scheme, object)
		if err != nil {
			e.log.Error(err, "Cannot refer to the object of an event")
			return
		}
		select {
		case e.queue <- e.build(ref, ev):
		default:
			e.dropped()
		}
	}
}

func (e *Events) build(ref *corev1.ObjectReference, ev plan.Event) *corev1.Event {
	now := e.clock.Now()
	kind := corev1.EventTypeNormal
	if ev.Warning {
		kind = corev1.EventTypeWarning
	}
	namespace := ref.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: eventName(ref.Name, now), Namespace: namespace},
		InvolvedObject:      *ref,
		Reason:              ev.Reason,
		Message:             ev.Message,
		Type:                kind,
		FirstTimestamp:      metav1.NewTime(now),
		LastTimestamp:       metav1.NewTime(now),
		Count:               1,
		Source:              corev1.EventSource{Component: ev.Component},
		ReportingController: ev.Component,
	}
}

// eventName is unique for an object and a time. The names of objects may be as
// long as an event's own, and may have characters that its own must not have.
func eventName(object string, at time.Time) string {
	suffix := fmt.Sprintf(".%x", at.UnixNano())
	return facts.CutName(facts.SubdomainOf(object), facts.LongestName-len(suffix)) + suffix
}

// Start sends until ctx ends, then what is queued, for a moment.
func (e *Events) Start(ctx context.Context) error {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(eventDrain, cancel) })()
	var senders sync.WaitGroup
	helpers := make(chan struct{}, eventHelpers)
	for range eventWorkers {
		senders.Go(func() { e.work(ctx, sending, &senders, helpers) })
	}
	<-ctx.Done()
	for range eventHelpers {
		senders.Go(func() { e.shorten(sending, 0) })
	}
	senders.Wait()
	return nil
}

// work sends until ctx ends, then what is queued. It starts a helper when that is
// much.
func (e *Events) work(ctx, sending context.Context, senders *sync.WaitGroup, helpers chan struct{}) {
	for {
		select {
		case ev := <-e.queue:
			if len(e.queue) > eventBacklog {
				select {
				case helpers <- struct{}{}:
					senders.Go(func() {
						e.shorten(sending, eventBacklog)
						<-helpers
					})
				default:
				}
			}
			e.send(sending, ev)
		case <-ctx.Done():
			e.shorten(sending, 0)
			return
		}
	}
}

// shorten sends until no more than a number of events are queued.
func (e *Events) shorten(ctx context.Context, left int) {
	for ctx.Err() == nil && len(e.queue) > left {
		select {
		case ev := <-e.queue:
			e.send(ctx, ev)
		default:
			return
		}
	}
}

func (e *Events) send(ctx context.Context, ev *corev1.Event) {
	result, err := e.correlator.EventCorrelate(ev)
	if err != nil || result.Skip {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	stored, err := e.store(ctx, result)
	if err != nil {
		e.log.V(4).Info("Could not store an event", "reason", ev.Reason, "error", err.Error())
		return
	}
	e.correlator.UpdateState(stored)
}

// store patches an event that repeats an earlier one, and creates others.
func (e *Events) store(ctx context.Context, r *record.EventCorrelateResult) (*corev1.Event, error) {
	api := e.core.CoreV1().Events(r.Event.Namespace)
	if r.Event.Count > 1 && len(r.Patch) > 0 {
		stored, err := api.Patch(ctx, r.Event.Name, types.StrategicMergePatchType, r.Patch, metav1.PatchOptions{})
		if !apierrors.IsNotFound(err) {
			return stored, err
		}
		r.Event.ResourceVersion = ""
	}
	return api.Create(ctx, r.Event, metav1.CreateOptions{})
}
