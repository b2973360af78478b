package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// batch is a number of Certificates that are created and watched until they are
// Ready.
type batch struct {
	prefix       string
	began, ended time.Time
	mu           sync.Mutex
	created      map[string]time.Time
	ready        map[string]time.Time
	last         map[string]string
	want         int
	// revision is what a Certificate must have reached besides, 0 for any.
	revision int
	all      chan struct{}
}

// issue creates n Certificates and returns when all are Ready.
func (p *plane) issue(ctx context.Context, prefix string, n int) (*batch, error) {
	b := newBatch(prefix, n)
	return b, p.await(ctx, b, func(ctx context.Context) error {
		return each(ctx, n, func(ctx context.Context, i int) error {
			name := number(prefix, i)
			if err := p.Create(ctx, certificate(name, p.names), client.FieldOwner("bench")); err != nil {
				return err
			}
			b.mu.Lock()
			b.created[name] = time.Now()
			b.mu.Unlock()
			return nil
		})
	})
}

func newBatch(prefix string, n int) *batch {
	return &batch{
		prefix: prefix + "-", created: make(map[string]time.Time, n), ready: make(map[string]time.Time, n),
		last: map[string]string{}, want: n, all: make(chan struct{}),
	}
}

// await watches the Certificates of a batch, calls begin, and returns when all are Ready.
func (p *plane) await(ctx context.Context, b *batch, begin func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.settings.timeout)
	defer cancel()
	watching, cancelWatch := context.WithCancel(ctx)
	defer cancelWatch()
	// What is there already would take long to read.
	present := &cmv1.CertificateList{}
	if err := p.List(ctx, present, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return err
	}
	body, err := p.watch(watching, present.ResourceVersion)
	if err != nil {
		return err
	}
	watched := make(chan error, 1)
	go func() { watched <- p.follow(watching, b, body) }()
	b.began = time.Now()
	if err := begin(ctx); err != nil {
		return err
	}
	select {
	case <-b.all:
		return nil
	case err := <-watched:
		return fmt.Errorf("watch of the Certificates: %w", err)
	case <-p.Done():
		return p.Stop()
	case <-ctx.Done():
		return b.stuck(ctx.Err())
	}
}

// each calls do for 0 to n-1 from all workers, and returns the first error.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var group sync.WaitGroup
	for range min(workers, n) {
		group.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// watch opens a watch of the Certificates, which begins after a version; with what is
// there if it is empty.
func (p *plane) watch(ctx context.Context, version string) (io.ReadCloser, error) {
	core, err := kubernetes.NewForConfig(p.RESTConfig())
	if err != nil {
		return nil, err
	}
	// Stream waits until the API server has filled its cache.
	return core.RESTClient().Get().AbsPath("apis", cmv1.SchemeGroupVersion.String(), "namespaces", namespace, "certificates").
		Param("watch", "1").Param("timeoutSeconds", "3600").Param("resourceVersion", version).Stream(ctx)
}

// change is the part of an event that is read. It is small, because decoding
// uses the measured cores.
type change struct {
	Object struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Status struct {
			Revision   int `json:"revision"`
			Conditions []struct {
				Type    string `json:"type"`
				Status  string `json:"status"`
				Message string `json:"message"`
			} `json:"conditions"`
		} `json:"status"`
	} `json:"object"`
}

// follow reads events until ctx ends. On a busy machine the API server ends the
// watches of slow clients; the next watch begins with the current state.
func (p *plane) follow(ctx context.Context, b *batch, body io.ReadCloser) error {
	for {
		err := b.read(json.NewDecoder(body))
		body.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if body, err = p.watch(ctx, ""); err != nil {
			return err
		}
	}
}

func (b *batch) read(events *json.Decoder) error {
	for {
		var c change
		if err := events.Decode(&c); err != nil {
			return err
		}
		b.note(c, time.Now())
	}
}

func (b *batch) note(c change, now time.Time) {
	name := c.Object.Metadata.Name
	if !strings.HasPrefix(name, b.prefix) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cond := range c.Object.Status.Conditions {
		b.last[name] = cond.Type + "=" + cond.Status + ": " + cond.Message
		if _, known := b.ready[name]; known || cond.Type != "Ready" || cond.Status != "True" || c.Object.Status.Revision < b.revision {
			continue
		}
		b.ready[name] = now
		if len(b.ready) == b.want {
			b.ended = now
			close(b.all)
		}
	}
}

// stuck returns an error with a Certificate that is not Ready and its
// condition.
func (b *batch) stuck(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.last {
		if _, ok := b.ready[name]; !ok {
			return fmt.Errorf("%d of %d Certificates are ready (%w); %s says %q", len(b.ready), b.want, err, name, b.last[name])
		}
	}
	return err
}

func (b *batch) total() time.Duration { return b.ended.Sub(b.began) }

// waits returns the times from creation, or from the beginning for those that were there,
// to Ready, sorted.
func (b *batch) waits() []time.Duration {
	var waits []time.Duration
	for name, at := range b.ready {
		since, created := b.created[name]
		if !created {
			since = b.began
		}
		waits = append(waits, max(0, at.Sub(since)))
	}
	slices.Sort(waits)
	return waits
}

// percentile returns the smallest of sorted values that at least p percent of
// them do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
