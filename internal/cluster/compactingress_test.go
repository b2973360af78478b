package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCompactIngress: the cache has what decides about Certificates, and no more.
func TestCompactIngress(t *testing.T) {
	meta := metav1.ObjectMeta{
		Namespace: "ns", Name: "app", UID: "u", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"a": "b"},
		Annotations: map[string]string{"mine": "x"}, Finalizers: []string{"f"}, DeletionTimestamp: &metav1.Time{},
	}
	tls := []networkingv1.IngressTLS{{SecretName: "s", Hosts: []string{"h"}}}
	want := &networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{TLS: tls}}
	whole := want.DeepCopy()
	whole.Annotations["other"] = "y"
	whole.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	whole.OwnerReferences = []metav1.OwnerReference{{Name: "o"}}
	whole.Spec.Rules = []networkingv1.IngressRule{{Host: "h"}}
	whole.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	transform := CompactIngress(func(key string) bool { return key == "mine" })
	got, err := transform(whole)
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got, err := transform("x"); got != "x" || err != nil {
		t.Errorf("another object became %v, %v", got, err)
	}
}
