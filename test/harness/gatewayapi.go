package harness

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// GatewayCRDs returns the CRDs of the Gateway API's standard channel by the plurals of
// their kinds, as its module has them.
func GatewayCRDs(tb testing.TB) map[string]*unstructured.Unstructured {
	tb.Helper()
	crds := map[string]*unstructured.Unstructured{}
	for _, manifests := range gatewayManifests(tb) {
		for _, document := range strings.Split(manifests, "\n---") {
			crd := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &crd.Object); err != nil {
				tb.Fatal(err)
			}
			if crd.GetKind() == "CustomResourceDefinition" {
				plural, _, _ := strings.Cut(crd.GetName(), ".")
				crds[plural] = crd
			}
		}
	}
	if crds["gateways"] == nil {
		tb.Fatalf("the module of the Gateway API has only these CRDs: %v", crds)
	}
	return crds
}
