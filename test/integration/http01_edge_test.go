package integration

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/address"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/haproxyingress"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/nginxingress"
)

// edge is a namespace whose controllers solve HTTP-01 challenges, with an address for an
// ingress controller and a CA that validates there, at port 80.
type edge struct {
	*harness.ACME
	addr netip.Addr
	// class is the name of the IngressClass.
	class string
	// domain is a zone. Its names resolve to addr unless a record says otherwise.
	domain string
	// responder is where the controllers answer.
	responder netip.AddrPort
}

// edgeOptions configure an edge.
type edgeOptions struct {
	// cluster is nil for the shared one.
	cluster *harness.Cluster
	// namespace is an existing one; empty means a new one.
	namespace string
	// class is the name of the IngressClass; empty means that of the namespace.
	class string
	// zones are more zones, in which a name without a record resolves to addr too.
	zones []string
	// records are more records of domain.
	records []string
	// gateways enables the Gateway API.
	gateways bool
	options  func(*operator.Options)
}

// soon is within what a challenge is solved, on a machine that is busy with other tests.
const soon = 60 * time.Second

func newEdge(t *testing.T, o edgeOptions) *edge {
	t.Helper()
	if o.cluster == nil {
		o.cluster = harness.Shared(t)
	}
	if o.gateways {
		o.cluster.GatewayAPI(t)
	}
	e := &edge{addr: harness.Edge(t), responder: freePort(t, harness.Backend(t))}
	namespace := o.namespace
	if namespace == "" {
		namespace = o.cluster.Namespace(t)
	}
	e.domain, e.class = namespace+".example", cmp.Or(o.class, namespace)
	zones := []nameserver.Zone{{Name: e.domain, Records: o.records}}
	for _, zone := range o.zones {
		zones = append(zones, nameserver.Zone{Name: zone})
	}
	dns := harness.Nameserver(t, nameserver.Options{Listen: []string{"127.0.0.1:0"}, Zones: zones, Addresses: []netip.Addr{e.addr}})
	e.ACME = o.cluster.ACME(t, harness.ACMEOptions{
		Namespace: namespace, CA: harness.HTTPCA(t, dns.Addr()), Options: func(options *operator.Options) {
			answerAt(options, e.responder, dns.Addr())
			options.GatewayAPI.Enabled = o.gateways
			if o.options != nil {
				o.options(options)
			}
		},
	})
	return e
}

// answerAt has the controllers answer HTTP-01 requests at an address, and look for
// challenges often, with a resolver.
func answerAt(o *operator.Options, responder netip.AddrPort, resolver string) {
	o.CheckRetryPeriod = 500 * time.Millisecond
	o.HTTP01.Mode = operator.HTTP01Auto
	o.HTTP01.ListenAddress = responder.String()
	o.HTTP01.Addresses = []netip.AddrPort{responder}
	o.HTTP01.Nameservers = []netip.AddrPort{netip.MustParseAddrPort(resolver)}
}

