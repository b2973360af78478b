package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

// lookOften has the controllers look for the CRDs of the Gateway API more often than
// anybody would wait in a cluster.
const lookOften = 500 * time.Millisecond

func useGatewayAPI(o *operator.Options) {
	o.GatewayAPI = operator.GatewayAPI{Enabled: true, ListenerSets: true, HTTPRoutes: true, Interval: lookOften}
}

// logged is a log that can be asked.
type logged struct {
	t     *testing.T
	mu    sync.Mutex
	lines []string
}

func (l *logged) write(_, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.t.Log(line)
}

func (l *logged) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// says waits for a line with some words after the first n.
func (l *logged) says(t *testing.T, n int, words string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if slices.ContainsFunc(l.lines[n:], func(line string) bool { return strings.Contains(line, words) }) {
			return nil
		}
		return fmt.Errorf("the log does not say %q", words)
	})
}

// TestGatewayAPIComesAndGoes: the controllers start without the CRDs of the Gateway API,
// which come later, first in an old version, go, and come back. The rest runs on, and
// nothing floods the log (case Q38).
func TestGatewayAPIComesAndGoes(t *testing.T) {
	t.Parallel()
	cluster := harness.Of(t, controlplane.Own(t))
	ns, other := cluster.Namespace(t), cluster.Namespace(t)
	lines, registry := &logged{t: t}, prometheus.NewRegistry()
	log := funcr.New(lines.write, funcr.Options{})
	cluster.Run(t, harness.Controllers{Log: &log, Options: func(o *operator.Options) {
		useGatewayAPI(o)
		o.Registerer = registry
	}})
	available := func(want string) {
		t.Helper()
		harness.Eventually(t, patience, func() error {
			families, err := registry.Gather()
			if err != nil {
				return err
			}
			got := ""
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if f.GetName() == "everleaf_gateway_api_available" {
						got += fmt.Sprintf("%s=%g ", m.GetLabel()[0].GetValue(), m.GetGauge().GetValue())
					}
				}
			}
			if got != want {
				return fmt.Errorf("available: %q, want %q", got, want)
			}
			return nil
		})
	}
	const none, all = "Gateway=0 HTTPRoute=0 ListenerSet=0 ", "Gateway=1 HTTPRoute=1 ListenerSet=1 "
	cluster.Apply(t, ns, labIssuers)
	cluster.Ready(t, ns, "root", patience)
	lines.says(t, 0, "the Gateway API CRDs do not seem to be present, but ExperimentalGatewayAPISupport is set to true. Please install the gateway-api CRDs. (the server could not find the requested resource)")
	available(none)

	before := lines.count()
	applyOldCRD(t, cluster)
	lines.says(t, before, "(the API server has v1beta1 of gateway.networking.k8s.io; everleaf needs v1)")
	available(none)

	cluster.GatewayAPI(t)
	available(all)
	cluster.Apply(t, ns, gatewayManifest("first", "a.example.com", "a-tls"))
	cluster.Ready(t, ns, "a-tls", patience)
	// A ListenerSet takes the issuer over from a Gateway of another namespace.
	cluster.Apply(t, other, labIssuers)
	cluster.Apply(t, other, listenerSetManifest("set", ns, "first", "b.example.com", "b-tls"))
	cluster.Ready(t, other, "b-tls", patience)

	before = lines.count()
	for _, crd := range harness.GatewayCRDs(t) {
		if err := cluster.Delete(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	// One that is installed again while it is being deleted goes all the same.
	for _, crd := range harness.GatewayCRDs(t) {
		harness.Eventually(t, patience, func() error {
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(crd), crd.DeepCopy()); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s is still there: %v", crd.GetName(), err)
			}
			return nil
		})
	}
	available(none)
	lines.says(t, before, "the Gateway API CRDs do not seem to be present")
	cluster.Apply(t, ns, harness.CertificateManifest("meanwhile", "ca", "meanwhile.example.com"))
	cluster.Ready(t, ns, "meanwhile", patience)
	if said := lines.count() - before; said > 50 {
		t.Errorf("%d lines in the log since the CRDs were deleted", said)
	}

	cluster.GatewayAPI(t)
	available(all)
	cluster.Apply(t, ns, gatewayManifest("again", "c.example.com", "c-tls"))
	cluster.Ready(t, ns, "c-tls", patience)
}

