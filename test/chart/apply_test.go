package chart

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/everleaf/everleaf/deploy/manifests"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// TestServerAccepts applies what is rendered by dry run, with strict validation: an API
// server knows every field, and takes it. It also holds that the static manifests do.
func TestServerAccepts(t *testing.T) {
	t.Parallel()
	cp := controlplane.Shared(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string]string{
		"default":            "crds: {enabled: true}",
		"policies":           "everleaf: {admission: policies}",
		"one namespace":      "everleaf: {watchNamespace: cert-manager}",
		"pod monitor":        "prometheus: {podmonitor: {enabled: true}}",
		"webhook by its URL": "webhook: {url: {host: hook.example.com}, hostNetwork: true}",
		"all values":         file(t, "testdata/every-value.yaml"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := rendering{values: values}.render(t)
			for _, id := range all.ids() {
				apply(t, client, all[id], metav1.DryRunAll)
			}
		})
	}
	for _, path := range []string{"deploy/everleaf.yaml", "deploy/everleaf-policies.yaml"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			kubectl := exec.Command(program(t, "kubectl"), "apply", "--server-side", "--force-conflicts", "--dry-run=server",
				"--validate=strict", "--kubeconfig", cp.KubeconfigPath(), "--filename", filepath.Join(root, path))
			if out, err := kubectl.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// apply applies an object, or only tries to. Kinds of other projects are left out.
func apply(t *testing.T, client dynamic.Interface, content map[string]any, dryRun ...string) {
	t.Helper()
	object := &unstructured.Unstructured{Object: content}
	if object.GroupVersionKind().Group == "monitoring.coreos.com" {
		return
	}
	body, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	force := true
	options := metav1.PatchOptions{FieldManager: "test", Force: &force, DryRun: dryRun, FieldValidation: metav1.FieldValidationStrict}
	var api dynamic.ResourceInterface = client.Resource(plural)
	if object.GetNamespace() != "" {
		api = client.Resource(plural).Namespace(object.GetNamespace())
	}
	if _, err := api.Patch(t.Context(), object.GetName(), types.ApplyPatchType, body, options); err != nil {
		t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

// TestAppliers holds that helm, kubectl with a client-side and with a server-side apply,
// and the cainjector do not undo each other's work on the webhook configurations, in any
// order: nothing differs afterwards, and the bundle is the cainjector's alone.
func TestAppliers(t *testing.T) {
	t.Parallel()
	helm, kubectl := program(t, "helm"), program(t, "kubectl")
	cp := controlplane.Shared(t)
	config := cp.KubeconfigPath()
	const release = "appliers-cert-manager"
	namespace := controlplane.Namespace(t, cp, nil)
	run := func(stdin []byte, name string, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Stdin, cmd.Env = bytes.NewReader(stdin), append(os.Environ(), "KUBECONFIG="+config)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return out
	}
	// Nothing else of this test process is to wait for a webhook that does not run.
	values := []string{"--namespace", namespace, "--set", "webhook.validatingWebhookConfiguration.namespaceSelector.matchLabels.appliers=none", "--set", "webhook.mutatingWebhookConfiguration.namespaceSelector.matchLabels.appliers=none"}
	install := func() {
		t.Helper()
		run(nil, helm, append([]string{"upgrade", "--install", release, chart, "--no-hooks"}, values...)...)
	}
	install()
	t.Cleanup(func() {
		cmd := exec.Command(helm, "uninstall", release, "--namespace", namespace, "--no-hooks", "--kubeconfig", config)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	shown := run(nil, helm, append([]string{"template", release, chart, "--kube-version", newest, "--show-only", "templates/webhook-configurations.yaml"}, values...)...)
	appliers := map[string]func(){
		"helm":              install,
		"client-side apply": func() { run(shown, kubectl, "apply", "--filename", "-") },
		"server-side apply": func() {
			run(shown, kubectl, "apply", "--server-side", "--force-conflicts", "--field-manager", "argocd-controller", "--filename", "-")
		},
	}
	inject(t, cp, release+"-webhook")
	for _, order := range [][]string{
		{"client-side apply", "helm", "server-side apply"}, {"server-side apply", "helm", "client-side apply"}, {"helm", "client-side apply", "server-side apply"},
	} {
		for _, name := range order {
			appliers[name]()
			run(shown, kubectl, "diff", "--filename", "-")
			run(shown, kubectl, "diff", "--server-side", "--force-conflicts", "--field-manager", "argocd-controller", "--filename", "-")
			bundled(t, cp, release+"-webhook", name)
		}
	}
	if len(manifests.Split(shown)) != 2 {
		t.Errorf("want two configurations, got:\n%s", shown)
	}
}

// schemaOf is the resource of the webhook configurations.
func schemaOf(resource string) apischema.GroupVersionResource {
	return apischema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resource}
}

var configurations = []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"}

// inject does what the cainjector does.
func inject(t *testing.T, cp *local.ControlPlane, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range configurations {
		kind := map[string]string{configurations[0]: "ValidatingWebhookConfiguration", configurations[1]: "MutatingWebhookConfiguration"}[resource]
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name},
			"webhooks": []any{map[string]any{"name": "webhook.cert-manager.io", "clientConfig": map[string]any{"caBundle": bundleOf(cp)}}},
		}}
		if _, err := client.Resource(schemaOf(resource)).Apply(t.Context(), name, object, metav1.ApplyOptions{FieldManager: injector, Force: true}); err != nil {
			t.Fatal(err)
		}
	}
}

const injector = "cert-manager-cainjector"

// bundleOf is some bundle of certificates, as in the JSON of an object.
func bundleOf(cp *local.ControlPlane) string {
	return base64.StdEncoding.EncodeToString(cp.RESTConfig().CAData)
}

// bundled holds that the bundle is there and that only the cainjector owns it.
func bundled(t *testing.T, cp *local.ControlPlane, name, after string) {
	t.Helper()
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range configurations {
		live, err := client.Resource(schemaOf(resource)).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := at(t, live.Object, "webhooks.0.clientConfig.caBundle"); got != bundleOf(cp) {
			t.Errorf("after %s, the bundle of %s is %v", after, resource, got)
		}
		var owners []string
		for _, entry := range live.GetManagedFields() {
			if strings.Contains(entry.FieldsV1.GetRawString(), `"f:caBundle"`) {
				owners = append(owners, entry.Manager)
			}
		}
		if !slices.Equal(owners, []string{injector}) {
			t.Errorf("after %s, the bundle of %s belongs to %v", after, resource, owners)
		}
	}
}
