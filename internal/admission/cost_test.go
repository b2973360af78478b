package admission

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// permissive lets everybody do everything.
type permissive struct{}

func (permissive) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

// evaluator is the API server's own evaluation of these policies, without a
// server around it.
func evaluator(tb testing.TB, manifests map[string]string) *validating.Plugin {
	tb.Helper()
	objects := []runtime.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}
	for _, manifest := range manifests {
		for _, document := range strings.Split(manifest, "\n---\n") {
			var object runtime.Object = &admissionregistrationv1.ValidatingAdmissionPolicy{}
			if strings.Contains(document, "kind: ValidatingAdmissionPolicyBinding") {
				object = &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				tb.Fatal(err)
			}
			if policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok {
				exact, all := admissionregistrationv1.Exact, admissionregistrationv1.AllScopes
				policy.Spec.MatchConstraints.MatchPolicy = &exact
				for i := range policy.Spec.MatchConstraints.ResourceRules {
					policy.Spec.MatchConstraints.ResourceRules[i].Scope = &all
				}
				if policy.Spec.MatchConstraints.NamespaceSelector == nil {
					policy.Spec.MatchConstraints.NamespaceSelector = &metav1.LabelSelector{}
				}
				policy.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{}
			}
			objects = append(objects, object)
		}
	}
	plugin, err := validating.NewPlugin(nil)
	if err != nil {
		tb.Fatal(err)
	}
	client := fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	stop := make(chan struct{})
	tb.Cleanup(func() { close(stop) })
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	plugin.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()))
	plugin.SetDrainedNotification(stop)
	plugin.SetUnconditionalAuthorizer(permissive{})
	if err := plugin.ValidateInitialization(); err != nil {
		tb.Fatal(err)
	}
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	if !plugin.WaitForReady() {
		tb.Fatal("the policies are not ready")
	}
	return plugin
}

// BenchmarkPolicies measures what the policies cost the API server in each write
// of the issuance of a certificate.
func BenchmarkPolicies(b *testing.B) {
	whole := map[string]string{"all": ""}
	for name := range Manifests() {
		whole[name] = name
	}
	writes := []struct {
		name, stored, object, subresource string
	}{
		{"Certificate", "", validationtest.Certificate(`privateKey: {algorithm: ECDSA}`), ""},
		{"CertificateRequest", "", validationtest.Request(`usages: [digital signature], username: u, groups: [g]`), ""},
		{"CertificateRequest status", validationtest.Request(``), validationtest.WithStatus(validationtest.Request(``), `certificate: `+validationtest.CSR+`, conditions: [
			{type: Approved, status: "True", reason: a, message: b, lastTransitionTime: "2020-01-01T00:00:00Z"},
			{type: Ready, status: "True", reason: a, message: b, lastTransitionTime: "2020-01-01T00:00:00Z"}]`), "status"},
		{"Certificate status", validationtest.Certificate(``), validationtest.WithStatus(validationtest.Certificate(``), `notBefore: "2020-01-01T00:00:00Z", notAfter: "2020-01-01T00:00:00Z", renewalTime: "2020-01-01T00:00:00Z", conditions: [
			{type: Ready, status: "True", reason: a, message: b, lastTransitionTime: "2020-01-01T00:00:00Z"}]`), "status"},
	}
	for which, file := range whole {
		manifests := Manifests()
		if file != "" {
			manifests = map[string]string{file: manifests[file]}
		}
		plugin := evaluator(b, manifests)
		interfaces := admission.NewObjectInterfacesFromScheme(runtime.NewScheme())
		for _, write := range writes {
			attributes := attributesOf(b, write.stored, write.object, write.subresource)
			b.Run(which+"/"+write.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := plugin.Validate(b.Context(), attributes, interfaces); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func attributesOf(tb testing.TB, stored, object, subresource string) admission.Attributes {
	tb.Helper()
	read := func(text string) *unstructured.Unstructured {
		data, err := yaml.YAMLToJSON([]byte(strings.Replace(text, "metadata: {", "metadata: {name: a, namespace: a, ", 1)))
		if err != nil {
			tb.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(data); err != nil {
			tb.Fatal(err)
		}
		return o
	}
	written := read(object)
	kind := written.GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s"}
	who := &user.DefaultInfo{Name: "u", Groups: []string{"g"}}
	if stored == "" {
		return admission.NewAttributesRecord(written, nil, kind, "a", "a", resource, subresource, admission.Create, &metav1.CreateOptions{}, false, who)
	}
	return admission.NewAttributesRecord(written, read(stored), kind, "a", "a", resource, subresource, admission.Update, &metav1.UpdateOptions{}, false, who)
}