// applyOldCRD installs the CRD of Gateways with its version v1beta1 only.
func applyOldCRD(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	crd := harness.GatewayCRDs(t)["gateways"]
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	versions = slices.DeleteFunc(versions, func(v any) bool { return v.(map[string]any)["name"] != "v1beta1" })
	if len(versions) != 1 {
		t.Fatalf("the CRD has %d versions v1beta1", len(versions))
	}
	versions[0].(map[string]any)["storage"] = true
	if err := unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(crd), client.FieldOwner("test"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
}

func gatewayManifest(name, host, secret string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: %[1]s
  annotations: {cert-manager.io/issuer: ca}
spec:
  gatewayClassName: none
  listeners:
  - {name: web, protocol: HTTPS, port: 443, hostname: %[2]s, tls: {certificateRefs: [{name: %[3]s}]}}
`, name, host, secret)
}

func listenerSetManifest(name, gatewayNamespace, gateway, host, secret string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: %[1]s}
spec:
  parentRef: {namespace: %[2]s, name: %[3]s}
  listeners:
  - {name: web, protocol: HTTPS, port: 443, hostname: %[4]s, tls: {certificateRefs: [{name: %[5]s}]}}
`, name, gatewayNamespace, gateway, host, secret)
}

// owned waits until an object has just these Certificates, with their DNS names, and
// returns them by name.
func (l *lab) owned(t *testing.T, owner client.Object, want map[string][]string) map[string]*cmv1.Certificate {
	t.Helper()
	owned := map[string]*cmv1.Certificate{}
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(owner), owner); err != nil {
			return err
		}
		list := &cmv1.CertificateList{}
		if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
			return err
		}
		got := map[string][]string{}
		clear(owned)
		for i := range list.Items {
			if c := &list.Items[i]; metav1.IsControlledBy(c, owner) && c.DeletionTimestamp == nil {
				got[c.Name], owned[c.Name] = c.Spec.DNSNames, c
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("Certificates of %s (-want +got):\n%s", owner.GetName(), diff)
		}
		return nil
	})
	return owned
}

