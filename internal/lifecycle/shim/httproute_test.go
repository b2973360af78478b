package shim

import (
	"testing"

	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/plan"
)

func httpRoute(hosts []gwapi.Hostname, annotations ...string) *gwapi.HTTPRoute {
	return &gwapi.HTTPRoute{
		ObjectMeta: meta(append([]string{"cert-manager.io/cluster-issuer", "le"}, annotations...)...),
		Spec: gwapi.HTTPRouteSpec{Hostnames: hosts, CommonRouteSpec: gwapi.CommonRouteSpec{ParentRefs: []gwapi.ParentReference{
			{Name: "app", Kind: ptr.To(gwapi.Kind("Service")), Group: ptr.To(gwapi.Group(""))},
			{Name: "gw", Namespace: ptr.To(gwapi.Namespace("infra"))},
		}}},
	}
}

// TestHTTPRoute: an HTTPRoute has one Certificate for its hostnames, whose challenges go
// to its Gateway.
func TestHTTPRoute(t *testing.T) {
	made := made(t, OfHTTPRoute(httpRoute([]gwapi.Hostname{"app.example.test", "*.example.test"})), options())
	if len(made) != 1 {
		t.Fatalf("%d Certificates", len(made))
	}
	c := made[0]
	check(t, "name", c.Name, "app-tls")
	check(t, "secretName", c.Spec.SecretName, "app-tls")
	check(t, "dnsNames", c.Spec.DNSNames, []string{"app.example.test", "*.example.test"})
	check(t, "annotations", c.Annotations, map[string]string{
		"acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "gw",
		"acme.cert-manager.io/http01-parentrefnamespace": "infra",
	})
	check(t, "owner", c.OwnerReferences[0].APIVersion+" "+c.OwnerReferences[0].Kind, "gateway.networking.k8s.io/v1 HTTPRoute")
}

func TestHTTPRouteNames(t *testing.T) {
	named := httpRoute([]gwapi.Hostname{"app.example.test"}, SecretNameAnnotation, "web")
	named.Spec.ParentRefs = nil
	c := made(t, OfHTTPRoute(named), options())[0]
	check(t, "name", c.Name, "web")
	check(t, "annotations without a Gateway", c.Annotations, map[string]string(nil))

	w := Want(OfHTTPRoute(httpRoute(nil)), options())
	check(t, "Certificates without hostnames", len(w.Certificates), 0)
	check(t, "told", w.mistakes, []plan.Event{{
		Warning: true, Reason: "BadConfig", Component: "everleaf-httproute-shim",
		Message: "The HTTPRoute gets no Certificate: spec.hostnames: Required value",
	}})
	plain := httpRoute([]gwapi.Hostname{"app.example.test"})
	plain.Annotations = nil
	check(t, "asked without an issuer", Want(OfHTTPRoute(plain), options()).Asked, false)
}
