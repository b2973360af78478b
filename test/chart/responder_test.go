package chart

const (
	responders  = "Service/cert-manager-acmesolver"
	inReadiness = "#" + inController + "readinessProbe"
	noResponder = "[{name: http-metrics, containerPort: 9402, protocol: TCP}, {name: http-healthz, containerPort: 9403, protocol: TCP}]"
)

// withoutResponder is what there is where pods answer HTTP-01 requests.
var withoutResponder = map[string]string{
	controller + inPorts:                                    noResponder,
	controller + inReadiness:                                "null",
	responders + "#absent":                                  "",
	controller + "#" + inController + "args.4":              "--max-concurrent-challenges=60",
	"NetworkPolicy/cert-manager-allow-ingress#spec.ingress": "[{ports: [{port: http-metrics, protocol: TCP}, {port: http-healthz, protocol: TCP}]}]",
}

// responderValues hold that port, Service, probe and network policy of the shared HTTP-01
// responder follow its flags, and that there is none of them with pods.
var responderValues = map[string]changes{
	"pods by value": {"{acmesolver: {mode: pod}, networkPolicy: {enabled: true}}", withoutResponder},
	"no responder in the configuration file": {"{config: {acmeHTTP01Config: {responderListenAddress: \"0\"}}, networkPolicy: {enabled: true}}", map[string]string{
		controller + inPorts:     noResponder,
		controller + inReadiness: "null",
		responders + "#absent":   "",
	}},
	"pods by the configuration file": {"config: {acmeHTTP01Config: {solverMode: pod}}", map[string]string{
		controller + inPorts:   noResponder,
		responders + "#absent": "",
	}},
	"pods by an argument": {"extraArgs: [--acme-http01-solver-mode=shared, --acme-http01-solver-mode, pod]", map[string]string{
		controller + inPorts:   noResponder,
		responders + "#absent": "",
	}},
	"the value counts more than an argument": {"{acmesolver: {mode: shared}, extraArgs: [--acme-http01-solver-mode=pod]}", map[string]string{
		controller + inReadiness + ".httpGet":      "{port: http-solver, path: /healthz, scheme: HTTP}",
		controller + "#" + inController + "args.7": "--acme-http01-solver-mode=shared",
	}},
	"the responder's port in the configuration file": {"config: {acmeHTTP01Config: {responderListenAddress: \"0.0.0.0:18089\"}}", map[string]string{
		controller + inPorts:       "[{name: http-metrics, containerPort: 9402, protocol: TCP}, {name: http-healthz, containerPort: 9403, protocol: TCP}, {name: http-solver, containerPort: 18089, protocol: TCP}]",
		responders + "#spec.ports": "[{name: http, port: 8089, protocol: TCP, targetPort: http-solver}]",
	}},
	"the responder's port in an argument": {"{extraArgs: [\"--acme-http01-responder-listen-address=[::]:9089\"], config: {metricsListenAddress: \"0\", healthzListenAddress: \"0\"}}", map[string]string{
		controller + inPorts: "[{name: http-solver, containerPort: 9089, protocol: TCP}]",
	}},
	"IP families of the responder": {"{serviceIPFamilyPolicy: SingleStack, serviceIPFamilies: [IPv6]}", map[string]string{
		responders + "#spec.ipFamilyPolicy": "SingleStack",
		responders + "#spec.ipFamilies":     "[IPv6]",
	}},
	"names of the responder": {"{fullnameOverride: cm, namespace: elsewhere}", map[string]string{
		controller[:len("Deployment/")] + "cm#" + inController + "args.4": "--acme-http01-responder-service=$(POD_NAMESPACE)/cm-acmesolver",
		"Service/cm-acmesolver#metadata.namespace":                        "elsewhere",
	}},
	"network policies of users let requests in": {"networkPolicy: {enabled: true, ingress: []}", map[string]string{
		"NetworkPolicy/cert-manager-allow-ingress#spec.ingress": "[{ports: [{port: http-solver, protocol: TCP}]}]",
	}},
	"the responders of another namespace than the one that is watched": {"everleaf: {admission: policies, watchNamespace: team}", map[string]string{
		"Role/cert-manager-controller-challenges:responders#metadata.namespace": "cert-manager",
		"Role/cert-manager-controller-challenges:responders#rules":              "[{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}]",
	}},
	"the responders of the namespace that is watched": {"everleaf: {watchNamespace: cert-manager}", map[string]string{
		"Role/cert-manager-controller-challenges:responders#absent": "",
	}},
}
