package http01

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver"
)

// lab is a Challenge for a name, solved as its solver says.
func lab(name string, http01 acmev1.ACMEChallengeSolverHTTP01) solver.Challenge {
	return solver.Challenge{
		Namespace: "lab", Name: "app-1", UID: "6a4d2d3e-0000-4000-8000-000000000001",
		Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: name, Token: "t0ken", Key: "t0ken.thumbprint",
		Solver: acmev1.ACMEChallengeSolver{HTTP01: &http01},
	}
}

func byIngress(i acmev1.ACMEChallengeSolverHTTP01Ingress) acmev1.ACMEChallengeSolverHTTP01 {
	return acmev1.ACMEChallengeSolverHTTP01{Ingress: &i}
}

func byGateway(g acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute) acmev1.ACMEChallengeSolverHTTP01 {
	return acmev1.ACMEChallengeSolverHTTP01{GatewayHTTPRoute: &g}
}

var testPods = Pods{
	Image: "quay.io/jetstack/cert-manager-acmesolver:v1", RunAsNonRoot: true,
	Requests: corev1.ResourceList{"cpu": resource.MustParse("10m"), "memory": resource.MustParse("64Mi")},
	Limits:   corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
}

// shows compares an object with its YAML.
func shows(t *testing.T, object any, want string) {
	t.Helper()
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := yaml.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// ownerYAML is the owner reference of each object.
const ownerYAML = `
  ownerReferences:
  - {apiVersion: acme.cert-manager.io/v1, kind: Challenge, name: app-1, uid: 6a4d2d3e-0000-4000-8000-000000000001, controller: true, blockOwnerDeletion: true}
`

// identityYAML are the labels of app.example.test and t0ken.
const identityYAML = `{acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: "92406243", acme.cert-manager.io/http01-solver: "true"}`

func TestPod(t *testing.T) {
	pod, err := testPods.pod(lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{})), nil)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, pod, `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: `+identityYAML+`
  annotations: {sidecar.istio.io/inject: "false", cluster-autoscaler.kubernetes.io/safe-to-evict: "true"}`+ownerYAML+`
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: OnFailure
  nodeSelector: {kubernetes.io/os: linux}
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: acmesolver
    image: quay.io/jetstack/cert-manager-acmesolver:v1
    imagePullPolicy: IfNotPresent
    args: [--listen-port=8089, --domain=app.example.test, --token=t0ken, --key=t0ken.thumbprint]
    ports: [{name: http, containerPort: 8089}]
    resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
status: {}
`)
}

func TestPodFromTemplate(t *testing.T) {
	template := &acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate{}
	if err := yaml.UnmarshalStrict([]byte(`
metadata:
  labels: {team: web, acme.cert-manager.io/http-token: mine}
  annotations: {sidecar.istio.io/inject: "true"}
spec:
  nodeSelector: {disk: ssd}
  tolerations: [{key: only, operator: Exists}]
  imagePullSecrets: [{name: reg}]
  serviceAccountName: solver
  priorityClassName: high
  securityContext: {runAsUser: 1001, fsGroup: 7}
  resources: {requests: {cpu: 20m}, limits: {memory: 1Gi, ephemeral-storage: 1}}
`), template); err != nil {
		t.Fatal(err)
	}
	pods := testPods
	pods.RuntimeClassName = "gvisor"
	for name, c := range map[string]solver.Challenge{
		"ingress": lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{PodTemplate: template})),
		"gateway": lab("app.example.test", byGateway(acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{PodTemplate: template})),
	} {
		t.Run(name, func(t *testing.T) {
			pod, err := pods.pod(c, map[string]string{"extra": "1", acmev1.SolverIdentificationLabelKey: "no"})
			if err != nil {
				t.Fatal(err)
			}
			shows(t, pod, `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: {acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: mine, acme.cert-manager.io/http01-solver: "true", extra: "1", team: web}
  annotations: {sidecar.istio.io/inject: "true", cluster-autoscaler.kubernetes.io/safe-to-evict: "true"}`+ownerYAML+`
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: OnFailure
  runtimeClassName: gvisor
  nodeSelector: {kubernetes.io/os: linux, disk: ssd}
  tolerations: [{key: only, operator: Exists}]
  imagePullSecrets: [{name: reg}]
  serviceAccountName: solver
  priorityClassName: high
  securityContext: {runAsUser: 1001, fsGroup: 7}
  containers:
  - name: acmesolver
    image: quay.io/jetstack/cert-manager-acmesolver:v1
    imagePullPolicy: IfNotPresent
    args: [--listen-port=8089, --domain=app.example.test, --token=t0ken, --key=t0ken.thumbprint]
    ports: [{name: http, containerPort: 8089}]
    resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: 100m, memory: 1Gi, ephemeral-storage: "1"}}
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
status: {}
`)
		})
	}
	template.Spec.Resources.Limits["cpu"] = "1e1.5"
	_, err := pods.pod(lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{PodTemplate: template})), nil)
	if f := fault.Of(err); f == nil || f.Class != fault.User || f.Message != `podTemplate.spec.resources.limits.cpu of the issuer's solver is no quantity: "1e1.5"` {
		t.Errorf("a quantity that cannot be read: %v", err)
	}
}

