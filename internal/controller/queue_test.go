package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/schedule"
)

// added is a queue that notes what is put into it.
type added struct {
	Queue
	mu  sync.Mutex
	all []priorityItem
}

type priorityItem struct {
	Name     string
	Priority int
}

func (q *added) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range items {
		q.all = append(q.all, priorityItem{i.Name, *o.Priority})
	}
}

func (q *added) GetWithPriority() (reconcile.Request, int, bool) { panic("not used") }

func (q *added) take() []priorityItem {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = nil
	return all
}

// sorted is take, in the order of the names: deadlines come in no order.
func (q *added) sorted() []priorityItem {
	return slices.SortedFunc(slices.Values(q.take()), func(a, b priorityItem) int { return strings.Compare(a.Name, b.Name) })
}

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, queue := NewRequeuer(clock.RealClock{}), &added{}
		w.Wake(key("before the start")) // must not panic
		if err := w.Start(ctx, queue); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for _, test := range []struct {
			name string
			at   time.Time
			want reconcile.Result
		}{
			{"never", time.Time{}, reconcile.Result{}},
			{"past", now.Add(-time.Hour), reconcile.Result{RequeueAfter: time.Millisecond}},
			{"soon", now.Add(shortWait), reconcile.Result{RequeueAfter: shortWait}},
			{"later", now.Add(shortWait + 1), reconcile.Result{}},
			{"replaced", now.Add(time.Hour), reconcile.Result{}},
			{"replaced", now.Add(time.Second), reconcile.Result{RequeueAfter: time.Second}},
			{"taken back", now.Add(time.Hour), reconcile.Result{}},
			{"taken back", time.Time{}, reconcile.Result{}},
			{"forgotten", now.Add(time.Hour), reconcile.Result{}},
		} {
			if got := w.Until(key(test.name), test.at); got != test.want {
				t.Errorf("%s: %v, want %v", test.name, got, test.want)
			}
		}
		w.Forget(key("forgotten"))
		w.WakeAt(key("at once"), now)
		w.WakeAt(key("wanted"), now.Add(time.Hour))
		w.Until(key("wanted"), time.Time{})
		if diff := cmp.Diff([]priorityItem{{"at once", priorityOngoing}}, queue.take()); diff != "" {
			t.Errorf("at once, -want +got:\n%s", diff)
		}
		time.Sleep(shortWait + schedule.Interval)
		synctest.Wait()
		if diff := cmp.Diff([]priorityItem{{"later", priorityOngoing}, {"soon", priorityOngoing}}, queue.sorted()); diff != "" {
			t.Errorf("after the short wait, -want +got:\n%s", diff)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]priorityItem{{"wanted", priorityOngoing}}, queue.take()); diff != "" {
			t.Errorf("after an hour, -want +got:\n%s", diff)
		}
		if n := w.deadlines.Len() + w.later.Len(); n != 0 {
			t.Errorf("%d deadlines are left", n)
		}
	})
}

func TestHandlers(t *testing.T) {
	object := func(name, version string) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: version}}
	}
	double := func(_ context.Context, o client.Object) []types.NamespacedName {
		return []types.NamespacedName{key(o.GetName() + "1"), key(o.GetName() + "2")}
	}
	queue := &added{}
	for _, test := range []struct {
		name string
		do   func()
		want []priorityItem
	}{
		{"own, at the start", func() {
			Own().Create(t.Context(), event.CreateEvent{Object: object("a", "1"), IsInInitialList: true}, queue)
		}, []priorityItem{{"a", priorityStart}}},
		{"own, created", func() {
			Own().Create(t.Context(), event.CreateEvent{Object: object("a", "1")}, queue)
		}, []priorityItem{{"a", priorityNew}}},
		{"own, updated", func() {
			Own().Update(t.Context(), event.UpdateEvent{ObjectOld: object("a", "1"), ObjectNew: object("a", "2")}, queue)
		}, []priorityItem{{"a", priorityNew}}},
		{"own, resynced", func() {
			Own().Update(t.Context(), event.UpdateEvent{ObjectOld: object("a", "2"), ObjectNew: object("a", "2")}, queue)
		}, nil},
		{"related, at the start", func() {
			Related(double).Create(t.Context(), event.CreateEvent{Object: object("a", "1"), IsInInitialList: true}, queue)
		}, []priorityItem{{"a1", priorityStart}, {"a2", priorityStart}}},
		{"related since the start, at the start", func() {
			SinceStart(Related(double)).Create(t.Context(), event.CreateEvent{Object: object("a", "1"), IsInInitialList: true}, queue)
		}, nil},
		{"related since the start, created", func() {
			SinceStart(Related(double)).Create(t.Context(), event.CreateEvent{Object: object("a", "1")}, queue)
		}, []priorityItem{{"a1", priorityOngoing}, {"a2", priorityOngoing}}},
		{"related, deleted", func() {
			Related(double).Delete(t.Context(), event.DeleteEvent{Object: object("a", "1")}, queue)
		}, []priorityItem{{"a1", priorityOngoing}, {"a2", priorityOngoing}}},
		{"related, generic", func() {
			Related(double).Generic(t.Context(), event.GenericEvent{Object: object("a", "1")}, queue)
		}, []priorityItem{{"a1", priorityOngoing}, {"a2", priorityOngoing}}},
	} {
		test.do()
		if got := queue.take(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Workers end when the queue is shut down while objects are being handed to them:
// controller-runtime before v0.25 could block there for ever, and a stop then took
// all of its grace time.
func TestQueueShutDown(t *testing.T) {
	for range 200 {
		queue := NewQueue("shutdown", Backoff(time.Second, time.Minute))
		var workers sync.WaitGroup
		var handed atomic.Int64
		busy := make(chan struct{})
		for worker := range 20 {
			workers.Go(func() {
				for n := 0; ; n++ {
					enqueue(queue, n%3, types.NamespacedName{Name: fmt.Sprintf("%d-%d", worker, n)})
					request, shutdown := queue.Get()
					if shutdown {
						return
					}
					if handed.Add(1) == 200 {
						close(busy)
					}
					queue.Done(request)
				}
			})
		}
		<-busy
		queue.ShutDown()
		ended := make(chan struct{})
		go func() {
			workers.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("workers still wait 30 s after the queue was shut down")
		}
	}
}
