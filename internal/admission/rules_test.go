package admission

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/internal/validation/validationtest"
	"github.com/everleaf/everleaf/test/controlplane"
)

// TestRules asks a real API server about cases that break each rule, and cases
// that keep it. TestCases of package validation is held to the same.
func TestRules(t *testing.T) {
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	namespace := controlplane.Namespace(t, cp, nil)
	var refusals []string
	cases := ruleCases()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		test := cases[name]
		want := test.Refusal
		if test.Beyond != nil {
			want = test.Beyond.Refusal
		}
		t.Run(name, func(t *testing.T) {
			got := refusal(t, try(t, client, namespace, test))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
		refusals = append(refusals, want)
	}
	for _, check := range checks() {
		// TestIdentityIsCheckedAfterMutations breaks these.
		if strings.Contains(check.String(), "must be that of the requester") {
			continue
		}
		if !slices.ContainsFunc(refusals, check.MatchString) {
			t.Errorf("no case breaks the rule %s", check)
		}
	}
}

// TestManifestsAreCurrent holds the manifests against the rules: run go generate
// ./internal/admission after a change to them.
func TestManifestsAreCurrent(t *testing.T) {
	const directory = "../../deploy/policies/"
	want := Manifests()
	want["identity.yaml"] = ""
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		manifest, known := want[entry.Name()]
		if !known {
			t.Errorf("%s belongs to no policy", entry.Name())
			continue
		}
		delete(want, entry.Name())
		text, err := os.ReadFile(directory + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if manifest != "" && manifest != string(text) {
			t.Errorf("%s is not what the rules say", entry.Name())
		}
	}
	for name := range want {
		t.Errorf("%s is not there", name)
	}
}

// checks are patterns of the errors of all rules but those in texts, which
// cannot be told from other CEL.
func checks() []*regexp.Regexp {
	var all []*regexp.Regexp
	add := func(template string) {
		var pattern strings.Builder
		for {
			literal, rest, found := strings.Cut(template, "{{")
			pattern.WriteString(regexp.QuoteMeta(literal))
			if !found {
				break
			}
			pattern.WriteString(".*")
			_, template, _ = strings.Cut(rest, "}}")
		}
		all = append(all, regexp.MustCompile(pattern.String()))
	}
	var walk func(rules []rule)
	walk = func(rules []rule) {
		for _, rule := range rules {
			switch r := rule.(type) {
			case check:
				add(r.Error)
			case choice:
				walk(r.Then)
				walk(r.Else)
			case each:
				walk(r.Rules)
			}
		}
	}
	for _, policy := range policies() {
		// TestAdvice breaks the rules that only warn.
		if !policy.Advice {
			walk(policy.Rules)
		}
	}
	return all
}

// try writes what a case says, as a dry run, and returns the answer.
func try(t *testing.T, client dynamic.Interface, namespace string, test validationtest.Case) error {
	t.Helper()
	object := parse(t, test.Object)
	api := resource(client, object, namespace)
	dryRun := []string{metav1.DryRunAll}
	if test.Stored == "" {
		_, err := api.Create(t.Context(), object, metav1.CreateOptions{DryRun: dryRun})
		return err
	}
	stored := store(t, api, parse(t, test.Stored))
	return overwrite(t, api, stored, object, dryRun)
}

// store creates an object, with its status.
func store(t *testing.T, api dynamic.ResourceInterface, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	made, err := api.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("store: %v", err)
	}
	if status, ok := object.Object["status"]; ok {
		made.Object["status"] = status
		if made, err = api.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatalf("store the status: %v", err)
		}
	}
	return made
}

// overwrite writes an object in place of the stored one: all of it, and its
// status.
func overwrite(t *testing.T, api dynamic.ResourceInterface, stored, object *unstructured.Unstructured, dryRun []string) error {
	t.Helper()
	written := stored.DeepCopy()
	for _, key := range []string{"spec", "status"} {
		delete(written.Object, key)
		if value, ok := object.Object[key]; ok {
			written.Object[key] = value
		}
	}
	keepIdentity(stored, written)
	if annotations := object.GetAnnotations(); annotations != nil {
		written.SetAnnotations(annotations)
	}
	if finalizers := object.GetFinalizers(); finalizers != nil {
		written.SetFinalizers(finalizers)
	}
	if labels := object.GetLabels(); labels != nil {
		written.SetLabels(labels)
	}
	if _, err := api.Update(t.Context(), written, metav1.UpdateOptions{DryRun: dryRun}); err != nil {
		return err
	}
	_, err := api.UpdateStatus(t.Context(), written, metav1.UpdateOptions{DryRun: dryRun})
	return err
}

// keepIdentity adds what the API server has set in a CertificateRequest, unless
// the new one says something else.
func keepIdentity(stored, written *unstructured.Unstructured) {
	before, _ := stored.Object["spec"].(map[string]any)
	after, ok := written.Object["spec"].(map[string]any)
	if !ok || before == nil {
		return
	}
	for _, field := range []string{"username", "uid", "groups", "extra"} {
		if _, set := after[field]; !set && before[field] != nil {
			after[field] = before[field]
		}
	}
}

func resource(client dynamic.Interface, object *unstructured.Unstructured, namespace string) dynamic.ResourceInterface {
	kind := object.GroupVersionKind()
	all := client.Resource(schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s"})
	if kind.Kind == "ClusterIssuer" {
		return all
	}
	return all.Namespace(namespace)
}

// parse reads YAML. The name is made unique.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	object.SetGenerateName("case-")
	return object
}

// refusal returns the text of the policy that refuses, or "". Other errors fail
// the test.
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	_, text, ours := strings.Cut(err.Error(), "denied request: ")
	if !ours {
		t.Fatal(err)
	}
	return text
}

// ruleCases are the cases to which package validation is held too, and those about
// what no program in Go gets to see.
func ruleCases() map[string]validationtest.Case {
	all := validationtest.Cases()
	for name, c := range decodableCases() {
		all["decodable/"+name] = c
	}
	parent := func(ref string) string {
		return validationtest.Challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [` + ref + `]}}}`)
	}
	all["Challenge/defaulted"] = validationtest.Case{Stored: parent(`{name: a}`), Object: parent(`{name: a, kind: Gateway}`)}
	return all
}
