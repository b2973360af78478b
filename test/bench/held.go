package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/pebble"
)

const (
	// acmeIssuerName is the ClusterIssuer of the certificates that are from ACME; the CA's
	// is called as the namespace.
	acmeIssuerName = "bench-acme"
	// scrapeInterval is how often metrics are read, as Prometheus does, and heldFor how
	// long controllers are watched that have nothing to do.
	scrapeInterval = 15 * time.Second
	heldFor        = 60 * time.Second
	// fewPresent is how many certificates the fewest are among which one is issued.
	fewPresent = 100
)

// holding is a control plane with many certificates that are held.
type holding struct {
	*plane
	ca, acme *stock
	flags    []string
	// held is how many certificates have been stored.
	held int
}

// measureHeld measures controllers that hold many certificates: after a start and at
// rest, when one is issued among them, and when their issuer changes.
func measureHeld(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameHeld) && !s.wants(namePresent) && !s.wants(nameChange) {
		return nil, nil
	}
	secret := []byte("0123456789abcdef0123456789abcdef")
	dns, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Keys:   []tsig.Key{{Name: "bench.", Algorithm: tsig.SHA256, Secret: secret}},
		Zones:  []nameserver.Zone{{Name: zone, NS: []string{"ns"}, Records: []string{"ns IN A 127.0.0.1"}, Update: []string{"bench."}}},
	})
	if err != nil {
		return nil, err
	}
	if err := dns.Start(ctx); err != nil {
		return nil, err
	}
	defer dns.Stop()
	acme, err := pebble.Run(ctx, pebble.Options{
		Binary: filepath.Join(s.binDir, "pebble"), DNSServer: dns.Addr(), Env: []string{"PEBBLE_VA_NOSLEEP=1"},
	})
	if err != nil {
		return one(&result{name: nameHeld}, err)
	}
	defer acme.Stop()
	p, err := startCA(ctx, s, nameHeld, (*plane).keepPolicies)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := p.clusterSecret(ctx, "tsig", map[string]string{"key": base64.StdEncoding.EncodeToString(secret)}); err != nil {
		return nil, err
	}
	err = p.Create(ctx, &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: acmeIssuerName}, Spec: cmv1.IssuerSpec{IssuerConfig: acmeIssuer(acme, dns.Addr())}})
	if err != nil {
		return nil, err
	}
	h := &holding{plane: p, flags: []string{"--dns01-recursive-nameservers-only", "--dns01-recursive-nameservers=" + dns.Addr()}}
	return h.measureAll(ctx)
}

func (h *holding) measureAll(ctx context.Context) ([]*result, error) {
	s := h.settings
	var results []*result
	add := func(r ...*result) { results = append(results, r...) }
	err := h.with(ctx, func(c *controllers) (err error) {
		if h.ca, err = h.newStock(ctx, "modelca", namespace); err != nil {
			return err
		}
		if h.acme, err = h.newStock(ctx, "modelacme", acmeIssuerName); err != nil || !s.wants(namePresent) {
			return err
		}
		if err := h.hold(ctx, "held", fewPresent, true); err != nil {
			return err
		}
		r, err := h.present(ctx, c)
		add(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := h.foreign(ctx, s.foreign); err != nil {
		return nil, err
	}
	if err := h.hold(ctx, "held", s.many, true); err != nil {
		return nil, err
	}
	err = h.with(ctx, func(c *controllers) error {
		if s.wants(nameHeld) {
			r, err := h.rest(ctx, c, heldFor)
			if err != nil {
				return err
			}
			add(r)
		} else if _, err := h.rest(ctx, c, 0); err != nil {
			return err
		}
		if s.wants(namePresent) {
			r, err := h.present(ctx, c)
			if err != nil {
				return err
			}
			add(r)
		}
		if s.wants(nameChange) {
			changed, err := h.changes(ctx, c)
			add(changed...)
			return err
		}
		return nil
	})
	return results, err
}

// with runs controllers while do runs.
func (h *holding) with(ctx context.Context, do func(*controllers) error) error {
	c, err := h.startControllers(ctx, h.flags...)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := do(c); err != nil {
		return c.explain(err)
	}
	return h.settle(ctx)
}

// hold stores certificates until n are held, half of them from ACME if mixed.
func (h *holding) hold(ctx context.Context, prefix string, n int, mixed bool) error {
	say("%s: storing %d certificates", h.name, n-h.held)
	first := h.held
	h.held = n
	return h.store(ctx, n-first, func(i int) ([]*unstructured.Unstructured, error) {
		model := h.ca
		if mixed && i%2 == 1 {
			model = h.acme
		}
		return model.copies(number(prefix, first+i), 0)
	})
}

// rest measures controllers from their start until their first work is done, and for a
// time at least, with a scrape of their metrics every 15 s.
func (h *holding) rest(ctx context.Context, c *controllers, d time.Duration) (*result, error) {
	say("%s: the controllers have started with %d certificates", h.name, h.held)
	r := &result{name: nameHeld, n: h.held}
	scrapes := time.NewTicker(scrapeInterval)
	defer scrapes.Stop()
	used, err := c.activity(ctx, d, func() (bool, error) {
		select {
		case <-scrapes.C:
			looked, took, err := c.scrape(ctx)
			r.reconciles, r.scrape = looked, max(r.scrape, took)
			return looked["certificates-readiness"] >= r.n, err
		default:
			return false, nil
		}
	})
	if err != nil {
		return nil, err
	}
	r.restart, r.cpu, r.memory, r.anonymous = used.busyUntil, usage{"controllers": used.cpu}, used.memory.peak, used.memory.anonymous
	r.restartWrites, _, err = h.count(c.started)
	return r, err
}

// activity is what controllers have used since their start.
type activity struct {
	// busyUntil is when they had done their first work, by their use of CPU, which was cpu
	// by then.
	busyUntil, cpu time.Duration
	// memory has the peaks.
	memory memory
}

const (
	// look is how often a process is looked at. It is busy if it has used more than a part of
	// a core, busyShare, for a time, busySpan.
	look      = 100 * time.Millisecond
	busySpan  = time.Second
	busyShare = 0.1
)

// activity watches the controllers from their start until their first work is done, and
// for a time at least. It calls done at each look, which reports whether it is.
func (c *controllers) activity(ctx context.Context, d time.Duration, done func() (bool, error)) (activity, error) {
	type sample struct{ at, cpu time.Duration }
	var a activity
	var samples []sample
	for finished := false; ; {
		used, err := cpuTime(c.cmd.Process.Pid)
		if err != nil {
			return a, err
		}
		m, err := memoryOf(c.cmd.Process.Pid)
		if err != nil {
			return a, err
		}
		a.memory = memory{max(a.memory.peak, m.peak), max(a.memory.anonymous, m.anonymous)}
		at := time.Since(c.started)
		for samples = append(samples, sample{at, used}); len(samples) > 2 && samples[1].at <= at-busySpan; {
			samples = samples[1:]
		}
		if first := samples[0]; !finished && float64(used-first.cpu) > busyShare*float64(busySpan) {
			a.busyUntil, a.cpu = at, used
		}
		if now, err := done(); err != nil {
			return a, err
		} else if finished = finished || now; finished && at > d {
			return a, nil
		} else if at > d+restartPatience {
			return a, fmt.Errorf("not all Certificates were reconciled within %s", d+restartPatience)
		}
		if err := sleep(ctx, look); err != nil {
			return a, err
		}
	}
}
