package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
)

// warnings are what the API server warns a client of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.text)
}

// oldClient is a client that collects warnings.
func oldClient(t *testing.T, l *lab, w *warnings) client.Client {
	t.Helper()
	config := rest.CopyConfig(l.RESTConfig())
	config.WarningHandlerWithContext = w
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func oldIssuer(t *testing.T, ns, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	manifest := fmt.Sprintf("apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", name, ns, spec)
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestOldVersion writes Issuers as v1alpha2. They are stored as v1, so that the API
// server of cert-manager's own definitions reads them.
func TestOldVersion(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	w := &warnings{}
	c := oldClient(t, l, w)
	issuer := oldIssuer(t, l.ns, "old", `{ca: {secretName: root, crlDistributionPoints: ["http://crl.example/a"]}}`)
	if err := c.Create(t.Context(), issuer, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cert-manager.io/v1alpha2 Issuer is deprecated; use cert-manager.io/v1 Issuer"}, w.all()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	l.certificate(t, "web", `{secretName: web, dnsNames: [web.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: old}}`)
	l.revision(t, "web", 1)
	if got := verify(t, l.secret(t, "web"), "web.example.com")[0].CRLDistributionPoints; len(got) != 1 || got[0] != "http://crl.example/a" {
		t.Errorf("the certificate has the CRLs %q", got)
	}

	current := &cmv1.Issuer{}
	key := client.ObjectKey{Namespace: l.ns, Name: "old"}
	if err := l.Get(t.Context(), key, current); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), key, issuer); err != nil {
		t.Fatal(err)
	}
	seen := &cmv1.Issuer{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(issuer.Object, seen); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(current.Spec, seen.Spec); diff != "" {
		t.Errorf("spec (-v1 +v1alpha2):\n%s", diff)
	}
	if diff := cmp.Diff(current.Status, seen.Status); diff != "" || len(seen.Status.Conditions) != 1 {
		t.Errorf("status (-v1 +v1alpha2):\n%s", diff)
	}
	for _, name := range []string{"issuers.cert-manager.io", "clusterissuers.cert-manager.io"} {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		if err := l.Get(t.Context(), client.ObjectKey{Name: name}, crd); err != nil {
			t.Fatal(err)
		}
		stored, _, err := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
		if diff := cmp.Diff([]string{"v1"}, stored); diff != "" || err != nil {
			t.Errorf("%s: stored versions (-want +got):\n%s", name, diff)
		}
	}
}

// TestOldVersionRefused holds that nothing of a manifest is dropped without a word:
// neither names of then nor what the rules of v1 refuse.
func TestOldVersionRefused(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	l := &lab{Cluster: cluster, ns: cluster.Namespace(t)}
	c := oldClient(t, l, &warnings{})
	const acme = `{acme: {server: "https://acme.example/dir", privateKeySecretRef: {name: a}, solvers: [{dns01: {%s}}]}}`
	for name, test := range map[string]struct{ spec, want string }{
		"acmedns":    {fmt.Sprintf(acme, `acmedns: {host: "https://a.example", accountSecretRef: {name: a, key: b}}`), "spec.acme.solvers[0].dns01.acmedns: Invalid value: is acmeDNS in cert-manager.io/v1: write acmeDNS, with apiVersion: cert-manager.io/v1"},
		"azuredns":   {fmt.Sprintf(acme, `azuredns: {subscriptionID: a, resourceGroupName: b}`), "spec.acme.solvers[0].dns01.azuredns: Invalid value: is azureDNS in cert-manager.io/v1: write azureDNS, with apiVersion: cert-manager.io/v1"},
		"clouddns":   {fmt.Sprintf(acme, `clouddns: {project: a}`), "spec.acme.solvers[0].dns01.clouddns: Invalid value: is cloudDNS in cert-manager.io/v1: write cloudDNS, with apiVersion: cert-manager.io/v1"},
		"two types":  {`{selfSigned: {}, ca: {secretName: a}}`, "may not specify more than one issuer type"},
		"wrong type": {`{ca: {secretName: 7}}`, "spec.ca.secretName: Invalid value"},
	} {
		// Not strict: these clients hear of unknown fields in a warning only.
		err := c.Create(t.Context(), oldIssuer(t, l.ns, "refused", test.spec))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v\nwant %s", name, err, test.want)
		}
	}
}
