package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nginxingress"
)

// TestHTTP01Faults has ingress controllers that do not route a challenge. The Challenge says
// why, and goes on when the fault is over, without another order.
func TestHTTP01Faults(t *testing.T) {
	t.Parallel()
	whole := t
	e := newEdge(t, edgeOptions{})
	nginx := e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	e.issuer(t, "web", "ingress: {ingressClassName: "+e.class+", ingressTemplate: {metadata: {annotations: {traefik.ingress.kubernetes.io/router.entrypoints: web}}}}")
	e.issuer(t, "nodeport", "ingress: {ingressClassName: "+e.class+", serviceType: NodePort}")
	valid := 0
	over := func(t *testing.T, name string) {
		t.Helper()
		nginx.Set(nginxingress.Faults{})
		e.ready(t, name)
		e.wantObjects(t)
		valid++
		harness.WantValidations(t, e.CA, valid, 0)
	}

	t.Run("a slow controller", func(t *testing.T) {
		nginx.Hold()
		e.certificate(t, "slow", "le")
		e.waits(t, "slow", "404", "does not route it")
		e.wantObjects(t, "EndpointSlice", "Ingress", "Service")
		nginx.Release()
		over(t, "slow")
	})
	t.Run("the controllers restart while the CA is waited for", func(t *testing.T) {
		nginx.Hold()
		e.certificate(t, "restarted", "le")
		e.waits(t, "restarted", "404")
		// They run until the whole test ends.
		e.Restart(whole)
		nginx.Release()
		over(t, "restarted")
	})
	t.Run("Exact is ignored", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{SkipExact: true})
		e.certificate(t, "exact", "le")
		e.waits(t, "exact", "404", "Ingress "+e.Namespace+"/cm-acme-http-solver-", "class "+e.class+", pathType Exact", "ACMEHTTP01IngressPathTypeExact=false")
		over(t, "exact")
	})
	t.Run("only HTTPS is routed", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{OnlyHTTPS: true})
		e.certificate(t, "onlyhttps", "le")
		e.waits(t, "onlyhttps", "404", "does not route it", "the responder itself answers 200")
		// The template of the solver helps.
		e.certificate(t, "template", "web")
		e.ready(t, "template")
		valid++
		over(t, "onlyhttps")
		// And so does a redirect.
		nginx.Set(nginxingress.Faults{OnlyHTTPS: true, RedirectHTTPS: true})
		e.certificate(t, "redirected", "le")
		e.ready(t, "redirected")
		over(t, "redirected")
	})
	t.Run("the owner is removed", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{StripOwners: true, SkipExact: true})
		e.certificate(t, "orphan", "le")
		e.waits(t, "orphan", "404")
		e.wantObjects(t, "EndpointSlice", "Ingress", "Service")
		nginx.Set(nginxingress.Faults{StripOwners: true})
		e.ready(t, "orphan")
		e.wantObjects(t)
		over(t, "orphan")
	})
	t.Run("the Host is another one", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{Host: "10.32.3.80"})
		e.certificate(t, "otherhost", "le")
		e.ready(t, "otherhost")
		over(t, "otherhost")
	})
	t.Run("the solver's Ingress is changed and deleted", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{SkipExact: true})
		e.certificate(t, "changed", "le")
		e.waits(t, "changed", "404")
		ing := e.solverIngress(t)
		path := ing.Spec.Rules[0].HTTP.Paths[0].Path
		for _, change := range []string{
			`{"spec":{"ingressClassName":"elsewhere"}}`,
			`{"spec":{"rules":[{"host":"elsewhere.example","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"x","port":{"number":80}}}}]}}]}}`,
		} {
			if err := e.Patch(t.Context(), ing, client.RawPatch(types.MergePatchType, []byte(change))); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, soon, func() error {
				now := e.solverIngress(t)
				if class := now.Spec.IngressClassName; class == nil || *class != e.class || now.Spec.Rules[0].Host != e.host("changed") {
					return fmt.Errorf("the Ingress still is %v", now.Spec)
				}
				return nil
			})
		}
		if err := e.Delete(t.Context(), e.solverIngress(t)); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, soon, func() error {
			now := e.solverIngress(t)
			if now.UID == ing.UID || now.Spec.Rules[0].HTTP.Paths[0].Path != path {
				return fmt.Errorf("the Ingress is not made again: %v", now)
			}
			return nil
		})
		over(t, "changed")
	})
	t.Run("a Challenge is deleted", func(t *testing.T) {
		nginx.Hold()
		e.certificate(t, "deleted", "le")
		challenge := e.waits(t, "deleted", "404")
		if err := e.Delete(t.Context(), challenge); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, soon, func() error {
			if all := e.Challenges(t, e.Namespace, "deleted"); !slices.ContainsFunc(all, func(c acmev1.Challenge) bool { return c.UID != challenge.UID }) {
				return fmt.Errorf("there is no other Challenge among %d", len(all))
			}
			return nil
		})
		nginx.Release()
		over(t, "deleted")
	})
	t.Run("two Certificates for a name", func(t *testing.T) {
		for _, name := range []string{"twin", "other-twin"} {
			e.Apply(t, e.Namespace, harness.CertificateManifest(name, "le", e.host("twin")))
		}
		e.ready(t, "twin")
		e.ready(t, "other-twin")
		e.wantObjects(t)
		_, valid, _ = harness.Validations(e.CA)
	})
	t.Run("a quota forbids node ports", func(t *testing.T) {
		e.noNodePorts(t)
		e.certificate(t, "quota", "le")
		e.ready(t, "quota")
		valid++
		e.certificate(t, "nodeport", "nodeport")
		e.waits(t, "nodeport", "services.nodeports", "serviceType: ClusterIP")
		e.issuer(t, "nodeport", "ingress: {ingressClassName: "+e.class+", serviceType: ClusterIP}")
		over(t, "nodeport")
	})
	t.Run("an admission policy refuses Exact", func(t *testing.T) {
		e.refuseExact(t)
		e.certificate(t, "strict", "le")
		e.ready(t, "strict")
		over(t, "strict")
	})
}