// TestGateway: the Certificates of one Gateway with listeners of all sorts, and what
// becomes of them when it changes (case Q37).
func TestGateway(t *testing.T) {
	harness.Shared(t).GatewayAPI(t)
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) {
		useGatewayAPI(o)
		o.Shims.ExtraAnnotations, o.Shims.ExtraProtocols = []string{"example.com/team"}, []string{"DTLS"}
		o.AllEvents = true
	}})
	l.Apply(t, l.ns, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: gw
  labels: {app: shop}
  annotations:
    cert-manager.io/issuer: ca
    cert-manager.io/private-key-algorithm: ECDSA
    cert-manager.io/ignore-tls-listeners: left
    example.com/team: web
spec:
  gatewayClassName: none
  listeners:
  - {name: a, protocol: HTTPS, port: 443, hostname: a.example.com, tls: {mode: Terminate, certificateRefs: [{name: a-tls}]}}
  - {name: star, protocol: HTTPS, port: 443, hostname: "*.example.com", tls: {certificateRefs: [{name: a-tls}]}}
  - {name: passed, protocol: TLS, port: 444, hostname: p.example.com, tls: {mode: Passthrough}}
  - {name: anything, protocol: HTTPS, port: 445, tls: {certificateRefs: [{name: d-tls}]}}
  - {name: odd, protocol: HTTPS, port: 8443, hostname: odd.example.com, tls: {certificateRefs: [{name: odd-tls}]}}
  - {name: plain, protocol: HTTP, port: 8000, hostname: plain.example.com}
  - {name: left, protocol: HTTPS, port: 446, hostname: left.example.com, tls: {certificateRefs: [{name: left-tls}]}}
  - {name: more, protocol: DTLS, port: 447, hostname: more.example.com, tls: {certificateRefs: [{name: more-tls}]}}
`)
	gw := &gwapi.Gateway{ObjectMeta: metaNamed(l.ns, "gw")}
	want := map[string][]string{"a-tls": {"a.example.com", "*.example.com"}, "odd-tls": {"odd.example.com"}, "more-tls": {"more.example.com"}}
	owned := l.owned(t, gw, want)
	skipped := l.event(t, "Gateway", "gw", "BadConfig", "Skipped a listener block: spec.listeners[3].hostname: Required value: the hostname cannot be empty")
	l.event(t, "Gateway", "gw", "CreateCertificate", `Successfully created Certificate "a-tls"`)
	crt := l.Ready(t, l.ns, "a-tls", patience)
	yes := true
	for what, diff := range map[string]string{
		"owner": cmp.Diff([]metav1.OwnerReference{{
			APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Name: "gw", UID: gw.UID, Controller: &yes, BlockOwnerDeletion: &yes,
		}}, crt.OwnerReferences),
		"labels": cmp.Diff(map[string]string{"app": "shop"}, crt.Labels),
		"annotations": cmp.Diff(map[string]string{
			"example.com/team": "web", "acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "gw",
		}, crt.Annotations),
		"usages": cmp.Diff([]cmv1.KeyUsage{cmv1.UsageDigitalSignature, cmv1.UsageKeyEncipherment}, crt.Spec.Usages),
	} {
		if diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}

	// A Certificate that somebody deletes is made again.
	if err := l.Delete(t.Context(), owned["odd-tls"]); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, patience, func() error {
		c := &cmv1.Certificate{}
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "odd-tls"}, c); err != nil {
			return err
		}
		if c.UID == owned["odd-tls"].UID {
			return fmt.Errorf("it is still the one that was deleted")
		}
		return nil
	})

	// A hostname, and a listener that goes: the Secret of a listener that is left alone
	// keeps its Certificate.
	l.patch(t, gw, "gw", `{"spec": {"listeners": [
		{"name": "a", "protocol": "HTTPS", "port": 443, "hostname": "a.example.com", "tls": {"certificateRefs": [{"name": "a-tls"}]}},
		{"name": "anything", "protocol": "HTTPS", "port": 445, "hostname": "d.example.com", "tls": {"certificateRefs": [{"name": "d-tls"}]}},
		{"name": "left", "protocol": "HTTPS", "port": 8443, "hostname": "odd.example.com", "tls": {"certificateRefs": [{"name": "odd-tls"}]}}
	]}}`)
	l.owned(t, gw, map[string][]string{"a-tls": {"a.example.com"}, "d-tls": {"d.example.com"}, "odd-tls": {"odd.example.com"}})
	l.event(t, "Gateway", "gw", "DeleteCertificate", "more-tls")
	if again := l.event(t, "Gateway", "gw", "BadConfig"); again.Count > 1 || again.Name != skipped.Name {
		t.Errorf("the listener without hostname is told %d times", again.Count)
	}

	// Without the annotation nothing changes any more.
	l.patch(t, gw, "gw", `{"metadata": {"annotations": {"cert-manager.io/issuer": null}}, "spec": {"listeners": [
		{"name": "web", "protocol": "HTTP", "port": 80}
	]}}`)
	l.patch(t, &gwapi.Gateway{}, "gw", `{"metadata": {"labels": {"app": "other"}}}`)
	l.owned(t, gw, map[string][]string{"a-tls": {"a.example.com"}, "d-tls": {"d.example.com"}, "odd-tls": {"odd.example.com"}})
}

// TestListenerSet: a ListenerSet has the issuer of its Gateway, unless it names one, and
// follows it.
func TestListenerSet(t *testing.T) {
	harness.Shared(t).GatewayAPI(t)
	l := newLab(t, harness.Controllers{Options: useGatewayAPI})
	// The Gateway comes later.
	l.Apply(t, l.ns, listenerSetManifest("set", l.ns, "gw", "b.example.com", "b-tls"))
	set := &gwapi.ListenerSet{ObjectMeta: metaNamed(l.ns, "set")}
	l.Apply(t, l.ns, gatewayManifest("gw", "a.example.com", "a-tls"))
	crt := l.owned(t, set, map[string][]string{"b-tls": {"b.example.com"}})["b-tls"]
	if diff := cmp.Diff(map[string]string{
		"acme.cert-manager.io/http01-parentrefkind": "ListenerSet", "acme.cert-manager.io/http01-parentrefname": "set",
	}, crt.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	l.Ready(t, l.ns, "b-tls", patience)

	issuer := func(want string) {
		t.Helper()
		harness.Eventually(t, patience, func() error {
			c := &cmv1.Certificate{}
			if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "b-tls"}, c); err != nil {
				return err
			}
			if got := c.Spec.IssuerRef.Kind + "/" + c.Spec.IssuerRef.Name; got != want {
				return fmt.Errorf("issuer: got %s, want %s", got, want)
			}
			return nil
		})
	}
	// The event of the Gateway wakes its ListenerSets.
	l.patch(t, &gwapi.Gateway{}, "gw", `{"metadata": {"annotations": {"cert-manager.io/issuer": "selfsigned"}}}`)
	issuer("Issuer/selfsigned")
	l.patch(t, set, "set", `{"metadata": {"annotations": {"cert-manager.io/issuer": "ca", "acme.cert-manager.io/http01-parentreffallback": "true"}}}`)
	issuer("Issuer/ca")
	harness.Eventually(t, patience, func() error {
		c := &cmv1.Certificate{}
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "b-tls"}, c); err != nil {
			return err
		}
		if diff := cmp.Diff(map[string]string{
			"acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "gw",
			"acme.cert-manager.io/http01-parentrefnamespace": l.ns,
		}, c.Annotations); diff != "" {
			return fmt.Errorf("annotations (-want +got):\n%s", diff)
		}
		return nil
	})

	l.patch(t, set, "set", `{"spec": {"listeners": [
		{"name": "web", "protocol": "HTTPS", "port": 443, "hostname": "b.example.com", "tls": {"certificateRefs": [{"name": "c-tls"}]}}
	]}}`)
	l.owned(t, set, map[string][]string{"c-tls": {"b.example.com"}})

	// Without its Gateway it stays as it is.
	if err := l.Delete(t.Context(), &gwapi.Gateway{ObjectMeta: metaNamed(l.ns, "gw")}); err != nil {
		t.Fatal(err)
	}
	l.patch(t, set, "set", `{"spec": {"listeners": [{"name": "plain", "protocol": "HTTP", "port": 80}]}}`)
	harness.Eventually(t, patience, func() error {
		err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "a-tls"}, &cmv1.Certificate{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Certificate of the Gateway is not collected: %v", err)
		}
		return nil
	})
	l.owned(t, set, map[string][]string{"c-tls": {"b.example.com"}})
}

// TestHTTPRoute: an HTTPRoute that names an issuer has a Certificate for its hostnames.
func TestHTTPRoute(t *testing.T) {
	harness.Shared(t).GatewayAPI(t)
	l := newLab(t, harness.Controllers{Options: useGatewayAPI})
	l.Apply(t, l.ns, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
  annotations: {cert-manager.io/issuer: ca, cert-manager.io/private-key-algorithm: ECDSA}
spec:
  parentRefs: [{name: gw}]
  hostnames: [shop.example.com, www.example.com]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain}
spec:
  parentRefs: [{name: gw}]
  hostnames: [plain.example.com]
`)
	shop, plain := &gwapi.HTTPRoute{ObjectMeta: metaNamed(l.ns, "shop")}, &gwapi.HTTPRoute{ObjectMeta: metaNamed(l.ns, "plain")}
	l.owned(t, shop, map[string][]string{"shop-tls": {"shop.example.com", "www.example.com"}})
	l.Ready(t, l.ns, "shop-tls", patience)
	l.patch(t, shop, "shop", `{"metadata": {"annotations": {"everleaf.io/secret-name": "shop"}}, "spec": {"hostnames": ["shop.example.com"]}}`)
	l.owned(t, shop, map[string][]string{"shop": {"shop.example.com"}})
	l.patch(t, shop, "shop", `{"spec": {"hostnames": []}}`)
	l.event(t, "HTTPRoute", "shop", "BadConfig", "The HTTPRoute gets no Certificate: spec.hostnames: Required value")
	l.owned(t, plain, map[string][]string{})
}
