package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
)

// changedFor is how long controllers are watched after a change.
const changedFor = 15 * time.Second

// changes measures what changes of the CA's ClusterIssuer cost with many certificates of
// it: of an annotation, of the spec, and of the CA.
func (h *holding) changes(ctx context.Context, c *controllers) ([]*result, error) {
	// Half of those that are held are from ACME.
	if err := h.hold(ctx, "more", h.held+(h.held+1)/2, false); err != nil {
		return nil, err
	}
	if err := h.quiet(ctx, c); err != nil {
		return nil, err
	}
	var results []*result
	for _, one := range []struct {
		what   string
		change func(context.Context) error
	}{
		{"annotation", h.edit(func(i *cmv1.ClusterIssuer) { i.Annotations = map[string]string{"example.com/note": "changed"} })},
		{"spec", h.edit(func(i *cmv1.ClusterIssuer) { i.Spec.CA.CRLDistributionPoints = []string{"http://crl.bench.example/"} })},
		{"secret", h.newCA},
	} {
		r, err := h.afterChange(ctx, c, one.change)
		if err != nil {
			return nil, err
		}
		r.name = nameChange + "-" + one.what
		results = append(results, r)
	}
	return results, nil
}

// edit returns a change of the CA's ClusterIssuer.
func (h *holding) edit(change func(*cmv1.ClusterIssuer)) func(context.Context) error {
	return func(ctx context.Context) error {
		issuer := &cmv1.ClusterIssuer{}
		if err := h.Get(ctx, client.ObjectKey{Name: namespace}, issuer); err != nil {
			return err
		}
		change(issuer)
		return h.Update(ctx, issuer)
	}
}

// newCA replaces the CA of the ClusterIssuer.
func (h *holding) newCA(ctx context.Context) error {
	cert, key, err := authority()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	if err := h.Get(ctx, client.ObjectKey{Namespace: local.Namespace, Name: "ca"}, secret); err != nil {
		return err
	}
	secret.Data = map[string][]byte{corev1.TLSCertKey: []byte(cert), corev1.TLSPrivateKeyKey: []byte(key)}
	return h.Update(ctx, secret)
}

// afterChange makes a change and measures what the controllers do.
func (h *holding) afterChange(ctx context.Context, c *controllers, change func(context.Context) error) (*result, error) {
	looked, err := c.reconciles(ctx)
	if err != nil {
		return nil, err
	}
	before, err := h.usage(c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := change(ctx); err != nil {
		return nil, err
	}
	if err := sleep(ctx, changedFor); err != nil {
		return nil, err
	}
	after, err := h.usage(c)
	if err != nil {
		return nil, err
	}
	r := &result{n: h.held, cpu: after.since(before)}
	if r.writes, r.reads, err = h.count(began); err != nil {
		return nil, err
	}
	if r.reconciles, err = c.reconciles(ctx); err != nil {
		return nil, err
	}
	r.reconciles = r.reconciles.since(looked)
	return r, nil
}

// quiet returns when the controllers have used next to no CPU for a while.
func (h *holding) quiet(ctx context.Context, c *controllers) error {
	for {
		before, err := cpuTime(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		if err := sleep(ctx, 2*busySpan); err != nil {
			return err
		}
		used, err := cpuTime(c.cmd.Process.Pid)
		if err != nil || float64(used-before) < busyShare*float64(busySpan) {
			return err
		}
	}
}