// noNodePorts has a quota forbid node ports. No controller of quotas runs, so the test writes
// the status by which the API server goes.
func (e *edge) noNodePorts(t *testing.T) {
	t.Helper()
	none := corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	if err := e.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	if err := e.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	// The API server sees it a moment later.
	harness.Eventually(t, soon, func() error {
		probe := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, GenerateName: "probe-"}}
		probe.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}
		if err := e.Create(t.Context(), probe, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "services.nodeports") {
			return fmt.Errorf("the quota does not hold yet: %v", err)
		}
		return nil
	})
}

// refuseExact has the API server refuse the path of a challenge under the type Exact in the
// namespace, in the words of ingress-nginx.
func (e *edge) refuseExact(t *testing.T) {
	t.Helper()
	for _, object := range e.Apply(t, "", fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: strict-%[1]s}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [ingresses]}]
  validations:
  - expression: "object.spec.rules.all(r, !has(r.http) || r.http.paths.all(p, p.pathType=='ImplementationSpecific' || p.path.matches('^/[A-Za-z0-9_/-]*$')))"
    message: "ingress contains invalid paths: path cannot be used with pathType Exact"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: strict-%[1]s}
spec:
  policyName: strict-%[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`, e.Namespace)) {
		t.Cleanup(func() {
			// The test's context has ended by now.
			if err := e.Delete(context.Background(), object); err != nil {
				t.Error(err)
			}
		})
	}
	// It holds a moment after it was made.
	harness.Eventually(t, soon, func() error {
		exact := networkingv1.PathTypeExact
		probe := &networkingv1.Ingress{}
		probe.Namespace, probe.GenerateName = e.Namespace, "probe-"
		probe.Spec.Rules = []networkingv1.IngressRule{{IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/.well-known", PathType: &exact, Backend: networkingv1.IngressBackend{
				Service: &networkingv1.IngressServiceBackend{Name: "x", Port: networkingv1.ServiceBackendPort{Number: 80}},
			}}},
		}}}}
		if err := e.Create(t.Context(), probe, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "pathType Exact") {
			return fmt.Errorf("the policy does not hold yet: %v", err)
		}
		return nil
	})
}

// TestHTTP01Protected has rules of people's Ingresses in front of the challenge.
func TestHTTP01Protected(t *testing.T) {
	t.Parallel()
	e := newEdge(t, edgeOptions{})
	nginx := e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	const advice = "remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress"
	under := func(label string) string { return "under the rules of Ingress " + e.Namespace + "/" + label }
	for label, c := range map[string]struct{ annotation, says string }{
		"password": {"nginx.ingress.kubernetes.io/auth-type: basic", "answers 401"},
		"client":   {`nginx.ingress.kubernetes.io/auth-tls-verify-client: "on"`, "answers 403"},
		"moved":    {"nginx.ingress.kubernetes.io/permanent-redirect: 'http://" + e.host("elsewhere") + "/'", "redirects to http://" + e.host("elsewhere")},
	} {
		t.Run(label, func(t *testing.T) {
			e.app(t, label, c.annotation)
			e.inPlace(t, label, "le", label, label)
			e.waits(t, label, c.says, under(label), advice)
			e.ingress(t, label, "")
			e.ready(t, label)
			// An Ingress of its own is under no such rule.
			e.ingress(t, label, c.annotation)
			e.Apply(t, e.Namespace, harness.CertificateManifest("own-"+label, "le", e.host(label)))
			e.ready(t, "own-"+label)
		})
	}
	t.Run("https", func(t *testing.T) {
		e.app(t, "secure", "nginx.ingress.kubernetes.io/backend-protocol: HTTPS")
		e.inPlace(t, "secure", "le", "secure", "secure")
		e.ready(t, "secure")
	})
	t.Run("redirect to https", func(t *testing.T) {
		e.app(t, "up", `nginx.ingress.kubernetes.io/ssl-redirect: "true"`)
		e.inPlace(t, "up", "le", "up", "up")
		e.ready(t, "up")
	})
	t.Run("redirect to another port", func(t *testing.T) {
		e.app(t, "port", "nginx.ingress.kubernetes.io/permanent-redirect: 'http://"+e.host("port")+":8080/'")
		e.inPlace(t, "port", "le", "port", "port")
		e.waits(t, "port", "redirects to http://"+e.host("port")+":8080, which is not asked because of its port", "redirected to port 8080, which CAs such as Let's Encrypt refuse")
		e.ingress(t, "port", "")
		e.ready(t, "port")
	})
	t.Run("redirect to https without a certificate", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{RedirectHTTPS: true, RejectHandshake: true})
		e.ingress(t, "strict", "")
		e.certificate(t, "strict", "le")
		e.waits(t, "strict", "redirected to https, and the server there has no certificate for the name", "issue-temporary-certificate")
		nginx.Set(nginxingress.Faults{})
		e.ready(t, "strict")
	})
	t.Run("redirect to https with a temporary certificate", func(t *testing.T) {
		nginx.Set(nginxingress.Faults{RedirectHTTPS: true, RejectHandshake: true})
		defer nginx.Set(nginxingress.Faults{})
		e.ingress(t, "temporary", `cert-manager.io/issuer: le, cert-manager.io/issue-temporary-certificate: "true"`)
		e.ready(t, "temporary-tls")
	})
	e.wantObjects(t)
}

// TestHTTP01Namespace deletes a namespace in which a challenge waits, and runs in one that
// admits restricted pods only.
func TestHTTP01Namespace(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "deleted-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := cluster.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, edgeOptions{namespace: namespace.Name})
	nginx := e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	e.certificate(t, "restricted", "le")
	e.ready(t, "restricted")
	nginx.Hold()
	e.certificate(t, "pending", "le")
	e.waits(t, "pending", "404")
	if err := e.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, soon, func() error {
		err := e.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there (%v): %v", err, namespace.Status.Conditions)
	})
}

// TestHTTP01Routes leads challenges through HTTPRoutes.
func TestHTTP01Routes(t *testing.T) {
	t.Parallel()
	e := newEdge(t, edgeOptions{gateways: true})
	infra := e.Cluster.Namespace(t)
	nginx := e.nginx(t, func(o *nginxingress.Options) { o.GatewayClass, o.Namespaces = e.class, append(o.Namespaces, infra) })
	gateway := func(allowed string) {
		t.Helper()
		e.Apply(t, infra, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: %s
  listeners: [{name: acme, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: %s}}}]
`, e.class, allowed))
	}
	gateway("Same")
	e.issuer(t, "le", "gatewayHTTPRoute: {parentRefs: [{name: gw, namespace: "+infra+", kind: Gateway, sectionName: acme}]}")
	e.certificate(t, "refused", "le")
	e.waits(t, "refused", "is not accepted by Gateway "+infra+"/gw: NotAllowedByListeners", "allowedRoutes.namespaces")
	e.wantObjects(t, "EndpointSlice", "HTTPRoute", "Service")
	gateway("All")
	e.ready(t, "refused")
	harness.WantValidations(t, e.CA, 1, 0)
	e.wantObjects(t)

	// The annotations name the Gateway of the issuer once more.
	for kind, stanza := range map[string]string{
		"full": "name: gw, namespace: " + infra + ", kind: Gateway, sectionName: acme", "no-kind": "name: gw, namespace: " + infra + ", sectionName: acme",
		"port": "name: gw, namespace: " + infra + ", port: 80",
	} {
		e.issuer(t, kind, "gatewayHTTPRoute: {parentRefs: [{"+stanza+"}]}")
		nginx.Hold()
		e.annotated(t, harness.CertificateManifest(kind, kind, e.host(kind)),
			"acme.cert-manager.io/http01-parentrefname: gw, acme.cert-manager.io/http01-parentrefkind: Gateway, acme.cert-manager.io/http01-parentrefnamespace: "+infra)
		e.wantObjects(t, "EndpointSlice", "HTTPRoute", "Service")
		routes := &gatewayv1.HTTPRouteList{}
		if err := e.List(t.Context(), routes, client.InNamespace(e.Namespace)); err != nil {
			t.Fatal(err)
		}
		if refs := routes.Items[0].Spec.ParentRefs; len(refs) != 1 || refs[0].SectionName == nil && refs[0].Port == nil {
			t.Errorf("%s: the route's parents are %v, want the issuer's only", kind, refs)
		}
		nginx.Release()
		e.ready(t, kind)
		e.wantObjects(t)
	}

	// They name a ListenerSet beside it, which the API server stores with defaults.
	nginx.Hold()
	e.annotated(t, harness.CertificateManifest("beside", "le", e.host("beside")),
		"acme.cert-manager.io/http01-parentrefname: set, acme.cert-manager.io/http01-parentrefkind: ListenerSet")
	e.waits(t, "beside", "404")
	routes := &gatewayv1.HTTPRouteList{}
	if err := e.List(t.Context(), routes, client.InNamespace(e.Namespace)); err != nil || len(routes.Items) != 1 || len(routes.Items[0].Spec.ParentRefs) != 2 {
		t.Errorf("the routes are %v (%v), want one with two parents", routes.Items, err)
	}
	nginx.Release()
	e.ready(t, "beside")
	e.wantObjects(t)
}
