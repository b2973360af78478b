package admission

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/validation/validationtest"
	"github.com/everleaf/everleaf/test/controlplane"
)

const label = "cert-manager.io/disable-validation"

// until polls until done, for a minute.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("no %s within a minute", what)
		case <-ticker.C:
		}
	}
}

// TestStoredObjectsCanBeWorkedWith stores objects that break rules, as from
// before a rule, and holds that every write that leaves the spec as it is, or
// makes it right, is accepted.
func TestStoredObjectsCanBeWorkedWith(t *testing.T) {
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	namespace := controlplane.Namespace(t, cp, map[string]string{label: "true"})
	broken := map[string]struct{ object, right string }{
		"Certificate": {
			validationtest.BareCertificate(`secretName: A, issuerRef: {name: a, kind: AWSPCA}, duration: 1m0s, commonName: ` + strings.Repeat("a", 65) + `,
				revisionHistoryLimit: 0, privateKey: {size: 1}, otherNames: [{}], secretTemplate: {annotations: {cert-manager.io/a: b}}, keystores: {jks: {create: true}}`),
			validationtest.Certificate(``),
		},
		"CertificateRequest": {
			strings.Replace(strings.Replace(validationtest.Request(`duration: 2160h`), validationtest.CSR, validationtest.Encoded("0\x82>>>???"), 1), "issuerRef: {name: a}", "issuerRef: {name: a, kind: AWSPCA}", 1), "",
		},
		"Issuer": {validationtest.WithSolver(`http01: {ingress: {ingressTemplate: {metadata: {labels: {a: a/b}}}}}, dns01: {rfc2136: {nameserver: "::1"}}`), validationtest.WithSolver(`http01: {ingress: {}}`)},
	}
	stored := map[string]*unstructured.Unstructured{}
	for name, test := range broken {
		object := parse(t, test.object)
		stored[name] = store(t, resource(client, object, namespace), object)
	}
	_, err = kube.CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"`+label+`":null}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "refusal after the label is gone", func() bool {
		return refusal(t, try(t, client, namespace, validationtest.Case{Object: broken["Certificate"].object})) != ""
	})

	dryRun := []string{metav1.DryRunAll}
	for name, test := range broken {
		t.Run(name, func(t *testing.T) {
			first := parse(t, test.object)
			api := resource(client, first, namespace)
			marked := parse(t, test.object)
			marked.SetLabels(map[string]string{"a": "b"})
			marked.SetAnnotations(map[string]string{"a": "b", "cert-manager.io/certificate-name": "a"})
			marked.SetFinalizers([]string{"a.example/a"})
			if name != "CertificateRequest" {
				marked.SetAnnotations(map[string]string{"a": "b"})
			}
			marked.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "False", "reason": "Pending"}}}
			if text := refusal(t, overwrite(t, api, stored[name], marked, dryRun)); text != "" {
				t.Errorf("labels, annotations, a finalizer and status: %s", text)
			}
			if text := refusal(t, typedUpdate(t, api, stored[name])); text != "" {
				t.Errorf("decoded and encoded: %s", text)
			}
			if test.right != "" {
				if text := refusal(t, overwrite(t, api, stored[name], parse(t, test.right), dryRun)); text != "" {
					t.Errorf("put right: %s", text)
				}
			}
		})
	}
}

