package main

import (
	"context"
	"time"
)

// result is a column of the table.
type result struct {
	name     string
	skipped  string
	n        int
	total    time.Duration
	p50, p99 time.Duration
	// single is the time from creation to Ready of a single certificate.
	single        time.Duration
	writes, reads calls
	reconciles    calls
	cpu           usage
	// memory is the peak of the resident memory, anonymous that without the pages of the
	// program, in bytes.
	memory, anonymous int64
	// scrape is how long the slowest scrape of the metrics took.
	scrape time.Duration
	// restart is how long restarted controllers took to be idle, restartWrites
	// what they wrote until then.
	restart       time.Duration
	restartWrites calls
	// crowd is how many calls the API server had at once from the controllers at most, and
	// slowest, at the 99th percentile, how long it took to answer one.
	crowd   int
	slowest time.Duration
	// note says what is not as the others.
	note string
	// mostProbes is how often a name server was asked for one challenge at most, probes
	// how often on average.
	mostProbes int
	probes     float64
	// objects counts those that were created for challenges of HTTP-01, pods the pods among
	// them.
	objects, pods int
	// asked counts the requests to Vault.
	asked int
}

func (r *result) perSecond() float64 { return float64(r.n) / r.total.Seconds() }

// measure issues a few certificates to fill caches and open connections, then n
// certificates, and then a single one.
func (p *plane) measure(ctx context.Context, c *controllers, n int) (*result, error) {
	if _, err := p.issue(ctx, p.prefix+"warm", workers); err != nil {
		return nil, c.explain(err)
	}
	if err := p.settle(ctx); err != nil {
		return nil, err
	}
	say("%s: issuing %d certificates", p.name, n)
	// A scrape costs the controllers more, the more certificates there are.
	looked, err := c.reconciles(ctx)
	if err != nil {
		return nil, err
	}
	before, err := p.usage(c)
	if err != nil {
		return nil, err
	}
	profiled := c.profile(ctx, p.settings.pprof, p.name)
	b, err := p.issue(ctx, p.prefix+"crt", n)
	profiled()
	if err != nil {
		return nil, c.explain(err)
	}
	if err := p.settle(ctx); err != nil {
		return nil, err
	}
	after, err := p.usage(c)
	if err != nil {
		return nil, err
	}
	waits := b.waits()
	r := &result{
		name: p.name, n: n, total: b.total(), p50: percentile(waits, 50), p99: percentile(waits, 99), cpu: after.since(before),
	}
	used, err := memoryOf(c.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	r.memory = used.peak
	if r.writes, r.reads, err = p.count(b.began); err != nil {
		return nil, err
	}
	if r.reconciles, err = c.reconciles(ctx); err != nil {
		return nil, err
	}
	r.reconciles = r.reconciles.since(looked)
	one, err := p.issue(ctx, p.prefix+"one", 1)
	if err != nil {
		return nil, c.explain(err)
	}
	r.single = one.waits()[0]
	return r, nil
}
