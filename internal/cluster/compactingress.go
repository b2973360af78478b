package cluster

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/everleaf/everleaf/internal/facts"
)

// CompactIngress returns the transform of the cache of Ingresses: it keeps what
// Certificates are made from, and the annotations for which keep returns true. The
// result is never written.
func CompactIngress(keep func(annotation string) bool) cache.TransformFunc {
	return func(obj any) (any, error) {
		i, ok := obj.(*networkingv1.Ingress)
		if !ok {
			return obj, nil
		}
		maps.DeleteFunc(i.Annotations, func(key, _ string) bool { return !keep(key) })
		kept := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
			Namespace: facts.Shared(i.Namespace), Name: i.Name, UID: i.UID, ResourceVersion: i.ResourceVersion, Generation: i.Generation,
			DeletionTimestamp: i.DeletionTimestamp, Finalizers: i.Finalizers, Labels: i.Labels, Annotations: i.Annotations,
		}}
		kept.Spec.TLS = i.Spec.TLS
		return kept, nil
	}
}
