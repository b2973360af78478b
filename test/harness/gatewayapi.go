package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// GatewayCRDs returns the CRDs of the Gateway API's standard channel by the plurals of
// their kinds, as its module has them.
func GatewayCRDs(tb testing.TB) map[string]*unstructured.Unstructured {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		tb.Fatalf("find the module of the Gateway API: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/gateway.networking.k8s.io_*.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	crds := map[string]*unstructured.Unstructured{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---") {
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