func TestService(t *testing.T) {
	const head = `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: {acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: "92406243", acme.cert-manager.io/http01-solver: "true", extra: "1"}
  annotations: {auth.istio.io/8089: NONE}` + ownerYAML + `
status: {loadBalancer: {}}
`
	const ports = `, ports: [{name: http, port: 8089, targetPort: 8089}]}`
	for _, test := range []struct {
		name   string
		http01 acmev1.ACMEChallengeSolverHTTP01
		mode   mode
		spec   string
	}{
		{"shared", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{}), byResponder, `spec: {type: ClusterIP` + ports},
		{"shared, NodePort", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{ServiceType: "NodePort"}), byResponder, `spec: {type: NodePort` + ports},
		{"pod", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{}), inPod, `spec: {type: NodePort, selector: ` + identityYAML + ports},
		{"pod, ClusterIP by Gateway", byGateway(acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{ServiceType: "ClusterIP"}), inPod, `spec: {type: ClusterIP, selector: ` + identityYAML + ports},
	} {
		t.Run(test.name, func(t *testing.T) {
			shows(t, service(lab("app.example.test", test.http01), test.mode, map[string]string{"extra": "1"}), head+test.spec)
		})
	}
}

func TestEndpointSlice(t *testing.T) {
	c := lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{}))
	to := Backends{Port: 18089, Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.7"), netip.MustParseAddr("fd00::7"), netip.MustParseAddr("::ffff:10.1.0.9")}}
	const labels = `{acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: "92406243", acme.cert-manager.io/http01-solver: "true",
    kubernetes.io/service-name: cm-acme-http-solver-eptogoii5s, endpointslice.kubernetes.io/managed-by: http01.everleaf.io}`
	shows(t, endpointSlice(c, corev1.IPv4Protocol, to, nil), `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: `+labels+ownerYAML+`
addressType: IPv4
endpoints: [{addresses: [10.1.0.7], conditions: {ready: true}}, {addresses: [10.1.0.9], conditions: {ready: true}}]
ports: [{name: http, port: 18089, protocol: TCP}]
`)
	shows(t, endpointSlice(c, corev1.IPv6Protocol, to, nil), `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s-6
  namespace: lab
  labels: `+labels+ownerYAML+`
addressType: IPv6
endpoints: [{addresses: ["fd00::7"], conditions: {ready: true}}]
ports: [{name: http, port: 18089, protocol: TCP}]
`)
}

