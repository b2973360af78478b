package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/etcd"
)

// storeBatch is how many things are made and stored at once: etcd takes 128 writes and
// 1.5 MiB.
const storeBatch = 16

// store puts what of returns for 0 to n-1 into etcd, past the API server, as a restored
// backup does: with managed fields and status, and in a tenth of the time. The API server
// learns of it by its watches.
func (p *plane) store(ctx context.Context, n int, of func(i int) ([]*unstructured.Unstructured, error)) error {
	config := p.EtcdConfig()
	gateway, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer gateway.CloseIdleConnections()
	err = each(ctx, (n+storeBatch-1)/storeBatch, func(ctx context.Context, batch int) error {
		var puts []etcd.Put
		for i := batch * storeBatch; i < min(n, (batch+1)*storeBatch); i++ {
			objects, err := of(i)
			if err != nil {
				return err
			}
			for _, o := range objects {
				value, err := stored(o)
				if err != nil {
					return err
				}
				puts = append(puts, etcd.Put{Key: etcd.Key(o), Value: value})
			}
		}
		return etcd.PutAll(ctx, gateway, config.Host, puts...)
	})
	if err != nil {
		return err
	}
	// A list waits for the API server's own cache.
	for _, list := range []client.ObjectList{&corev1.SecretList{}, &cmv1.CertificateList{}, &cmv1.CertificateRequestList{}, &acmev1.OrderList{}} {
		if err := p.List(ctx, list, client.Limit(1)); err != nil {
			return err
		}
	}
	return nil
}

// stored is an object as the API server stores it: Kubernetes' own as protobuf, custom
// resources as JSON.
func stored(o *unstructured.Unstructured) ([]byte, error) {
	if o.GetKind() != "Secret" {
		return o.MarshalJSON()
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, secret); err != nil {
		return nil, err
	}
	return runtime.Encode(protobuf.NewSerializer(clientgoscheme.Scheme, clientgoscheme.Scheme), secret)
}
