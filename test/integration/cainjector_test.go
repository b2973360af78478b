package integration

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/injector"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

// The annotations of the API.
const (
	injectFromSecret      = "cert-manager.io/inject-ca-from-secret"
	injectFromCertificate = "cert-manager.io/inject-ca-from"
	injectFromAPIServer   = "cert-manager.io/inject-apiserver-ca"
	allowInjection        = "cert-manager.io/allow-direct-injection"
	certificateName       = "cert-manager.io/certificate-name"
)

// injection is a cainjector in a test, which takes CAs from the test's namespace only.
type injection struct {
	*harness.Cluster
	ns       string
	registry *prometheus.Registry
	mu       sync.Mutex
	lines    []string
}

func newInjection(t *testing.T) *injection {
	cluster := harness.Shared(t)
	return &injection{Cluster: cluster, ns: cluster.Namespace(t), registry: prometheus.NewRegistry()}
}

// run runs a cainjector until the test ends or stop is called.
func (i *injection) run(t *testing.T, set func(*injector.Options), as func(*rest.Config)) (stop func()) {
	t.Helper()
	options := injector.Defaults()
	options.Scope.Namespace, options.Registerer = i.ns, i.registry
	options.LeaderElection.Enabled, options.MetricsListenAddress = false, "0"
	if set != nil {
		set(&options)
	}
	config := i.RESTConfig()
	if as != nil {
		as(config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- injector.Run(ctx, config, options, i.log()) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cainjector: %v", err)
		}
		if t.Failed() {
			i.mu.Lock()
			defer i.mu.Unlock()
			t.Log(strings.Join(i.lines, "\n"))
		}
	})
	t.Cleanup(stop)
	return stop
}

func (i *injection) log() logr.Logger {
	return funcr.New(func(prefix, args string) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.lines = append(i.lines, prefix+" "+args)
	}, funcr.Options{})
}

// logged returns how many lines of the log have all parts.
func (i *injection) logged(parts ...string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, line := range i.lines {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			n++
		}
	}
	return n
}

// writes returns how many requests to change something the cainjector has sent.
func (i *injection) writes(t *testing.T) int {
	t.Helper()
	families, err := i.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() == "everleaf_api_writes_total" {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int(sum)
}

// authority returns a new CA in PEM.
func authority(t *testing.T, name string) string {
	t.Helper()
	signer, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := pki.Sign(template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pki.EncodeChain(cert))
}

// secret creates or changes a Secret with a CA.
func (i *injection) secret(t *testing.T, name, ca string, annotations map[string]string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.ns, Name: name}}
	err := client.IgnoreNotFound(i.Get(t.Context(), client.ObjectKeyFromObject(secret), secret))
	if err != nil {
		t.Fatal(err)
	}
	secret.Annotations, secret.Data = annotations, map[string][]byte{"ca.crt": []byte(ca)}
	if secret.UID == "" {
		err = i.Create(t.Context(), secret)
	} else {
		err = i.Update(t.Context(), secret)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// manifests are objects to inject into, by kind. They match no request.
var manifests = map[string]string{
	"ValidatingWebhookConfiguration": `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME.GROUP}
webhooks:
- {name: a.GROUP, sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore, clientConfig: {service: {name: x, namespace: NS}}, rules: [{apiGroups: [GROUP], apiVersions: [v1], resources: [none], operations: [CREATE]}]}
- {name: b.GROUP, sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore, clientConfig: {url: "https://x.example/"}, rules: [{apiGroups: [GROUP], apiVersions: [v1], resources: [none], operations: [CREATE]}]}
`,
	"MutatingWebhookConfiguration": `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: NAME.GROUP}
webhooks:
- {name: a.GROUP, sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore, clientConfig: {service: {name: x, namespace: NS}}, rules: [{apiGroups: [GROUP], apiVersions: [v1], resources: [none], operations: [CREATE]}]}
`,
	"APIService": `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.NAME.GROUP}
spec: {group: NAME.GROUP, version: v1alpha1, groupPriorityMinimum: 1000, versionPriority: 15, service: {name: x, namespace: NS}}
`,
	"CustomResourceDefinition": `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: NAMEs.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {kind: NAME, plural: NAMEs, singular: NAME, listKind: NAMElist}
  conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {service: {name: x, namespace: NS}}}}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`,
}

// object creates an object of a kind with an annotation.
func (i *injection) object(t *testing.T, kind, name, annotation, value string) *unstructured.Unstructured {
	t.Helper()
	text := strings.NewReplacer("NAME", name, "GROUP", i.ns+".example", "NS", i.ns).Replace(manifests[kind])
	if annotation != "" {
		text = strings.Replace(text, "metadata: {", fmt.Sprintf("metadata: {annotations: {%s: %q}, ", annotation, value), 1)
	}
	object := i.Apply(t, "", text)[0].(*unstructured.Unstructured)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = i.Delete(ctx, object)
	})
	return object
}

