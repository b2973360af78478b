package nginxingress

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }

func TestIngress(t *testing.T) {
	cluster := harness.Shared(t)
	addr, ns := harness.Edge(t), cluster.Namespace(t)
	c := Start(t, Options{Config: cluster.RESTConfig(), Class: "first", Namespaces: []string{ns}, Listen: []netip.Addr{addr}})
	cluster.Web(t, ns, "tea", harness.Says("tea"))
	cluster.Web(t, ns, "coffee", harness.Says("coffee"))
	cluster.Apply(t, ns, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: cafe}
spec:
  ingressClassName: first
  rules:
  - host: cafe.example
    http:
      paths:
      - {path: /tea, pathType: Prefix, backend: {service: {name: tea, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: annotated, annotations: {kubernetes.io/ingress.class: first}}
spec:
  rules:
  - host: cafe.example
    http:
      paths:
      - {path: /coffee, pathType: Exact, backend: {service: {name: coffee, port: {name: http}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other}
spec:
  ingressClassName: second
  rules:
  - host: other.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: tea, port: {number: 80}}}}
`)
	harness.Answers(t, addr, "http://cafe.example/tea/cup", "200 tea")
	harness.Answers(t, addr, "http://cafe.example/coffee", "200 coffee")
	if got := harness.Fetch(addr, "http://other.example/"); got != "404" {
		t.Errorf("an Ingress of another class is served: %q", got)
	}
	harness.Eventually(t, 10*time.Second, func() error {
		ing := &networkingv1.Ingress{}
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "cafe"}, ing); err != nil {
			return err
		}
		if balancers := ing.Status.LoadBalancer.Ingress; len(balancers) != 1 || balancers[0].IP != addr.String() {
			return fmt.Errorf("the Ingress's addresses are %v, want %s", balancers, addr)
		}
		return nil
	})

	c.Set(Faults{SkipExact: true})
	harness.Answers(t, addr, "http://cafe.example/coffee", "404")
	c.Set(Faults{StripOwners: true, Host: "10.32.3.80"})
	harness.Answers(t, addr, "http://cafe.example/coffee", "200 coffee")
	owned := &networkingv1.Ingress{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "annotated"}, owned); err != nil {
		t.Fatal(err)
	}
	// An owner that exists: the garbage collector deletes what has none.
	space := &corev1.Namespace{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Name: ns}, space); err != nil {
		t.Fatal(err)
	}
	patch := client.RawPatch(client.Merge.Type(), fmt.Appendf(nil,
		`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":%q,"uid":%q}]}}`, ns, space.UID))
	if err := cluster.Patch(t.Context(), owned, patch); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, func() error {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(owned), owned); err != nil {
			return err
		}
		if len(owned.OwnerReferences) > 0 {
			return errors.New("the Ingress still has an owner")
		}
		return nil
	})

	c.Set(Faults{})
	c.Hold()
	if err := cluster.Delete(t.Context(), owned); err != nil {
		t.Fatal(err)
	}
	if err := c.sync(t.Context()); err != nil || !strings.Contains(c.Config(), `"/coffee"`) {
		t.Errorf("while it is held, the controller loads a change (%v)", err)
	}
	c.Release()
	harness.Answers(t, addr, "http://cafe.example/coffee", "404")
}

func TestHTTPRoute(t *testing.T) {
	cluster := harness.Shared(t)
	cluster.GatewayAPI(t)
	addr, ns, infra := harness.Edge(t), cluster.Namespace(t), cluster.Namespace(t)
	Start(t, Options{
		Config: cluster.RESTConfig(), Class: "routes", GatewayClass: "routes", Namespaces: []string{ns, infra}, Listen: []netip.Addr{addr},
	})
	cluster.Web(t, ns, "tea", harness.Says("tea"))
	cluster.Apply(t, infra, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: routes
  listeners:
  - {name: http, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}
  - {name: own, protocol: HTTP, port: 8080}
  - {name: named, protocol: HTTP, port: 8081, hostname: "*.example.org", allowedRoutes: {namespaces: {from: All}}}
`)
	route := func(name, section string) *gatewayv1.HTTPRoute {
		t.Helper()
		cluster.Apply(t, ns, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: gw, namespace: %s, sectionName: %s}]
  hostnames: [%[1]s.example]
  rules:
  - matches: [{path: {type: Exact, value: /tea}}]
    backendRefs: [{name: tea, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /all}}]
    backendRefs: [{name: tea, port: 80}]
`, name, infra, section))
		got := &gatewayv1.HTTPRoute{}
		harness.Eventually(t, 10*time.Second, func() error {
			if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, got); err != nil {
				return err
			}
			if len(got.Status.Parents) != 1 {
				return fmt.Errorf("%s has the status of %d parents, want one", name, len(got.Status.Parents))
			}
			return nil
		})
		return got
	}
	for section, want := range map[string]gatewayv1.RouteConditionReason{
		"http": gatewayv1.RouteReasonAccepted, "own": gatewayv1.RouteReasonNotAllowedByListeners,
		"named": gatewayv1.RouteReasonNoMatchingListenerHostname, "none": gatewayv1.RouteReasonNoMatchingParent,
	} {
		if got := route("on-"+section, section).Status.Parents[0].Conditions[0]; got.Reason != string(want) {
			t.Errorf("the route to the listener %s is %s (%s), want %s", section, got.Status, got.Reason, want)
		}
	}
	for url, want := range map[string]string{
		"http://on-http.example/tea": "200 tea", "http://on-http.example/all/of/it": "200 tea", "http://on-http.example/tea/cup": "404",
		"https://on-http.example/tea": "404", "http://on-own.example/tea": "404", "http://on-named.example/tea": "404",
	} {
		harness.Answers(t, addr, url, want)
	}
	harness.Eventually(t, 10*time.Second, func() error {
		gateway := &gatewayv1.Gateway{}
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: infra, Name: "gw"}, gateway); err != nil {
			return err
		}
		if addresses := gateway.Status.Addresses; len(addresses) != 1 || addresses[0].Value != addr.String() {
			return fmt.Errorf("the Gateway's addresses are %v, want %s", addresses, addr)
		}
		return nil
	})
}
