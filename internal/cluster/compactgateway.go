package cluster

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/facts"
)

// CompactGatewayAPI returns the transform of the caches of Gateways, ListenerSets and
// HTTPRoutes: it keeps what Certificates are made from, and the annotations for which
// keep returns true. The result is never written.
func CompactGatewayAPI(keep func(annotation string) bool) cache.TransformFunc {
	return func(obj any) (any, error) {
		switch o := obj.(type) {
		case *gwapi.Gateway:
			kept := &gwapi.Gateway{ObjectMeta: compactMeta(o.ObjectMeta, keep)}
			for _, l := range o.Spec.Listeners {
				kept.Spec.Listeners = append(kept.Spec.Listeners, gwapi.Listener{
					Name: l.Name, Hostname: l.Hostname, Port: l.Port, Protocol: l.Protocol, TLS: compactTLS(l.TLS),
				})
			}
			return kept, nil
		case *gwapi.ListenerSet:
			kept := &gwapi.ListenerSet{ObjectMeta: compactMeta(o.ObjectMeta, keep)}
			kept.Spec.ParentRef = o.Spec.ParentRef
			for _, l := range o.Spec.Listeners {
				kept.Spec.Listeners = append(kept.Spec.Listeners, gwapi.ListenerEntry{
					Name: l.Name, Hostname: l.Hostname, Port: l.Port, Protocol: l.Protocol, TLS: compactTLS(l.TLS),
				})
			}
			return kept, nil
		case *gwapi.HTTPRoute:
			kept := &gwapi.HTTPRoute{ObjectMeta: compactMeta(o.ObjectMeta, keep)}
			kept.Spec.ParentRefs, kept.Spec.Hostnames = o.Spec.ParentRefs, o.Spec.Hostnames
			return kept, nil
		default:
			return obj, nil
		}
	}
}

func compactTLS(tls *gwapi.ListenerTLSConfig) *gwapi.ListenerTLSConfig {
	if tls == nil {
		return nil
	}
	return &gwapi.ListenerTLSConfig{Mode: tls.Mode, CertificateRefs: tls.CertificateRefs}
}

func compactMeta(m metav1.ObjectMeta, keep func(string) bool) metav1.ObjectMeta {
	annotations := m.Annotations
	maps.DeleteFunc(annotations, func(key, _ string) bool { return !keep(key) })
	return metav1.ObjectMeta{
		Namespace: facts.Shared(m.Namespace), Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		DeletionTimestamp: m.DeletionTimestamp, Finalizers: m.Finalizers, Labels: m.Labels, Annotations: annotations,
	}
}