// decoder returns what controllers decode objects with. It refuses fields that
// the types do not have.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// typedUpdate writes an object as a client in Go does: decoded and encoded, with
// another label.
func typedUpdate(t *testing.T, api dynamic.ResourceInterface, stored *unstructured.Unstructured) error {
	t.Helper()
	data, err := stored.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	typed, _, err := decoder(t).Decode(data, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(typed); err != nil {
		t.Fatal(err)
	}
	written := &unstructured.Unstructured{}
	if err := written.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	written.SetLabels(map[string]string{"typed": "yes"})
	_, err = api.Update(t.Context(), written, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// TestRecordedAccepted holds that every object that cert-manager wrote can be
// created, and written again as it is.
func TestRecordedAccepted(t *testing.T) {
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	namespace := controlplane.Namespace(t, cp, nil)
	data, err := os.ReadFile("../../api/crds/testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	if err := utiljson.Unmarshal(data, &objects); err != nil {
		t.Fatal(err)
	}
	for _, fields := range objects {
		recorded := &unstructured.Unstructured{Object: fields}
		t.Run(recorded.GetKind()+"/"+recorded.GetName(), func(t *testing.T) {
			object := &unstructured.Unstructured{Object: map[string]any{"spec": fields["spec"], "status": fields["status"]}}
			object.SetGroupVersionKind(recorded.GroupVersionKind())
			object.SetGenerateName("recorded-")
			object.SetAnnotations(recorded.GetAnnotations())
			if fields["status"] == nil {
				delete(object.Object, "status")
			}
			api := resource(client, object, namespace)
			stored := store(t, api, object)
			if object.GetKind() == "ClusterIssuer" {
				t.Cleanup(func() {
					if err := api.Delete(context.Background(), stored.GetName(), metav1.DeleteOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			if err := overwrite(t, api, stored, stored, nil); err != nil {
				t.Error(err)
			}
			latest, err := api.Get(t.Context(), stored.GetName(), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := typedUpdate(t, api, latest); err != nil {
				t.Errorf("decoded and encoded: %v", err)
			}
		})
	}
}

// TestAcceptedCanBeDecoded holds that what the API server accepts can be
// decoded. Otherwise a user of one namespace could stop the controllers for all,
// because a list fails if one of its objects cannot be decoded.
func TestAcceptedCanBeDecoded(t *testing.T) {
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	asking := func(field string) string {
		return strings.Replace(validationtest.Request(field), validationtest.CSR, "YQ==", 1)
	}
	pod := func(field string) string {
		return validationtest.WithSolver(`http01: {ingress: {podTemplate: {spec: {` + field + `}}}}`)
	}
	status := func(field string) string { return validationtest.WithStatus(validationtest.Certificate(``), field) }
	tests := map[string]struct {
		object   string
		accepted bool
	}{
		"whole float":                {validationtest.Certificate(`privateKey: {size: 2048.0}`), true},
		"huge float":                 {validationtest.Certificate(`privateKey: {algorithm: Ed25519, size: 1e30}`), false},
		"beyond int64":               {validationtest.Certificate(`privateKey: {algorithm: Ed25519, size: 99999999999999999999}`), false},
		"beyond int32":               {validationtest.Certificate(`revisionHistoryLimit: 99999999999`), false},
		"percentage beyond int32":    {validationtest.Certificate(`renewBeforePercentage: 99999999999`), false},
		"negative percentage":        {validationtest.Certificate(`renewBeforePercentage: -5`), true},
		"duration in days":           {validationtest.Certificate(`duration: 90d`), false},
		"empty duration":             {validationtest.Certificate(`duration: ""`), false},
		"duration out of range":      {validationtest.Certificate(`duration: 9999999999h`), false},
		"duration just out of range": {validationtest.Certificate(`duration: 2562047h48m`), false},
		"duration with a space":      {validationtest.Certificate(`duration: " 90h"`), false},
		"fractional duration":        {validationtest.Certificate(`duration: 1.5h`), true},
		"renewBefore in days":        {validationtest.Certificate(`renewBefore: 3d`), false},
		"window out of range":        {validationtest.Certificate(`renewal: {windows: [{cron: "@daily", windowDuration: 9999999999h}]}`), false},
		"window":                     {validationtest.Certificate(`renewal: {windows: [{cron: "@daily", windowDuration: 1.5h}]}`), true},
		"request duration in days":   {asking(`duration: 90d`), false},
		"request without padding":    {strings.Replace(asking(``), "YQ==", "YQ", 1), false},
		"request with a space":       {strings.Replace(asking(``), "YQ==", `" YQ=="`, 1), false},
		"request in base64url":       {strings.Replace(asking(``), "YQ==", "_-==", 1), false},
		"request with trailing bits": {strings.Replace(asking(``), "YQ==", "YR==", 1), true},
		"Order in days":              {strings.Replace(validationtest.Order, "YQ==", "YQ==, duration: 90d", 1), false},
		"wait in days":               {validationtest.WithSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 1d`), false},
		"quantity":                   {pod(`resources: {limits: {cpu: 1e3}}`), true},
		"quantity as a number":       {pod(`resources: {limits: {cpu: 99999999999}}`), true},
		"quantity as a fraction":     {pod(`resources: {limits: {cpu: 1.5}}`), false},
		"quantity no parser takes":   {pod(`resources: {limits: {cpu: "1e1.5"}}`), true},
		"user beyond int64":          {pod(`securityContext: {runAsUser: 99999999999999999999}`), false},
		"time":                       {status(`notAfter: "2020-01-01T00:00:00Z"`), true},
		"time with nanoseconds":      {status(`notAfter: "2020-01-01T00:00:00.123456789+01:00"`), true},
		"leap day":                   {status(`notAfter: "2020-02-29T00:00:00Z"`), true},
		"no leap day":                {status(`notAfter: "2021-02-29T00:00:00Z"`), false},
		"leap second":                {status(`notAfter: "2016-12-31T23:59:60Z"`), false},
		"lower-case time":            {status(`notAfter: "2020-01-01t00:00:00z"`), false},
		"offset out of range":        {status(`lastFailureTime: "2020-01-01T00:00:00+99:99"`), false},
		"time in a condition":        {status(`conditions: [{type: A, status: "True", lastTransitionTime: "2020-01-01t00:00:00z"}]`), false},
		"time in ARI":                {status(`acme: {ari: {suggestedWindow: {start: "2020-01-01t00:00:00z", end: "2020-01-01T00:00:00Z"}}}`), false},
	}
	// Where validation is disabled, this holds too.
	namespace := controlplane.Namespace(t, cp, map[string]string{label: "true"})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := parse(t, test.object)
			api := resource(client, object, namespace)
			made, err := api.Create(t.Context(), object, metav1.CreateOptions{})
			if written, ok := object.Object["status"]; ok && err == nil {
				made.Object["status"] = written
				made, err = api.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
			}
			if accepted := err == nil; accepted != test.accepted {
				t.Fatalf("accepted: %v, want %v: %v", accepted, test.accepted, err)
			}
			if err != nil {
				return
			}
			data, err := made.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := decoder(t).Decode(data, nil, nil); err != nil {
				t.Errorf("accepted, but cannot be decoded: %v", err)
			}
		})
	}
}

// TestIdentityIsCheckedAfterMutations takes the mutation away that sets the
// identity of the requester, and holds that a request that claims another is
// refused.
func TestIdentityIsCheckedAfterMutations(t *testing.T) {
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	const name = "certificaterequests-identity.cert-manager.io"
	bindings := kube.AdmissionregistrationV1().MutatingAdmissionPolicyBindings()
	if err := bindings.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	namespace := controlplane.Namespace(t, cp, nil)
	forged := validationtest.Case{Object: validationtest.Request(`username: a, uid: b, groups: [c], extra: {d: [e]}`)}
	var got string
	until(t, "refusal", func() bool {
		got = refusal(t, try(t, client, namespace, forged))
		return got != ""
	})
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	}
	if _, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "mutation", func() bool { return refusal(t, try(t, client, namespace, forged)) == "" })
	var want []string
	for _, field := range []string{"uid", "username", "groups", "extra"} {
		want = append(want, "spec."+field+": Forbidden: "+field+" identity must be that of the requester")
	}
	if diff := cmp.Diff("["+strings.Join(want, ", ")+"]", got); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
}
