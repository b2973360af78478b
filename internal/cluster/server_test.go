package cluster

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestServerConfirms(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: "7"}
	}
	owned, leaving := named("owned"), named("leaving")
	controls := true
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Certificate", Name: "crt", UID: "crt-uid", Controller: &controls}}
	leaving.OwnerReferences, leaving.Finalizers = owned.OwnerReferences, []string{"example.com/x"}
	leaving.DeletionTimestamp = &metav1.Time{Time: metav1.Now().Time}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Secret{ObjectMeta: named("tls")}, &corev1.Secret{ObjectMeta: owned}, &corev1.Secret{ObjectMeta: leaving},
		&cmv1.Certificate{ObjectMeta: named("crt")}, &acmev1.Order{ObjectMeta: named("order")},
	).Build()
	s := NewServer(nil, nil, live)
	for _, test := range []struct {
		name, kind, object, version string
		owner                       types.UID
		want                        error
	}{
		{"as it was", "Certificate", "crt", "7", "", nil},
		{"as it was, of another group", "Order", "order", "7", "", nil},
		{"another version", "Certificate", "crt", "6", "", ErrStale},
		{"gone", "Certificate", "none", "7", "", ErrStale},
		{"absent", "Secret", "none", "", "", nil},
		{"not absent", "Secret", "tls", "", "", ErrStale},
		{"none of the owner's: absent", "Secret", "none", "", "crt-uid", nil},
		{"none of the owner's: nobody's", "Secret", "tls", "", "crt-uid", nil},
		{"none of the owner's: another's", "Secret", "owned", "", "other-uid", nil},
		{"one of the owner's", "Secret", "owned", "", "crt-uid", ErrStale},
		{"one of the owner's, being deleted", "Secret", "leaving", "", "crt-uid", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			ref := plan.Ref{Kind: test.kind, NamespacedName: types.NamespacedName{Namespace: "ns", Name: test.object}}
			err := s.Confirm(t.Context(), plan.Confirm{Ref: ref, Version: test.version, Owner: test.owner})
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}
