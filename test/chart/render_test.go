package chart

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/deploy/manifests"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/controlplane"
)

const (
	root  = "../.."
	chart = root + "/charts/everleaf"
	// newest is the Kubernetes version of a render that names none.
	newest = "1.36"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }

// program returns the path of a tool that tools/build builds. It skips the test if it is
// not built.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := local.DefaultBinDir()
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(filepath.Join(dir, name))
	if err != nil {
		child.Missing(t, "needs %s: run tools/build %s: %v", name, name, err)
	}
	return path
}

// rendering says what to render. Its zero value is the default.
type rendering struct {
	// values is YAML.
	values string
	// release and namespace are cert-manager if empty.
	release, namespace string
	// kube is the version of Kubernetes.
	kube string
	// args are further arguments of helm template.
	args []string
}

// objects are what a chart renders, by kind and name.
type objects map[string]map[string]any

// try renders, and returns the objects, or what helm says against it.
func (r rendering) try(t *testing.T) (objects, string) {
	t.Helper()
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	cmd := exec.Command(program(t, "helm"), append([]string{
		"template", or(r.release, "cert-manager"), chart, "--namespace", or(r.namespace, "cert-manager"),
		"--kube-version", or(r.kube, newest), "--values", "-",
	}, r.args...)...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(r.values), &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, complaint.String()
	}
	all := objects{}
	for _, document := range manifests.Split(out.Bytes()) {
		object := map[string]any{}
		// Strict: a key that is there twice is an error.
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(object) == 0 {
			continue
		}
		id := at(t, object, "kind").(string) + "/" + at(t, object, "metadata.name").(string)
		if all[id] != nil {
			t.Errorf("%s is rendered twice", id)
		}
		all[id] = object
	}
	return all, ""
}

// render renders, and fails the test if helm refuses.
func (r rendering) render(t *testing.T) objects {
	t.Helper()
	all, complaint := r.try(t)
	if complaint != "" {
		t.Fatalf("helm template: %s", complaint)
	}
	return all
}

// ids are the kinds and names, in order.
func (o objects) ids() []string { return slices.Sorted(maps.Keys(o)) }

// get returns what is at a path in an object, nil if there is nothing.
func (o objects) get(t *testing.T, id, path string) any {
	t.Helper()
	object := o[id]
	if object == nil {
		t.Fatalf("there is no %s, but %s", id, strings.Join(o.ids(), ", "))
	}
	return at(t, object, path)
}

// at returns what is at a path, with dots between the keys and numbers in lists. A
// slash in place of a dot is no separator: "metadata.annotations[a.b/c]".
func at(t *testing.T, value any, path string) any {
	t.Helper()
	if path == "" {
		return value
	}
	key, rest := path, ""
	if before, after, found := strings.Cut(path, "["); found && !strings.Contains(before, ".") {
		inside, behind, _ := strings.Cut(after, "]")
		if before == "" {
			key, rest = inside, strings.TrimPrefix(behind, ".")
		} else {
			key, rest = before, "["+after
		}
	} else if before, after, found := strings.Cut(path, "."); found {
		key, rest = before, after
	}
	switch value := value.(type) {
	case map[string]any:
		next, ok := value[key]
		if !ok {
			return nil
		}
		return at(t, next, rest)
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i >= len(value) {
			return nil
		}
		return at(t, value[i], rest)
	}
	return nil
}

// decoded is a YAML document.
func decoded(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return value
}

// equal compares a value with YAML.
func equal(t *testing.T, what, want string, got any) {
	t.Helper()
	if diff := cmp.Diff(decoded(t, want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const (
	inController = "spec.template.spec.containers.0."
	inPod        = "spec.template.spec."
)
