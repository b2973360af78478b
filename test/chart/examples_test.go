package chart

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/test/controlplane"
)

// TestHighAvailability holds what charts/everleaf/examples/ha.yaml is for: no component
// has one pod only, a drained node leaves one of each, and the pods that are spread are
// those of the component.
func TestHighAvailability(t *testing.T) {
	t.Parallel()
	values, err := os.ReadFile(chart + "/examples/ha.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for admission, replicas := range map[string]map[string]int{
		"webhook":  {"cert-manager": 2, "cert-manager-webhook": 3, "cert-manager-cainjector": 2},
		"policies": {"cert-manager": 2, "cert-manager-cainjector": 2},
	} {
		all := rendering{values: string(values), args: []string{"--set", "everleaf.admission=" + admission}}.render(t)
		for name, n := range replicas {
			pods := "Deployment/" + name
			equal(t, pods, fmt.Sprint(n), all.get(t, pods, "spec.replicas"))
			equal(t, pods, "system-cluster-critical", all.get(t, pods, inPod+"priorityClassName"))
			labels := at(t, all[pods], "spec.template.metadata.labels").(map[string]any)
			budget := "PodDisruptionBudget/" + name
			equal(t, budget, "1", all.get(t, budget, "spec.minAvailable"))
			selects(t, budget, all.get(t, budget, "spec.selector.matchLabels"), labels)
			spread, _ := all.get(t, pods, inPod+"topologySpreadConstraints").([]any)
			if len(spread) == 0 {
				t.Errorf("%s: the pods of %s are not spread", admission, name)
			}
			for _, constraint := range spread {
				selects(t, pods, at(t, constraint, "labelSelector.matchLabels"), labels)
			}
		}
		accepted(t, all)
	}
}

// selects fails the test if a selector does not select pods with the labels.
func selects(t *testing.T, what string, selector any, labels map[string]any) {
	t.Helper()
	wanted, ok := selector.(map[string]any)
	if !ok {
		t.Fatalf("%s has no selector", what)
	}
	with := maps.Clone(labels)
	maps.Copy(with, wanted)
	if !maps.Equal(with, labels) {
		t.Errorf("%s selects pods with %v, and they have %v", what, wanted, labels)
	}
}

// accepted has the API server take Deployments and budgets by dry run, with strict
// validation.
func accepted(t *testing.T, all objects) {
	t.Helper()
	api, err := client.New(controlplane.Shared(t).RESTConfig(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range all.ids() {
		if !strings.HasPrefix(id, "Deployment/") && !strings.HasPrefix(id, "PodDisruptionBudget/") {
			continue
		}
		object := &unstructured.Unstructured{Object: all[id]}
		if err := api.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
