package local_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// TestPoliciesOfEarlierVersionsAreDeleted has a data directory in which an
// earlier version left its policies, and somebody a policy of their own.
func TestPoliciesOfEarlierVersionsAreDeleted(t *testing.T) {
	controlplane.BinDir(t)
	options := local.Options{DataDir: t.TempDir(), UnsafeNoFsync: true}
	const foreign = "foreign.example.com"
	old := []struct{ kind, name string }{
		{"ValidatingAdmissionPolicy", "certificaterequest-annotations.cert-manager.io"},
		{"ValidatingAdmissionPolicy", "certificaterequest-approval.cert-manager.io"},
		{"ValidatingAdmissionPolicy", "certificaterequest-identity.cert-manager.io"},
		{"MutatingAdmissionPolicy", "certificaterequest-identity.cert-manager.io"},
		{"ValidatingAdmissionPolicy", foreign},
	}

	first, err := local.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Stop() }()
	for _, o := range old {
		for _, object := range retiredPolicy(o.kind, o.name) {
			if _, err := policiesOf(t, first, object.GetKind()).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}

	second, err := local.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Stop() }()
	kept := append(old, struct{ kind, name string }{"ValidatingAdmissionPolicy", "certificaterequests.cert-manager.io"},
		struct{ kind, name string }{"MutatingAdmissionPolicy", "certificaterequests-identity.cert-manager.io"})
	for _, o := range kept {
		for _, kind := range []string{o.kind, o.kind + "Binding"} {
			_, err := policiesOf(t, second, kind).Get(t.Context(), o.name, metav1.GetOptions{})
			if strings.HasPrefix(o.name, "certificaterequest-") {
				if !apierrors.IsNotFound(err) {
					t.Errorf("%s %s is there still: %v", kind, o.name, err)
				}
			} else if err != nil {
				t.Errorf("%s %s: %v", kind, o.name, err)
			}
		}
	}
}

// retiredPolicy returns a policy that does nothing, and its binding.
func retiredPolicy(kind, name string) []*unstructured.Unstructured {
	spec := map[string]any{
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{"cert-manager.io"}, "apiVersions": []any{"v1"},
			"resources": []any{"certificaterequests"}, "operations": []any{"CREATE"},
		}}},
	}
	binding := map[string]any{"policyName": name}
	if kind == "ValidatingAdmissionPolicy" {
		spec["validations"] = []any{map[string]any{"expression": "true"}}
		binding["validationActions"] = []any{"Deny"}
	} else {
		spec["reinvocationPolicy"] = "IfNeeded"
		spec["mutations"] = []any{map[string]any{
			"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": "Object{}"},
		}}
	}
	object := func(kind string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
			"metadata": map[string]any{"name": name}, "spec": spec,
		}}
	}
	return []*unstructured.Unstructured{object(kind, spec), object(kind+"Binding", binding)}
}

func policiesOf(t *testing.T, cp *local.ControlPlane, kind string) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	plural := strings.ToLower(kind) + "s"
	if strings.HasSuffix(kind, "Policy") {
		plural = strings.ToLower(strings.TrimSuffix(kind, "y")) + "ies"
	}
	return client.Resource(schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: plural})
}
