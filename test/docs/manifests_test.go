package docs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	logsapi "k8s.io/component-base/logs/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/internal/cli"
	"github.com/everleaf/everleaf/internal/configfile"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }

var blocks = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// manifests returns the objects in the pages, by page and number.
func manifests(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for name, page := range pages(t) {
		for i, block := range blocks.FindAllStringSubmatch(page, -1) {
			for j, text := range strings.Split(block[1], "\n---\n") {
				object := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(text), object); err != nil {
					t.Fatalf("%s, block %d: %v", name, i+1, err)
				}
				all[fmt.Sprintf("%s, block %d, object %d", name, i+1, j+1)] = object
			}
		}
	}
	return all
}

// TestManifests applies all manifests by dry run with strict validation: no
// unknown fields, no duplicates.
func TestManifests(t *testing.T) {
	all := manifests(t)
	if len(all) < 10 {
		t.Fatalf("only %d manifests found", len(all))
	}
	cp := controlplane.Shared(t)
	harness.Of(t, cp).GatewayAPI(t)
	api, err := client.New(cp.RESTConfig(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, object := range all {
		if _, ok := programs[object.GetKind()]; ok {
			continue
		}
		err := api.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// programs read configuration files, by kind.
var programs = map[string]string{configfile.Controller.Kind: "controller", configfile.Webhook.Kind: "webhook"}

// TestConfigurations starts the programs with each configuration file, up to the
// point at which they look for a cluster.
func TestConfigurations(t *testing.T) {
	found := map[string]bool{}
	for name, object := range manifests(t) {
		program, ok := programs[object.GetKind()]
		if !ok {
			continue
		}
		found[program] = true
		content, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		// Each stands for a process, which sets up its log once.
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Fatal(err)
		}
		var errs strings.Builder
		cli.Main(t.Context(), []string{program, "--config=" + path, "--kubeconfig=" + path + ".missing"}, io.Discard, &errs)
		if !strings.HasPrefix(errs.String(), "everleaf: find the cluster: ") {
			t.Errorf("%s: %s", name, errs.String())
		}
	}
	if len(found) < len(programs) {
		t.Errorf("only the files of %v are documented", found)
	}
}
