package harness

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/test/etcd"
)

// Restore stores objects in etcd as a backup has them: with their UIDs, times and
// managed fields, which no client of the API server can set. It makes their namespaces.
func (c *Cluster) Restore(tb testing.TB, objects ...*unstructured.Unstructured) {
	tb.Helper()
	config := c.EtcdConfig()
	gateway, err := rest.HTTPClientFor(config)
	if err != nil {
		tb.Fatal(err)
	}
	defer gateway.CloseIdleConnections()
	for _, o := range objects {
		if namespace := o.GetNamespace(); namespace != "" {
			err := c.Create(tb.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				tb.Fatal(err)
			}
		}
		stored := o.DeepCopy()
		// The API server takes etcd's revision.
		stored.SetResourceVersion("")
		value, err := stored.MarshalJSON()
		if err != nil {
			tb.Fatal(err)
		}
		if err := etcd.PutAll(tb.Context(), gateway, config.Host, etcd.Put{Key: etcd.Key(o), Value: value}); err != nil {
			tb.Fatalf("restore %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}
