package deploy

import (
	"bytes"
	"io/fs"
	"os"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestPolicies holds that all policies and bindings can be selected by their
// label, and that none of them is retired.
func TestPolicies(t *testing.T) {
	files, err := fs.Glob(Policies, "policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	for _, file := range files {
		text, err := Policies.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var object metav1.PartialObjectMetadata
			if err := yaml.Unmarshal(document, &object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if object.Labels["app.kubernetes.io/part-of"] != "everleaf" {
				t.Errorf("%s: %s %s has the labels %v", file, object.Kind, object.Name, object.Labels)
			}
			kind := object.GroupVersionKind()
			if slices.Contains(Retired(), Object{kind.Group, kind.Version, kind.Kind, object.Name}) {
				t.Errorf("%s: %s %s is retired", file, object.Kind, object.Name)
			}
		}
	}
}

// TestRetiredAreInTheDocumentation holds that the command in docs/admission.md
// deletes everything that is retired.
func TestRetiredAreInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/admission.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range Retired() {
		if !bytes.Contains(text, []byte(" "+object.Name)) {
			t.Errorf("docs/admission.md does not say how to delete %s %s", object.Kind, object.Name)
		}
	}
}
