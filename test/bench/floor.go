package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// issued is a certificate that the controllers have issued. It is the model for
// the floor, which writes objects of the same size.
type issued struct {
	crt     *cmv1.Certificate
	request *cmv1.CertificateRequest
	secret  *corev1.Secret
}

func (p *plane) model(ctx context.Context, name string) (issued, error) {
	m := issued{crt: &cmv1.Certificate{}, request: &cmv1.CertificateRequest{}, secret: &corev1.Secret{}}
	for key, object := range map[string]client.Object{name: m.crt, name + "-1": m.request, name + "-tls": m.secret} {
		if err := p.Get(ctx, client.ObjectKey{Namespace: namespace, Name: key}, object); err != nil {
			return m, fmt.Errorf("model of the floor: %w", err)
		}
	}
	return m, nil
}

// floor makes the smallest possible set of writes for n certificates, without
// controllers: the most that the API server can do. model is one that is issued. sign, if
// it is not nil, has a foreign CA sign the i-th one.
func (p *plane) floor(ctx context.Context, model string, n int, sign func(ctx context.Context, i int) error) (*result, error) {
	m, err := p.model(ctx, model)
	if err != nil {
		return nil, err
	}
	// As the controllers' user, except for the Certificates, which are the users'.
	config, err := p.controllerConfig(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newClient(config)
	if err != nil {
		return nil, err
	}
	say("%s: the floor, %d certificates", p.name, n)
	before, err := p.usage(nil)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = each(ctx, n, func(ctx context.Context, i int) error {
		if sign != nil {
			if err := sign(ctx, i); err != nil {
				return err
			}
		}
		return m.write(ctx, p, c, number("floor", i))
	})
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	r := &result{name: nameFloor, n: n, total: time.Since(began)}
	after, err := p.usage(nil)
	if err != nil {
		return nil, err
	}
	r.cpu = after.since(before)
	r.writes, _, err = p.count(began)
	return r, err
}

// write writes the objects of one certificate, like the model: the Certificate as
// the user, all else as c.
func (m issued) write(ctx context.Context, user, c client.Client, name string) error {
	crt := &cmv1.Certificate{ObjectMeta: meta(name, m.crt), Spec: m.crt.Spec}
	if err := user.Create(ctx, crt, client.FieldOwner("bench")); err != nil {
		return err
	}
	request := &cmv1.CertificateRequest{ObjectMeta: meta(name+"-1", m.request), Spec: m.request.Spec}
	request.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(crt, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))}
	if err := c.Create(ctx, request, client.FieldOwner("bench")); err != nil {
		return err
	}
	request.Status = m.request.Status
	if err := c.Status().Update(ctx, request, client.FieldOwner("bench")); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: meta(name+"-tls", m.secret), Type: m.secret.Type, Data: m.secret.Data}
	if err := c.Create(ctx, secret, client.FieldOwner("bench")); err != nil {
		return err
	}
	crt.Status = m.crt.Status
	return c.Status().Update(ctx, crt, client.FieldOwner("bench"))
}

func meta(name string, model client.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: model.GetLabels(), Annotations: model.GetAnnotations()}
}
