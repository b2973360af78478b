package integration

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/pebble"
)

//go:embed testdata/cert-manager-roles.yaml
var rolesOfCertManager string

// refusals are the requests for objects that the API server has refused for want of a
// right.
type refusals struct {
	mu   sync.Mutex
	seen map[string]bool
}

// watched notes the refusals of the requests that it passes on.
type watched struct {
	http.RoundTripper
	refusals *refusals
}

// RoundTrip implements http.RoundTripper.
func (w watched) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := w.RoundTripper.RoundTrip(request)
	if err == nil && answer.StatusCode == http.StatusForbidden && strings.HasPrefix(request.URL.Path, "/api") {
		w.refusals.mu.Lock()
		defer w.refusals.mu.Unlock()
		w.refusals.seen[request.Method+" "+request.URL.Path] = true
	}
	return answer, err
}

func (r *refusals) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.seen))
}

// TestRolesOfCertManager: the rights that cert-manager's chart gives are enough to issue
// from a CA and over ACME, to serve Ingresses, to keep the lease, and to clean up.
func TestRolesOfCertManager(t *testing.T) {
	t.Parallel()
	cluster := harness.Of(t, controlplane.Own(t))
	cluster.GatewayAPI(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, rolesOfCertManager)
	config, err := cluster.ConfigFor("cert-manager")
	if err != nil {
		t.Fatal(err)
	}
	refused := &refusals{seen: map[string]bool{}}
	const secret = "the key of a name server for test"
	server, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"}, Zones: []nameserver.Zone{{Name: "example.com.", Update: []string{"k."}}},
		Keys: []tsig.Key{{Name: "k.", Algorithm: tsig.SHA256, Secret: []byte(secret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ca := pebble.Start(t, pebble.Options{DNSServer: server.Addr(), Env: []string{"PEBBLE_VA_NOSLEEP=1"}})
	cluster.Run(t, harness.Controllers{
		Config: func(c *rest.Config) {
			*c = *config
			c.Wrap(func(next http.RoundTripper) http.RoundTripper { return watched{next, refused} })
		},
		Options: func(o *operator.Options) {
			o.RecursiveNameservers, o.RecursiveNameserversOnly = []string{server.Addr()}, true
			o.LeaderElection.Enabled, o.LeaderElection.Namespace = true, ns
			o.ClusterResourceNamespace, o.EnableCertificateOwnerRef = ns, true
			o.HTTP01.Image = "example.com/solver:v1"
			useGatewayAPI(o)
		},
	})
	cluster.Secret(t, ns, "tsig", "key", base64.StdEncoding.EncodeToString([]byte(secret)))
	cluster.Apply(t, ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: root}
spec: {secretName: root-tls, isCA: true, commonName: root, issuerRef: {name: selfsigned}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: ca}
spec: {ca: {secretName: root-tls}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: acme}
spec:
  acme:
    server: %[1]s
    caBundle: %[2]s
    privateKeySecretRef: {name: account}
    solvers:
    - dns01: {rfc2136: {nameserver: %[3]q, tsigKeyName: k, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: tsig, key: key}}}
    - selector: {dnsNames: [pod.example.com]}
      http01: {ingress: {ingressClassName: nginx}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: acme}
spec: {secretName: acme-tls, dnsNames: [acme.example.com], issuerRef: {name: acme}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: pod}
spec: {secretName: pod-tls, dnsNames: [pod.example.com], issuerRef: {name: acme}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {cert-manager.io/cluster-issuer: ca}}
spec:
  ingressClassName: nginx
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
`, ca.DirectoryURL, base64.StdEncoding.EncodeToString(ca.CABundle), server.Addr()))
	for _, name := range []string{"root", "acme", "shop-tls"} {
		cluster.Ready(t, ns, name, time.Minute)
	}
	pods := func(want int) func() error {
		return func() error {
			list := &corev1.PodList{}
			if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
				return err
			}
			if len(list.Items) != want {
				return fmt.Errorf("%d pods answer challenges, want %d", len(list.Items), want)
			}
			return nil
		}
	}
	harness.Eventually(t, time.Minute, pods(1))
	crt := &cmv1.Certificate{}
	crt.Namespace, crt.Name = ns, "pod"
	if err := cluster.Delete(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, pods(0))
	harness.Eventually(t, time.Minute, func() error {
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "acme"}, crt); err != nil {
			return err
		}
		if crt.Status.NextPrivateKeySecretName != nil {
			return errors.New("the next key is still there")
		}
		return nil
	})
	if diff := cmp.Diff([]string(nil), refused.list()); diff != "" {
		t.Errorf("refused for want of a right (-want +got):\n%s", diff)
	}
}
