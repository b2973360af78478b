package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nginxingress"
)

// TestHTTP01Planes issues certificates through haproxy-ingress and through nginx, for
// Ingresses that have their class by the annotation and by the field.
func TestHTTP01Planes(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*edge, *testing.T){
		"haproxy": func(e *edge, t *testing.T) { e.haproxy(t) },
		"nginx":   func(e *edge, t *testing.T) { e.nginx(t, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, edgeOptions{})
			start(e, t)
			e.issuer(t, "annotation", "ingress: {class: "+e.Namespace+"}")
			e.issuer(t, "field", e.byClass())
			e.Apply(t, e.Namespace, harness.CertificateManifest("one", "annotation", e.host("one"), e.host("two")))
			e.certificate(t, "three", "field")
			e.ready(t, "one")
			e.ready(t, "three")
			e.wantObjects(t)
			harness.WantValidations(t, e.CA, 3, 0)
		})
	}
}

// TestHTTP01Names issues certificates for long names and with long names of Secrets, as
// Ingresses have them.
func TestHTTP01Names(t *testing.T) {
	t.Parallel()
	e := newEdge(t, edgeOptions{})
	e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	for _, length := range []int{63, 200, 253} {
		host := fmt.Sprintf("%s%d.%s", strings.Repeat("long-label-", 5), length, e.domain)
		if len(host) < 70 {
			t.Fatalf("%s has only %d characters", host, len(host))
		}
		name := strings.Repeat("s", length)
		e.Apply(t, e.Namespace, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %[1]s}
spec:
  secretName: %[1]s
  dnsNames: [%[2]s]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: le}
`, name, host))
		e.ready(t, name)
	}
	e.wantObjects(t)
}

// TestHTTP01Addresses issues certificates for IP addresses, and for a name that has only an
// IPv6 address. Of a name with an IPv4 and an IPv6 address the CA asks the latter.
func TestHTTP01Addresses(t *testing.T) {
	t.Parallel()
	six := needIPv6(t)
	e := newEdge(t, edgeOptions{records: []string{"six IN AAAA ::1", "both IN AAAA ::1", "other IN A 127.0.0.1"}})
	both := e.nginx(t, func(o *nginxingress.Options) { o.Listen = append(o.Listen, six) })
	e.issuer(t, "le", e.byClass())
	e.Apply(t, e.Namespace, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: addresses}
spec:
  secretName: addresses-tls
  dnsNames: [%s]
  ipAddresses: ["%s", "%s"]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: le}
`, e.host("six"), e.addr, six))
	e.ready(t, "addresses")
	both.Stop()

	// Another web server has the IPv6 address.
	e.nginx(t, nil)
	e.nginx(t, func(o *nginxingress.Options) { o.Class, o.Listen = e.Namespace+"-other", []netip.Addr{six} })
	e.certificate(t, "both", "le")
	e.waits(t, "both", "::1 answers 404", e.addr.String()+" answers 200", "CAs prefer IPv6", "AAAA record")
	harness.WantValidations(t, e.CA, 3, 0)
}

// TestHTTP01Restored has two challenges edit one Ingress at a time. Somebody puts it back in
// between, and deletes it.
func TestHTTP01Restored(t *testing.T) {
	t.Parallel()
	e := newEdge(t, edgeOptions{})
	nginx := e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	e.app(t, "shop", "")
	key := client.ObjectKey{Namespace: e.Namespace, Name: "shop"}
	get := func() *networkingv1.Ingress {
		t.Helper()
		ing := &networkingv1.Ingress{}
		if err := e.Get(t.Context(), key, ing); err != nil {
			t.Fatal(err)
		}
		return ing
	}
	edited := func(want int) {
		t.Helper()
		harness.Eventually(t, soon, func() error {
			ing := &networkingv1.Ingress{}
			if err := e.Get(t.Context(), key, ing); err != nil {
				return err
			}
			if paths := challengePaths(ing); paths != want {
				return fmt.Errorf("the Ingress has the paths of %d challenges, want %d", paths, want)
			}
			return nil
		})
	}
	before := get()
	nginx.Hold()
	e.inPlace(t, "two", "le", "shop", "shop", "www")
	edited(2)
	harness.Eventually(t, soon, func() error {
		restored := get()
		restored.Spec = before.Spec
		return e.Update(t.Context(), restored)
	})
	edited(2)
	nginx.Release()
	e.ready(t, "two")
	edited(0)
	if diff := cmp.Diff(before.Spec, get().Spec); diff != "" {
		t.Errorf("the Ingress is not what it was before (-before +after):\n%s", diff)
	}

	nginx.Hold()
	e.inPlace(t, "again", "le", "shop", "shop")
	edited(1)
	if err := e.Delete(t.Context(), get()); err != nil {
		t.Fatal(err)
	}
	e.waits(t, "again", "the Ingress "+e.Namespace+"/shop", "does not exist")
	e.ingress(t, "shop", "")
	edited(1)
	nginx.Release()
	e.ready(t, "again")
	edited(0)
	e.wantObjects(t)
}

