package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// changeLog prints a line for each visible change, with the time since the
// creation of the ClusterIssuer or the Certificate.
type changeLog struct {
	out io.Writer
	// changed receives a value after changes.
	changed chan struct{}

	mu      sync.Mutex
	began   time.Time
	held    bool
	pending []string
	// last is the last printed text of each object.
	last map[object]string

	issuerReady bool
	// took is the time from the Certificate's creation to Ready.
	took       time.Duration
	challenges int
}

type object struct{ kind, name string }

func newChangeLog(out io.Writer) *changeLog {
	return &changeLog{out: out, changed: make(chan struct{}, 1), last: map[object]string{}}
}

// watch prints changes until stop is called.
func (l *changeLog) watch(ctx context.Context, config *rest.Config) (stop func(), err error) {
	// The end of a watch, when the API server stops, is no news.
	klog.SetLogger(logr.Discard())
	ctrllog.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.note(o, false) },
		UpdateFunc: func(_, o any) { l.note(o, false) },
		DeleteFunc: func(o any) { l.note(o, true) },
	}
	for _, kind := range []client.Object{&cmv1.ClusterIssuer{}, &cmv1.Certificate{}, &cmv1.CertificateRequest{}, &acmev1.Order{}, &acmev1.Challenge{}} {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Start(ctx) // returns nil when ctx ends
	}()
	stop = func() {
		cancel()
		<-done
	}
	if !c.WaitForCacheSync(ctx) {
		stop()
		return nil, context.Cause(ctx)
	}
	return stop, nil
}

// note records a change. Several goroutines call it.
func (l *changeLog) note(o any, deleted bool) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	c, ok := describe(o)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id := object{c.kind, c.name}
	before, known := l.last[id]
	if !known && (c.kind == cmv1.ClusterIssuerKind || c.kind == cmv1.CertificateKind) {
		l.began = time.Now()
	}
	since := time.Since(l.began)
	if deleted {
		c.text = "deleted"
		delete(l.last, id)
	} else {
		l.last[id] = c.text
	}
	if c.text != before {
		l.print(fmt.Sprintf("  +%5.2fs  %-18s %s", since.Seconds(), c.kind, c.line()))
	}
	l.count(c, since, known, deleted)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *changeLog) count(c change, since time.Duration, known, deleted bool) {
	switch {
	case c.kind == cmv1.ClusterIssuerKind:
		l.issuerReady = c.ready
	case c.kind == cmv1.CertificateKind && c.name == certName && c.ready && l.took == 0:
		l.took = since
	case c.kind == acmev1.ChallengeKind && deleted:
		l.challenges--
	case c.kind == acmev1.ChallengeKind && !known:
		l.challenges++
	}
}

func (l *changeLog) print(line string) {
	if l.held {
		l.pending = append(l.pending, line)
		return
	}
	fmt.Fprintln(l.out, line)
}

// hold delays lines until release, while other output is printed.
func (l *changeLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

func (l *changeLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	for _, line := range l.pending {
		fmt.Fprintln(l.out, line)
	}
	l.pending = nil
}

// wait returns when done reports true. done is called with the lock held.
func (l *changeLog) wait(ctx context.Context, done func() bool) error {
	for {
		l.mu.Lock()
		ok := done()
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-l.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
