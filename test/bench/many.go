package main

import (
	"context"
	"time"
)

const (
	// restartPatience is how long a restarted controller may take to be idle.
	restartPatience = time.Minute
	// idleFor is how long nothing must have been reconciled to count as idle.
	idleFor = 2 * time.Second
)

// measureMany measures the CA issuer with many certificates, and how long the
// controllers take to be idle when they start with all of them.
func measureMany(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameMany) {
		return nil, nil
	}
	p, err := startCA(ctx, s, nameMany, (*plane).keepPolicies)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	c, err := p.startControllers(ctx)
	if err != nil {
		return nil, err
	}
	r, err := p.measure(ctx, c, s.many)
	c.stop()
	if err != nil {
		return nil, err
	}
	if err := p.restart(ctx, r); err != nil {
		return nil, err
	}
	return []*result{r}, nil
}

// restart starts the controllers again, and notes when they were idle and what
// they wrote until then.
func (p *plane) restart(ctx context.Context, r *result) error {
	say("%s: starting the controllers with %d certificates", p.name, r.n)
	began := time.Now()
	c, err := p.startControllers(ctx)
	if err != nil {
		return err
	}
	defer c.stop()
	last, since := -1, began
	for time.Since(began) < restartPatience {
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		looked, err := c.reconciles(ctx)
		if err != nil {
			continue // not listening yet
		}
		if n := looked.total(); n != last {
			last, since = n, time.Now()
		}
		if last >= r.n && time.Since(since) >= idleFor {
			break
		}
	}
	r.restart = since.Sub(began)
	r.restartWrites, _, err = p.count(began)
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
