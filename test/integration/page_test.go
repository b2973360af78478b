package integration

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
)

// pageManifests are the blocks of a page that are manifests.
var pageManifests = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// pageTable is a command of a page that shows an Issuer, and what the page says it prints.
var pageTable = regexp.MustCompile(`(?m)^    (kubectl .* get issuer \S+ -o wide)\n\nThe output is similar to this:\n\n    (NAME .*\n.*)\n`)

// page is a page of the documentation that a lab does.
type page struct {
	*lab
	text string
	// dir is where the commands run, path where they are found.
	dir, path string
	// replaces has what a reader puts into the commands and manifests.
	replaces map[string]string
}

func newPage(t *testing.T, l *lab, file string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", file))
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := local.DefaultBinDir()
	if err != nil {
		t.Fatal(err)
	}
	kubectl := local.Kubectl(binaries)
	if kubectl == "" {
		child.Missing(t, "needs kubectl: run tools/build kubectl")
	}
	if kubectl, err = exec.LookPath(kubectl); err != nil {
		t.Fatal(err)
	}
	return &page{lab: l, text: string(text), dir: t.TempDir(), path: filepath.Dir(kubectl) + ":" + os.Getenv("PATH")}
}

// read puts what a reader would into a text of the page.
func (p *page) read(text string) string {
	for _, was := range slices.Sorted(maps.Keys(p.replaces)) {
		text = strings.ReplaceAll(text, was, p.replaces[was])
	}
	return text
}

// writes puts a file where the commands run.
func (p *page) writes(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command of the page in a shell, and returns what it prints.
func (p *page) run(t *testing.T, command string, environment ...string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", p.read(command))
	cmd.Dir = p.dir
	cmd.Env = append(append(os.Environ(), "PATH="+p.path, "KUBECONFIG="+p.KubeconfigPath()), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	t.Logf("%s: done", command)
	return string(out)
}

// objects are those of the page's manifests.
func (p *page) objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, block := range pageManifests.FindAllStringSubmatch(p.text, -1) {
		objects = append(objects, p.objectsOf(t, block[1])...)
	}
	return objects
}

// objectsOf are those of one block of manifests.
func (p *page) objectsOf(t *testing.T, block string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, manifest := range strings.Split(block, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(p.read(manifest)), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// applies applies an object.
func (p *page) applies(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(t, p.ns, string(text))
}

// showsIssuer holds that kubectl prints of an Issuer that is ready what the page says.
func (p *page) showsIssuer(t *testing.T) {
	t.Helper()
	found := pageTable.FindStringSubmatch(p.text)
	if found == nil {
		t.Fatal("the page does not show an Issuer")
	}
	if got, want := withoutAge(p.run(t, found[1])), withoutAge(found[2]); !slices.Equal(got, want) {
		t.Errorf("kubectl prints %q, want %q", got, want)
	}
}

// withoutAge are the words of a table of kubectl's that ends with an age.
func withoutAge(table string) []string {
	words := strings.Fields(table)
	return words[:max(0, len(words)-1)]
}

// issues holds that the Certificate of the page is issued, and one like it from each of its
// Issuers.
func (p *page) issues(t *testing.T, certificate string, issuers []string) {
	t.Helper()
	like := p.crt(t, certificate)
	named := func(issuer string) string { return "web-of-" + issuer }
	for _, issuer := range issuers {
		crt := &cmv1.Certificate{ObjectMeta: metaNamed(p.ns, named(issuer)), Spec: *like.Spec.DeepCopy()}
		if fields, has := like.Annotations[cmv1.VenafiCustomFieldsAnnotationKey]; has {
			crt.Annotations = map[string]string{cmv1.VenafiCustomFieldsAnnotationKey: fields}
		}
		crt.Spec.SecretName, crt.Spec.IssuerRef.Name = crt.Name, issuer
		if err := p.Create(t.Context(), crt); err != nil {
			t.Fatal(err)
		}
	}
	p.revision(t, certificate, 1)
	for _, issuer := range issuers {
		p.revision(t, named(issuer), 1)
		verify(t, p.secret(t, named(issuer)), "www.example.com")
	}
}
