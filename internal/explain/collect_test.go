package explain

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
)

// collector reads objects, except those that may not be read: all of the kinds, or all
// if there is "*".
func collector(t *testing.T, unreadable string, objects ...client.Object) *Collector {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme, gwapi.Install, cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(o runtime.Object) error {
		kinds, _, _ := scheme.ObjectKinds(o)
		if len(kinds) > 0 && (unreadable == "*" || strings.TrimSuffix(kinds[0].Kind, "List") == unreadable) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: kinds[0].Kind}, "x", nil)
		}
		return nil
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if err := refuse(into); err != nil {
				return err
			}
			return c.Get(ctx, key, into, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, into client.ObjectList, options ...client.ListOption) error {
			if err := refuse(into); err != nil {
				return err
			}
			if _, events := into.(*corev1.EventList); events {
				return nil
			}
			return c.List(ctx, into, options...)
		},
	}).Build()
	return &Collector{Client: api, Clock: clocktesting.NewFakeClock(metav1.Now().Time), ID: func() string { return "1" }}
}

// certificate is one that waits for a ClusterIssuer.
func certificate() *cmv1.Certificate {
	return &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "www"},
		Spec:       cmv1.CertificateSpec{SecretName: "www-tls", IssuerRef: cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: "ca"}},
		Status: cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
			{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionFalse}, {Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Message: "waiting"},
		}},
	}
}

// What may not be read is named, and is not said to be missing.
func TestForbidden(t *testing.T) {
	subject := diagnosis.Ref{Kind: cmv1.CertificateKind, Namespace: "shop", Name: "www"}
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	t.Run("an issuer", func(t *testing.T) {
		c := collector(t, "ClusterIssuer", certificate(), shop)
		e, err := c.Collect(t.Context(), subject)
		if err != nil || len(e.Missing) != 1 || !e.Issuer.Unread {
			t.Fatalf("%v, %+v, %v", e.Missing, e.Issuer, err)
		}
		if v := diagnosis.Explain(e); v[0].Code != diagnosis.InProgress {
			t.Errorf("%+v", v)
		}
		stuck, missing, err := c.Overview(t.Context(), "shop")
		if err != nil || len(stuck) != 1 || len(missing) != 1 || diagnosis.Explain(stuck[0])[0].Code == diagnosis.IssuerMissing {
			t.Errorf("%+v, %v, %v", stuck, missing, err)
		}
	})
	t.Run("the object", func(t *testing.T) {
		c := collector(t, "*", certificate(), shop)
		if _, err := c.Collect(t.Context(), subject); err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("it is %v", err)
		}
		if _, _, err := c.Overview(t.Context(), ""); !apierrors.IsForbidden(err) {
			t.Errorf("the list is %v", err)
		}
	})
	t.Run("no such namespace", func(t *testing.T) {
		if _, _, err := collector(t, "").Overview(t.Context(), "shp"); !apierrors.IsNotFound(err) {
			t.Errorf("it is %v", err)
		}
	})
}