// bundles reads the bundles of an object.
func (i *injection) bundles(t *testing.T, object *unstructured.Unstructured) []string {
	t.Helper()
	if err := i.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	var found []string
	add := func(holder map[string]any, path ...string) {
		text, _, err := unstructured.NestedString(holder, path...)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, string(raw))
	}
	switch object.GetKind() {
	case "APIService":
		add(object.Object, "spec", "caBundle")
	case "CustomResourceDefinition":
		add(object.Object, "spec", "conversion", "webhook", "clientConfig", "caBundle")
	default:
		list, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
		for _, w := range list {
			add(w.(map[string]any), "clientConfig", "caBundle")
		}
	}
	return found
}

// has waits until all bundles of an object are as wanted.
func (i *injection) has(t *testing.T, object *unstructured.Unstructured, want string) {
	t.Helper()
	harness.Eventually(t, time.Minute, func() error {
		for _, got := range i.bundles(t, object) {
			if got != want {
				return fmt.Errorf("%s %s has %q, want %q", object.GetKind(), object.GetName(), got, want)
			}
		}
		return nil
	})
}

// TestCAInjector injects into every kind from every source, and writes nothing that is
// there already.
func TestCAInjector(t *testing.T) {
	i := newInjection(t)
	i.run(t, nil, nil)
	first, second := authority(t, "first"), authority(t, "second")
	allow, issued := map[string]string{allowInjection: "true"}, map[string]string{certificateName: "serving"}
	server := string(i.RESTConfig().CAData)
	sources := []struct{ name, annotation, value, first, second string }{
		{"one", injectFromSecret, i.ns + "/direct", first, first + second},
		{"two", injectFromCertificate, i.ns + "/serving", first, first + second},
		{"three", injectFromAPIServer, "true", server, server},
	}
	objects := map[*unstructured.Unstructured]int{}
	for kind := range manifests {
		for n, s := range sources {
			objects[i.object(t, kind, s.name, s.annotation, s.value)] = n
		}
	}
	// The sources come after the objects, the Certificate after its Secret.
	i.secret(t, "direct", first, allow)
	i.secret(t, "serving-tls", first, issued)
	i.Apply(t, i.ns, `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: serving}
spec: {secretName: serving-tls, dnsNames: [x.example], issuerRef: {name: none, group: nobody.example}}
`)
	for object, n := range objects {
		i.has(t, object, sources[n].first)
	}
	i.secret(t, "direct", second, allow)
	i.secret(t, "serving-tls", second, issued)
	for object, n := range objects {
		i.has(t, object, sources[n].second)
	}
	for object := range objects {
		for _, entry := range object.GetManagedFields() {
			if entry.Manager == "everleaf-cainjector" || (entry.Manager == "cert-manager-cainjector" && entry.Operation != metav1.ManagedFieldsOperationApply) {
				t.Errorf("%s %s: a field of %s by %s", object.GetKind(), object.GetName(), entry.Manager, entry.Operation)
			}
		}
	}
	// Neither a Secret whose CA is the same, nor an object that changes otherwise, nor one
	// that no longer asks, is written to.
	i.secret(t, "direct", second, map[string]string{allowInjection: "true", "other": "x"})
	for object, n := range objects {
		before := object.DeepCopy()
		annotations := object.GetAnnotations()
		annotations["other"] = "x"
		if n == 0 {
			delete(annotations, injectFromSecret)
		}
		object.SetAnnotations(annotations)
		if err := i.Patch(t.Context(), object, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	i.secret(t, "direct", first, allow)
	for kind := range manifests {
		i.has(t, i.object(t, kind, "last", injectFromSecret, i.ns+"/direct"), first)
	}
	for object, n := range objects {
		i.has(t, object, sources[n].second)
	}
	// 12 objects; 8 of them twice, because of the new CA; 4 last ones.
	if got := i.logged("Injected the CA"); got != 12+8+4 {
		t.Errorf("%d injections, want %d", got, 12+8+4)
	}
	// The API server writes the status of an APIService and of a CustomResourceDefinition
	// when it is new, which may make a write fail.
	if got := i.writes(t); got > 12+8+4+4 {
		t.Errorf("%d writes, want %d and a few conflicts", got, 12+8+4)
	}
}

// TestCAInjectorSaysWhyNot: nothing is injected, the log says why, and when the cause
// is gone, it is injected.
func TestCAInjectorSaysWhyNot(t *testing.T) {
	i := newInjection(t)
	ca := authority(t, "ca")
	i.secret(t, "closed", ca, nil)
	i.secret(t, "refused", ca, map[string]string{allowInjection: "false"})
	i.secret(t, "empty", "", map[string]string{allowInjection: "true"})
	i.secret(t, "garbage", "garbage", map[string]string{allowInjection: "true"})
	i.secret(t, "good", ca, map[string]string{allowInjection: "true"})
	const kind = "MutatingWebhookConfiguration"
	objects := map[string]*unstructured.Unstructured{}
	for name, object := range map[string]struct{ annotation, value, why string }{
		"closed":  {injectFromSecret, i.ns + "/closed", "does not allow it: set its annotation"},
		"refused": {injectFromSecret, i.ns + "/refused", `has the value \"false\", not \"true\"`},
		"empty":   {injectFromSecret, i.ns + "/empty", "/empty has no ca.crt"},
		"garbage": {injectFromSecret, i.ns + "/garbage", "/garbage cannot be read: no PEM data"},
		"absent":  {injectFromSecret, i.ns + "/absent", "/absent does not exist"},
		"none":    {injectFromCertificate, i.ns + "/none", "Certificate " + i.ns + "/none does not exist"},
		"odd":     {injectFromCertificate, "good", `has the value \"good\": set it to`},
		"outside": {injectFromSecret, "kube-system/good", "is not in namespace " + i.ns},
	} {
		objects[name] = i.object(t, kind, name, object.annotation, object.value)
		defer func() {
			if i.logged("No CA is injected", objects[name].GetName(), object.why) == 0 {
				t.Errorf("%s: the log does not say %q", name, object.why)
			}
		}()
	}
	i.run(t, nil, nil)
	i.has(t, i.object(t, kind, "good", injectFromSecret, i.ns+"/good"), ca)
	harness.Eventually(t, time.Minute, func() error {
		if n := i.logged("No CA is injected"); n < len(objects) {
			return fmt.Errorf("%d reasons", n)
		}
		return nil
	})
	for name, object := range objects {
		if got := i.bundles(t, object); got[0] != "" {
			t.Errorf("%s has %q", name, got)
		}
	}
	for _, name := range []string{"closed", "refused", "empty", "garbage", "absent"} {
		i.secret(t, name, ca, map[string]string{allowInjection: "true"})
		i.has(t, objects[name], ca)
	}
	if n := i.logged("No CA is injected"); n != len(objects) {
		t.Errorf("%d reasons in the log, want %d", n, len(objects))
	}
}

// TestCAInjectorIgnoresNamespaces: a Secret in one of --ignore-namespaces gives no CA.
func TestCAInjectorIgnoresNamespaces(t *testing.T) {
	i := newInjection(t)
	other, ca := i.Namespace(t), authority(t, "ca")
	i.secret(t, "ca", ca, map[string]string{allowInjection: "true"})
	ignored := i.object(t, "APIService", "ignored", injectFromSecret, i.ns+"/ca")
	i.ns, other = other, i.ns
	i.secret(t, "ca", ca, map[string]string{allowInjection: "true"})
	i.run(t, func(o *injector.Options) { o.Scope.Namespace, o.Scope.Ignored = "", []string{other, "kube-system"} }, nil)
	i.has(t, i.object(t, "APIService", "seen", injectFromSecret, i.ns+"/ca"), ca)
	harness.Eventually(t, time.Minute, func() error {
		if i.logged("No CA is injected", "--ignore-namespaces") == 0 {
			return errors.New("no reason is logged")
		}
		return nil
	})
	if got := i.bundles(t, ignored); got[0] != "" {
		t.Errorf("injected %q", got)
	}
}
