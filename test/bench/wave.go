package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	// overdue is how much earlier the certificates of the wave were issued: they live for 90
	// days, are due after 60, and their renewals are spread over an hour from then on.
	overdue = 62 * 24 * time.Hour
	// waveFloor is how many certificates the floor of the wave has.
	waveFloor = 500
)

// measureWave measures the renewal of many certificates at once.
func measureWave(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameWave) {
		return nil, nil
	}
	p, err := startCA(ctx, s, nameWave, (*plane).keepPolicies)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	h := &holding{plane: p}
	err = h.with(ctx, func(*controllers) (err error) {
		h.ca, err = h.newStock(ctx, "modelca", namespace)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.wave(ctx)
}

// wave measures the renewal of certificates that are all overdue when the controllers
// start, which is the most that can come at once, and the floor after it.
func (h *holding) wave(ctx context.Context) ([]*result, error) {
	n := h.settings.wave
	say("%s: storing %d overdue certificates", h.name, n)
	err := h.store(ctx, n, func(i int) ([]*unstructured.Unstructured, error) {
		return h.ca.copies(number("wave", i), overdue)
	})
	if err != nil {
		return nil, err
	}
	b := newBatch("wave", n)
	b.revision = 2
	var c *controllers
	// The controllers outlive the wait.
	err = h.await(ctx, b, func(context.Context) (err error) {
		c, err = h.startControllers(ctx, h.flags...)
		return err
	})
	if c == nil {
		return nil, err
	}
	defer c.stop()
	if err == nil {
		err = h.settle(ctx)
	}
	if err != nil {
		return nil, c.explain(err)
	}
	waits := b.waits()
	r := &result{
		name: nameWave, n: n, total: b.total(), p50: percentile(waits, 50), p99: percentile(waits, 99),
		note: "the certificates were overdue when the controllers started, for longer than renewals are spread (1 h), and time and CPU are from the start on",
	}
	used, err := cpuTime(c.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	r.cpu = usage{"controllers": used}
	m, err := memoryOf(c.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	r.memory = m.peak
	if r.writes, r.reads, err = h.count(c.started); err != nil {
		return nil, err
	}
	if r.crowd, r.slowest, err = h.crowd(c.started); err != nil {
		return nil, err
	}
	if err := h.renewedOnce(ctx); err != nil {
		return nil, err
	}
	c.stop()
	floor, err := h.floor(ctx, h.ca.name, min(n, waveFloor), nil)
	if err != nil {
		return nil, err
	}
	floor.name = nameWaveFloor
	return []*result{r, floor}, nil
}

// renewedOnce fails unless all certificates of the wave have exactly one revision more.
func (h *holding) renewedOnce(ctx context.Context) error {
	list := &cmv1.CertificateList{}
	for {
		if err := h.List(ctx, list, client.InNamespace(namespace), client.Limit(500), client.Continue(list.Continue)); err != nil {
			return err
		}
		for _, crt := range list.Items {
			if strings.HasPrefix(crt.Name, "wave-") && (crt.Status.Revision == nil || *crt.Status.Revision != 2) {
				return fmt.Errorf("Certificate %s has another revision than 2: %v", crt.Name, crt.Status.Revision)
			}
		}
		if list.Continue == "" {
			return nil
		}
	}
}
