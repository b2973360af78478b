package cainjector

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

// TestTargets reads the bundles of an object of each kind, and makes the body of an
// apply.
func TestTargets(t *testing.T) {
	const crd = `{"spec": {"versions": [{"schema": {"openAPIV3Schema": {"type": "object"}}}], "conversion": {"strategy": "STRATEGY", "webhook": {"clientConfig": {"caBundle": "b2xk"}}}}}`
	old := []injectable.Entry{{Bundle: []byte("old")}}
	for _, test := range []struct {
		name    string
		target  Target
		object  string
		entries []injectable.Entry
		body    string
	}{
		{
			"webhooks", MutatingWebhookConfigurations,
			`{"webhooks": [{"name": "a", "sideEffects": "None", "clientConfig": {"caBundle": "b2xk", "url": "https://x"}}, {"name": "b", "clientConfig": {"service": {"name": "x"}}}]}`,
			[]injectable.Entry{{Name: "a", Bundle: []byte("old")}, {Name: "b"}},
			`{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "x", "resourceVersion": "7"}, "webhooks": [{"name": "a", "clientConfig": {"caBundle": "bmV3"}}, {"name": "b", "clientConfig": {"caBundle": "bmV3"}}]}`,
		},
		{"no webhooks", ValidatingWebhookConfigurations, `{"metadata": {"name": "x"}}`, nil, ""},
		{
			"APIService", APIServices, `{"spec": {"caBundle": "b2xk", "group": "x", "service": {"name": "x"}}}`, old,
			`{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "x", "resourceVersion": "7"}, "spec": {"caBundle": "bmV3"}}`,
		},
		{
			"CRD", CustomResourceDefinitions, strings.Replace(crd, "STRATEGY", "Webhook", 1), old,
			`{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x", "resourceVersion": "7"}, "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "bmV3"}}}}}`,
		},
		{"CRD without a webhook", CustomResourceDefinitions, strings.Replace(crd, "STRATEGY", "None", 1), nil, ""},
	} {
		var o object
		if err := json.Unmarshal([]byte(test.object), &o); err != nil {
			t.Fatal(err)
		}
		entries := test.target.entries(o)
		if diff := cmp.Diff(test.entries, entries); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
		if test.body == "" {
			continue
		}
		for i := range entries {
			entries[i].Bundle = []byte("new")
		}
		encoded, err := test.target.apply("x", "7", entries)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal([]byte(test.body), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: body: -want +got:\n%s", test.name, diff)
		}
	}
	if base64.StdEncoding.EncodeToString([]byte("new")) != "bmV3" {
		t.Error("the bodies have another bundle")
	}
}

// TestCompact: caches keep identities and the annotations that matter.
func TestCompact(t *testing.T) {
	meta := metav1.ObjectMeta{
		Namespace: "ns", Name: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"l": "x"},
		Annotations: map[string]string{
			"other": "x", cmv1.WantInjectAnnotation: "a/b", cmv1.CertificateNameAnnotationKey: "c", cmv1.AllowsInjectionFromSecretAnnotation: "true",
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
	}
	kept := metav1.ObjectMeta{Namespace: "ns", Name: "n", UID: "u", ResourceVersion: "7"}
	annotated := kept
	annotated.Annotations = map[string]string{
		cmv1.WantInjectAnnotation: "a/b", cmv1.CertificateNameAnnotationKey: "c", cmv1.AllowsInjectionFromSecretAnnotation: "true",
	}
	secret := &corev1.Secret{}
	for _, test := range []struct{ in, want any }{
		{&metav1.PartialObjectMetadata{ObjectMeta: *meta.DeepCopy()}, &metav1.PartialObjectMetadata{ObjectMeta: annotated}},
		{&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"other": "x"}}}, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "n"}}},
		{
			&cmv1.Certificate{ObjectMeta: *meta.DeepCopy(), Spec: cmv1.CertificateSpec{SecretName: "s", DNSNames: []string{"x"}}},
			&cmv1.Certificate{ObjectMeta: kept, Spec: cmv1.CertificateSpec{SecretName: "s"}},
		},
		{secret, secret},
	} {
		got, err := Compact(test.in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
