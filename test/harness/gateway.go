package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gatewayCRDs serialises the installation.
var gatewayCRDs sync.Mutex

// GatewayAPI installs the CRDs of the Gateway API's standard channel, and what comes with
// them, from its module.
func (c *Cluster) GatewayAPI(tb testing.TB) {
	tb.Helper()
	gatewayCRDs.Lock()
	defer gatewayCRDs.Unlock()
	for _, manifests := range gatewayManifests(tb) {
		for _, object := range c.Apply(tb, "", manifests) {
			if object.GetObjectKind().GroupVersionKind().Kind == "CustomResourceDefinition" {
				c.established(tb, object)
			}
		}
	}
}

// gatewayManifests are the manifests of the Gateway API's standard channel, as its module
// has them.
func gatewayManifests(tb testing.TB) []string {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		tb.Fatalf("find the module of the Gateway API: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/gateway.networking.k8s.io_*.yaml"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("the module of the Gateway API has no CRDs (%v)", err)
	}
	var all []string
	for _, path := range paths {
		manifests, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, string(manifests))
	}
	return all
}

// established waits until the API server serves a CRD.
func (c *Cluster) established(tb testing.TB, crd client.Object) {
	tb.Helper()
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(crd.GetObjectKind().GroupVersionKind())
	Eventually(tb, 20*time.Second, func() error {
		if err := c.Get(tb.Context(), client.ObjectKeyFromObject(crd), current); err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, one := range conditions {
			if condition, ok := one.(map[string]any); ok && condition["type"] == "Established" && condition["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("%s is not established", crd.GetName())
	})
}
