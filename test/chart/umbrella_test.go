package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/deploy/manifests"
)

// TestUmbrella renders the chart as a dependency that has cert-manager as its alias, a
// condition, and foreign keys under global.
func TestUmbrella(t *testing.T) {
	t.Parallel()
	helm := program(t, "helm")
	dir := t.TempDir()
	absolute, err := filepath.Abs(chart)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "charts"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(absolute, filepath.Join(dir, "charts", "everleaf")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Chart.yaml": `
apiVersion: v2
name: umbrella
version: 1.0.0
dependencies:
- {name: everleaf, alias: cert-manager, version: v0.1.0, condition: cert-manager.enabled}
`,
		"values.yaml": `
global: {cattle: {systemProjectId: x}, imageRegistry: y}
cert-manager: {enabled: true, crds: {enabled: true}, everleaf: {events: all}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		set  string
		want bool
	}{{"cert-manager.enabled=true", true}, {"cert-manager.enabled=false", false}} {
		cmd := exec.Command(helm, "template", "shop", dir, "--namespace", "shop", "--set", test.set)
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, complaint.String())
		}
		all := map[string]any{}
		for _, document := range manifests.Split(out) {
			object := decoded(t, document)
			all[at(t, object, "kind").(string)+"/"+at(t, object, "metadata.name").(string)] = object
		}
		for _, id := range []string{"Deployment/shop-cert-manager", "Deployment/shop-cert-manager-webhook", "CustomResourceDefinition/issuers.cert-manager.io"} {
			if got := all[id] != nil; got != test.want {
				t.Errorf("%s: %s is rendered: %v", test.set, id, got)
			}
		}
	}
}