// challengePaths counts the paths of challenges.
func challengePaths(ing *networkingv1.Ingress) int {
	n := 0
	for _, rule := range ing.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			if strings.HasPrefix(path.Path, "/.well-known/acme-challenge/") {
				n++
			}
		}
	}
	return n
}

// TestHTTP01Cluster has a cluster of its own, for what concerns all namespaces: a
// ClusterIssuer, an API server that is away, and the default class.
func TestHTTP01Cluster(t *testing.T) {
	t.Parallel()
	internal := harness.Edge(t)
	e := newEdge(t, edgeOptions{
		cluster: harness.Of(t, controlplane.Own(t)), class: "nginx", zones: []string{"example.com"}, records: []string{"inside IN A " + internal.String()},
		options: func(o *operator.Options) { o.Namespace = "" },
	})
	nginx := e.nginx(t, nil)
	manifest := harness.IssuerManifest("prod-issuer", e.CA, "{http01: {ingress: {class: nginx}}}")
	e.Apply(t, "", strings.Replace(manifest, "kind: Issuer", "kind: ClusterIssuer", 1))
	e.issuer(t, "le", e.byClass())

	t.Run("cafe", func(t *testing.T) {
		e.Web(t, e.Namespace, "tea-svc", harness.Says("tea"))
		e.Web(t, e.Namespace, "coffee-svc", harness.Says("coffee"))
		e.Apply(t, e.Namespace, harness.CafeIngress)
		serves := func(scheme string) {
			t.Helper()
			harness.Answers(t, e.addr, scheme+"://cert.example.com/tea", "200 tea")
			harness.Answers(t, e.addr, scheme+"://cert.example.com/coffee", "200 coffee")
		}
		serves("http")
		e.ready(t, "cafe-secret")
		serves("https")
		harness.Eventually(t, soon, func() error {
			ing := &networkingv1.Ingress{}
			if err := e.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "cafe-ingress"}, ing); err != nil {
				return err
			}
			if paths := ing.Spec.Rules[0].HTTP.Paths; len(ing.Spec.Rules) != 1 || len(paths) != 2 || paths[0].Path != "/tea" {
				return fmt.Errorf("the Ingress has the rules %v", ing.Spec.Rules)
			}
			return nil
		})
	})

	t.Run("API server away", func(t *testing.T) {
		nginx.Hold()
		e.certificate(t, "away", "le")
		e.wantObjects(t, "EndpointSlice", "Ingress", "Service")
		challenge := e.Challenges(t, e.Namespace, "away")[0]
		server := e.PIDs()["kube-apiserver"]
		if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		url := fmt.Sprintf("http://%s:%d/.well-known/acme-challenge/%s", challenge.Spec.DNSName, e.responder.Port(), challenge.Spec.Token)
		got := harness.Fetch(e.responder.Addr(), url)
		if err := syscall.Kill(server, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if want := "200 " + challenge.Spec.Key; got != want {
			t.Errorf("while the API server is away, the responder answers %q, want %q", got, want)
		}
		nginx.Release()
		e.ready(t, "away")
	})

	t.Run("default class", func(t *testing.T) {
		nginxingress.Start(t, nginxingress.Options{Config: e.RESTConfig(), Class: "internal", Default: true, Listen: []netip.Addr{internal}})
		e.issuer(t, "classless", "ingress: {}")
		e.certificate(t, "inside", "classless")
		e.ready(t, "inside")
		// The application's Ingress names another class.
		e.app(t, "public", "")
		e.certificate(t, "public", "classless")
		e.waits(t, "public", "answers 200 with other content", "has no class (default: internal)", "Ingress "+e.Namespace+"/public uses nginx", "http01-ingress-ingressclassname: nginx")
		e.annotated(t, harness.CertificateManifest("named", "classless", e.host("named")), "acme.cert-manager.io/http01-override-ingress-ingressclassname: nginx")
		e.ready(t, "named")
	})
}
