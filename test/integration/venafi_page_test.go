package integration

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/venafi"
)

const venafiPagePath = "../../docs/issuers/venafi.md"

// venafiServices has the services of the vendor in the place of which a server answers.
type venafiServices struct {
	server *venafi.Server
	client http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s venafiServices) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "api.venafi.cloud", "api.strata.paloaltonetworks.com", "auth.apps.paloaltonetworks.com":
		to, err := url.Parse(s.server.URL)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.URL.Host, req.Host = to.Host, ""
	}
	return s.client.RoundTrip(req)
}

// TestVenafiPage does what the documentation says: each of its Issuers, and one with the
// password, has a certificate issued.
func TestVenafiPage(t *testing.T) {
	server := venafi.New(t)
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) {
		o.VendorHTTP = venafiServices{server: server, client: server.Client()}
	}})
	text, err := os.ReadFile(venafiPagePath)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	const command = "kubectl create secret generic tpp-ca --from-file=ca.crt=ca.pem"
	if !strings.Contains(page, "\n    "+command+"\n") {
		t.Fatalf("the page has no command %q", command)
	}
	createSecret(t, l, command, "ca.pem", server.CA)
	replaces := map[string]string{
		"https://tpp.example.com/vedsdk": server.URL + "/vedsdk",
		"namespace: default":             "namespace: " + l.ns,
		`Kubernetes\Web`:                 `Kube\web`,
		`Shop App\Default`:               `Shop App\Default Tmpl`,
		"paste-the-token-here":           venafi.Token,
		"paste-the-password-here":        venafi.Password,
		"paste-the-key-here":             venafi.APIKey,
		"paste-the-id-here":              venafi.NGTSClient,
		"paste-the-secret-here":          venafi.NGTSSecret,
	}
	var issuers []string
	for _, block := range pageManifests.FindAllStringSubmatch(page, -1) {
		for _, manifest := range strings.Split(block[1], "\n---\n") {
			for _, was := range slices.Sorted(maps.Keys(replaces)) {
				manifest = strings.ReplaceAll(manifest, was, replaces[was])
			}
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
				t.Fatal(err)
			}
			if object.GetKind() == cmv1.IssuerKind {
				issuers = append(issuers, object.GetName())
			}
			data, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			l.Apply(t, l.ns, string(data))
			if object.GetName() != "example-tpp" {
				continue
			}
			object.SetName("example-tpp-user")
			if err := unstructured.SetNestedField(object.Object, "tpp-user", "spec", "venafi", "tpp", "credentialsRef", "name"); err != nil {
				t.Fatal(err)
			}
			if data, err = json.Marshal(object); err != nil {
				t.Fatal(err)
			}
			l.Apply(t, l.ns, string(data))
			issuers = append(issuers, object.GetName())
		}
	}
	if want := []string{"example-tpp", "example-tpp-user", "example-saas", "example-ngts"}; !slices.Equal(issuers, want) {
		t.Fatalf("the page has the Issuers %q, want %q", issuers, want)
	}
	v := &venafiLab{lab: l, server: server}
	for _, issuer := range issuers {
		v.says(t, issuer, cmmeta.ConditionTrue, "Certificate Manager issuer started", "Certificate Manager issuer started")
		of := v.crt(t, "example-web")
		name := "web-of-" + issuer
		crt := &cmv1.Certificate{ObjectMeta: metaNamed(v.ns, name), Spec: *of.Spec.DeepCopy()}
		crt.Annotations = map[string]string{cmv1.VenafiCustomFieldsAnnotationKey: of.Annotations[cmv1.VenafiCustomFieldsAnnotationKey]}
		crt.Spec.SecretName, crt.Spec.IssuerRef.Name = name, issuer
		if err := v.Create(t.Context(), crt); err != nil {
			t.Fatal(err)
		}
	}
	v.revision(t, "example-web", 1)
	for _, issuer := range issuers {
		v.revision(t, "web-of-"+issuer, 1)
		verify(t, v.secret(t, "web-of-"+issuer), "www.example.com")
	}
	if !slices.ContainsFunc(server.Calls(), func(c venafi.Call) bool {
		return strings.HasSuffix(c.Path, "/certificates/request") && strings.Contains(c.Body, `"CustomFields":[{"Name":"Cost center","Values":["4711"]}]`)
	}) {
		t.Error("no request has had the custom field of the page")
	}
}

// createSecret runs a command of a page that creates a Secret from a file.
func createSecret(t *testing.T, l *lab, command, file string, content []byte) {
	t.Helper()
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
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kubectl, append([]string{"--namespace", l.ns}, strings.Fields(command)[1:]...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.KubeconfigPath())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}
