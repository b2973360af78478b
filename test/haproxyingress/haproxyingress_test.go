package haproxyingress

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/everleaf/everleaf/test/address"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }

func TestIngress(t *testing.T) {
	cluster := harness.Shared(t)
	addr, ns := harness.Edge(t), cluster.Namespace(t)
	began := time.Now()
	s := Start(t, Options{Kubeconfig: cluster.KubeconfigPath(), Class: "first", Namespace: ns, Listen: []netip.Addr{addr}})
	t.Logf("ready after %s", time.Since(began))
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
      - {path: /coffee, pathType: Exact, backend: {service: {name: coffee, port: {number: 80}}}}
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
	s.Stop()
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left behind: %v", err)
	}
	if err := freeAgain(t, addr); err != nil {
		t.Errorf("haproxy still runs: %v", err)
	}
}

// freeAgain reports whether nothing listens on an address any more: the kernel ends the
// processes of a namespace shortly after its first one.
func freeAgain(t *testing.T, addr netip.Addr) (err error) {
	t.Helper()
	for range 100 {
		if err = address.Free(t.Context(), addr, 80, 443); err == nil {
			return nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return err
}