// freePort returns an address with a port that is free now.
func freePort(t *testing.T, addr netip.Addr) netip.AddrPort {
	t.Helper()
	port, err := address.FreePort(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// nginx serves the namespace's Ingresses of the class. change is nil or changes the options.
func (e *edge) nginx(t *testing.T, change func(*nginxingress.Options)) *nginxingress.Controller {
	t.Helper()
	o := nginxingress.Options{Config: e.RESTConfig(), Class: e.class, Namespaces: []string{e.Namespace}, Listen: []netip.Addr{e.addr}}
	if change != nil {
		change(&o)
	}
	return nginxingress.Start(t, o)
}

// haproxy is nginx with haproxy-ingress.
func (e *edge) haproxy(t *testing.T) *haproxyingress.Server {
	t.Helper()
	return haproxyingress.Start(t, haproxyingress.Options{
		Kubeconfig: e.KubeconfigPath(), Class: e.class, Namespace: e.Namespace, Listen: []netip.Addr{e.addr},
	})
}

// issuer creates an Issuer whose solver for HTTP-01 has an ingress or gatewayHTTPRoute
// stanza, in YAML's flow style.
func (e *edge) issuer(t *testing.T, name, stanza string) {
	t.Helper()
	e.Apply(t, e.Namespace, harness.IssuerManifest(name, e.CA, "{http01: {"+stanza+"}}"))
}

// byClass is the stanza for Ingresses of the class.
func (e *edge) byClass() string { return "ingress: {ingressClassName: " + e.class + "}" }

// host returns a name of the domain.
func (e *edge) host(label string) string { return label + "." + e.domain }

// certificate creates a Certificate for the name of the domain that has its own as label.
func (e *edge) certificate(t *testing.T, name, issuer string) {
	t.Helper()
	e.Apply(t, e.Namespace, harness.CertificateManifest(name, issuer, e.host(name)))
}

// ready waits until a Certificate is ready.
func (e *edge) ready(t *testing.T, name string) {
	t.Helper()
	e.Ready(t, e.Namespace, name, soon)
}

// waits waits until the Challenge of a Certificate says why it waits.
func (e *edge) waits(t *testing.T, name string, texts ...string) *acmev1.Challenge {
	t.Helper()
	return e.WaitingFor(t, e.Namespace, name, soon, texts...)
}

// app creates an Ingress as ingress does, and its backend, which says the host's label. It
// waits until the Ingress is served.
func (e *edge) app(t *testing.T, label, annotations string) {
	t.Helper()
	e.Web(t, e.Namespace, label, harness.Says(label))
	e.ingress(t, label, annotations)
	harness.Eventually(t, soon, func() error {
		if got := harness.Fetch(e.addr, "http://"+e.host(label)+"/"); got == "404" {
			return fmt.Errorf("the Ingress %s is not served", label)
		}
		return nil
	})
}

// ingress creates an Ingress of the class for a host of the domain, with the
// path /. annotations are in YAML's flow style.
func (e *edge) ingress(t *testing.T, label, annotations string) {
	t.Helper()
	e.Apply(t, e.Namespace, fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[1]s, annotations: {%[2]s}}
spec:
  ingressClassName: %[3]s
  tls: [{hosts: [%[4]s], secretName: %[1]s-tls}]
  rules:
  - host: %[4]s
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: %[1]s, port: {number: 80}}}}
`, label, annotations, e.class, e.host(label)))
}

// inPlace creates a Certificate, for names of the domain, whose challenges edit an Ingress.
func (e *edge) inPlace(t *testing.T, name, issuer, ingress string, labels ...string) {
	t.Helper()
	var hosts []string
	for _, label := range labels {
		hosts = append(hosts, e.host(label))
	}
	e.annotated(t, harness.CertificateManifest(name, issuer, hosts...), "acme.cert-manager.io/http01-override-ingress-name: "+ingress)
}

// annotated applies a manifest of CertificateManifest with annotations, in YAML's flow
// style.
func (e *edge) annotated(t *testing.T, manifest, annotations string) {
	t.Helper()
	e.Apply(t, e.Namespace, strings.Replace(manifest, "metadata: {", "metadata: {annotations: {"+annotations+"}, ", 1))
}

// solverObjects returns the kinds of the objects of challenges in the namespace, sorted.
func (e *edge) solverObjects(ctx context.Context) ([]string, error) {
	lists := []client.ObjectList{
		&discoveryv1.EndpointSliceList{}, &gatewayv1.HTTPRouteList{}, &networkingv1.IngressList{}, &corev1.PodList{}, &corev1.ServiceList{},
	}
	kinds := []string{"EndpointSlice", "HTTPRoute", "Ingress", "Pod", "Service"}
	var found []string
	for i, list := range lists {
		err := e.List(ctx, list, client.InNamespace(e.Namespace), client.HasLabels{acmev1.SolverIdentificationLabelKey})
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for range meta.LenList(list) {
			found = append(found, kinds[i])
		}
	}
	return found, nil
}

// wantObjects waits until the objects of challenges are those of some kinds.
func (e *edge) wantObjects(t *testing.T, want ...string) {
	t.Helper()
	harness.Eventually(t, soon, func() error {
		found, err := e.solverObjects(t.Context())
		if err == nil && fmt.Sprint(found) != fmt.Sprint(want) {
			err = fmt.Errorf("the objects of challenges are %v, want %v", found, want)
		}
		return err
	})
}

// solverIngress returns the only Ingress of a challenge.
func (e *edge) solverIngress(t *testing.T) *networkingv1.Ingress {
	t.Helper()
	list := &networkingv1.IngressList{}
	harness.Eventually(t, soon, func() error {
		err := e.List(t.Context(), list, client.InNamespace(e.Namespace), client.HasLabels{acmev1.SolverIdentificationLabelKey})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("challenges have %d Ingresses, want one", len(list.Items))
		}
		return err
	})
	return &list.Items[0]
}

// needIPv6 reserves the address ::1 with the ports 80 and 443, which only one test at a time
// can have.
func needIPv6(t *testing.T) netip.Addr {
	t.Helper()
	addr := netip.IPv6Loopback()
	if err := address.Free(t.Context(), addr, 80, 443); err != nil {
		child.Missing(t, "needs the ports 80 and 443 of %s: %v", addr, err)
	}
	return addr
}