func TestIngress(t *testing.T) {
	const path = `http: {paths: [{path: /.well-known/acme-challenge/t0ken, pathType: Exact, backend: {service: {name: cm-acme-http-solver-eptogoii5s, port: {number: 8089}}}}]}`
	const nginx = `nginx.ingress.kubernetes.io/whitelist-source-range: "0.0.0.0/0,::/0"`
	metadata := func(labels, annotations string) string {
		return `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: {acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: "92406243", acme.cert-manager.io/http01-solver: "true"` + labels + `}
  annotations: {` + annotations + `}` + ownerYAML + `
status: {loadBalancer: {}}
`
	}
	template := func(labels, annotations map[string]string) *acmev1.ACMEChallengeSolverHTTP01IngressTemplate {
		return &acmev1.ACMEChallengeSolverHTTP01IngressTemplate{ACMEChallengeSolverHTTP01IngressObjectMeta: acmev1.ACMEChallengeSolverHTTP01IngressObjectMeta{Labels: labels, Annotations: annotations}}
	}
	for _, test := range []struct {
		name string
		with acmev1.ACMEChallengeSolverHTTP01Ingress
		want string
	}{
		{"no class", acmev1.ACMEChallengeSolverHTTP01Ingress{}, metadata("", nginx) + `spec: {rules: [{host: app.example.test, ` + path + `}]}`},
		{
			"class",
			acmev1.ACMEChallengeSolverHTTP01Ingress{Class: ptr.To("nginx")},
			metadata("", nginx+", kubernetes.io/ingress.class: nginx") + `spec: {rules: [{host: app.example.test, ` + path + `}]}`,
		},
		{
			"ingressClassName",
			acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: ptr.To("nginx")},
			metadata("", nginx) + `spec: {ingressClassName: nginx, rules: [{host: app.example.test, ` + path + `}]}`,
		},
		{
			"template",
			acmev1.ACMEChallengeSolverHTTP01Ingress{IngressTemplate: template(map[string]string{"team": "web"}, map[string]string{"traefik.ingress.kubernetes.io/router.entrypoints": "web"})},
			metadata(", team: web", nginx+", traefik.ingress.kubernetes.io/router.entrypoints: web") + `spec: {rules: [{host: app.example.test, ` + path + `}]}`,
		},
		{
			"template with a whitelist of its own",
			acmev1.ACMEChallengeSolverHTTP01Ingress{IngressTemplate: template(nil, map[string]string{"ingress.example.com/whitelist-source-range": "10.0.0.0/8"})},
			metadata("", "ingress.example.com/whitelist-source-range: 10.0.0.0/8") + `spec: {rules: [{host: app.example.test, ` + path + `}]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ingress(lab("app.example.test", byIngress(test.with)), networkingv1.PathTypeExact, nil)
			if err != nil {
				t.Fatal(err)
			}
			shows(t, got, test.want)
		})
	}
	_, err := ingress(lab("app.example.test", byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{Class: ptr.To("a"), IngressClassName: ptr.To("b")})), networkingv1.PathTypeExact, nil)
	if f := fault.Of(err); f == nil || f.Class != fault.User || f.Message != "the fields ingressClassName and class cannot be set at the same time" {
		t.Errorf("both classes: %v", err)
	}
	for address, name := range map[string]string{"IPv4": "192.0.2.7", "IPv6": "2001:db8::7"} {
		got, err := ingress(lab(name, byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{})), networkingv1.PathTypeImplementationSpecific, nil)
		if err != nil || got.Spec.Rules[0].Host != "" || *got.Spec.Rules[0].HTTP.Paths[0].PathType != networkingv1.PathTypeImplementationSpecific {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
}

func TestHTTPRoute(t *testing.T) {
	parents := []gwapi.ParentReference{{Name: "gw", Namespace: ptr.To(gwapi.Namespace("infra")), SectionName: ptr.To(gwapi.SectionName("acme"))}}
	const rules = `
  rules:
  - matches: [{path: {type: Exact, value: /.well-known/acme-challenge/t0ken}}]
    backendRefs: [{group: "", kind: Service, name: cm-acme-http-solver-eptogoii5s, namespace: lab, port: 8089, weight: 1}]
`
	c := lab("app.example.test", byGateway(acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{ParentRefs: parents, Labels: map[string]string{"team": "web"}}))
	shows(t, httpRoute(c, nil), `
metadata:
  generateName: cm-acme-http-solver-
  name: cm-acme-http-solver-eptogoii5s
  namespace: lab
  labels: {acme.cert-manager.io/http-domain: "884606538", acme.cert-manager.io/http-token: "92406243", acme.cert-manager.io/http01-solver: "true", team: web}`+ownerYAML+`
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: infra, name: gw, sectionName: acme}]
  hostnames: [app.example.test]`+rules+`
status: {parents: null}
`)
	if got := httpRoute(lab("2001:db8::7", *c.Solver.HTTP01), nil).Spec.Hostnames; got != nil {
		t.Errorf("the route of an address has the hostnames %v", got)
	}
	if parents[0].Kind != nil {
		t.Error("the solver's parentRefs were changed")
	}
}
