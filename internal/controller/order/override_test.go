package order

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
)

// TestOverride: a Certificate with other annotations for the HTTP-01 solver wakes its Order,
// which takes them over.
func TestOverride(t *testing.T) {
	const class = acmev1.ACMECertificateHTTP01IngressClassNameOverride
	certificate := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "web", Annotations: map[string]string{class: "old", "other": "x"}}}
	from := request(t, "a.example")
	from.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(certificate, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))}
	from.Annotations = map[string]string{class: "old", cmv1.CertificateNameKey: "web", "other": "x"}
	object := orderFor(t, from)
	s := start(t, certificate, from, object)
	s.cache(t, from, object)
	woken := func(o *cmv1.Certificate) (keys []types.NamespacedName) {
		for _, w := range s.Registration().Watches {
			if w.Kind == cmv1.CertificateKind {
				keys = append(keys, w.Keys(t.Context(), o)...)
			}
		}
		return keys
	}
	other := certificate.DeepCopy()
	other.Name, other.Annotations = "other", nil
	same := certificate.DeepCopy()
	same.Annotations["other"] = "y"
	if keys := append(woken(other), woken(same)...); len(keys) > 0 {
		t.Errorf("woken for nothing: %v", keys)
	}
	certificate.Annotations[class] = "new"
	if diff := cmp.Diff([]types.NamespacedName{client.ObjectKeyFromObject(object)}, woken(certificate)); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}

	w := s.work(t, object)
	if w.Certificate == nil || w.Certificate.UID != certificate.UID || !w.Copied(class) {
		t.Fatalf("the Certificate is %v", w.Certificate)
	}
	if err := w.Do(t.Context(), core.Override{Annotations: map[string]string{class: "new"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.objects.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{class: "new", cmv1.CertificateNameKey: "web", "other": "x"}
	if diff := cmp.Diff(want, object.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.Object().Annotations); diff != "" {
		t.Errorf("annotations of the work (-want +got):\n%s", diff)
	}
}
