package chart

var webhookValues = map[string]changes{
	"webhook: all arguments, in order": {`
prometheus: {enabled: false}
webhook:
  config: {metricsListenAddress: ":9402"}
  securePort: 8443
  featureGates: AllAlpha=true
  enableClientVerification: true
  clientCAFile: /ca/ca.crt
  apiserverClientCertSubjects: a,b
  url: {host: "hook.example:10250"}
  extraArgs: [--enable-profiling=true]
`, map[string]string{
		webhook + "#" + inController + "args": `
- --v=2
- --config=/var/cert-manager/config/config.yaml
- --secure-port=8443
- --feature-gates=AllAlpha=true
- --enable-client-verification=true
- --client-ca-path=/ca/ca.crt
- --client-subject-names=a,b
- --dynamic-serving-ca-secret-namespace=$(POD_NAMESPACE)
- --dynamic-serving-ca-secret-name=cert-manager-webhook-ca
- --dynamic-serving-dns-names=cert-manager-webhook
- --dynamic-serving-dns-names=cert-manager-webhook.$(POD_NAMESPACE)
- --dynamic-serving-dns-names=cert-manager-webhook.$(POD_NAMESPACE).svc
- --dynamic-serving-dns-names=hook.example
- --enable-profiling=true
- --metrics-listen-address=0`,
		webhook + "#" + inController + "ports":                                        "[{name: https, containerPort: 8443, protocol: TCP}, {name: healthcheck, containerPort: 6080, protocol: TCP}]",
		"ConfigMap/cert-manager-webhook#data[config.yaml]":                            "|\n  apiVersion: webhook.config.cert-manager.io/v1alpha1\n  kind: WebhookConfiguration\n  metricsListenAddress: :9402\n",
		"ValidatingWebhookConfiguration/cert-manager-webhook#webhooks.0.clientConfig": "{url: 'https://hook.example:10250/validate'}",
		"MutatingWebhookConfiguration/cert-manager-webhook#webhooks.0.clientConfig":   "{url: 'https://hook.example:10250/mutate'}",
		"Service/cert-manager-webhook#spec.ports":                                     "[{name: https, port: 443, protocol: TCP, targetPort: https}]",
	}},
	"webhook: ports and certificate of its configuration file": {`
webhook:
  config:
    securePort: 9443
    healthzPort: 6081
    tlsConfig: {dynamic: {secretNamespace: cert-manager, secretName: other-ca, dnsNames: [x]}}
    metricsTLSConfig: {dynamic: {secretNamespace: cert-manager, secretName: metrics-ca, dnsNames: [x]}}
`, map[string]string{
		webhook + "#" + inController + "args":  "[--v=2, --config=/var/cert-manager/config/config.yaml]",
		webhook + "#" + inController + "ports": "[{name: https, containerPort: 9443, protocol: TCP}, {name: healthcheck, containerPort: 6081, protocol: TCP}, {name: http-metrics, containerPort: 9402, protocol: TCP}]",
		"Role/cert-manager-webhook:dynamic-serving#rules": `
- {apiGroups: [""], resources: [secrets], resourceNames: [cert-manager-webhook-ca, other-ca, metrics-ca], verbs: [get, list, watch, update]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}`,
	}},
	"webhook: on the network of the host": {"webhook: {hostNetwork: true, securePort: 10260, replicaCount: 2}", map[string]string{
		webhook + "#" + inPod + "hostNetwork":                  "true",
		webhook + "#" + inPod + "dnsPolicy":                    "ClusterFirstWithHostNet",
		webhook + "#" + inController + "ports.0":               "{name: https, containerPort: 10260, protocol: TCP}",
		webhook + "#" + inController + "args.1":                "--secure-port=10260",
		webhook + "#spec.replicas":                             "2",
		"Service/cert-manager-webhook#spec.ports.0.targetPort": "https",
	}},
	"webhook: service, configurations, budget": {`
webhook:
  serviceType: LoadBalancer
  loadBalancerIP: 10.1.1.1
  serviceAnnotations: {a: b}
  serviceLabels: {c: d}
  serviceIPFamilyPolicy: SingleStack
  serviceIPFamilies: [IPv6]
  timeoutSeconds: 5
  mutatingWebhookConfigurationAnnotations: {m: x}
  validatingWebhookConfigurationAnnotations: {v: x}
  mutatingWebhookConfiguration: {namespaceSelector: {matchLabels: {a: b}}}
  validatingWebhookConfiguration: {namespaceSelector: null}
  podDisruptionBudget: {enabled: true, maxUnavailable: 25%, unhealthyPodEvictionPolicy: AlwaysAllow}
`, map[string]string{
		"Service/cert-manager-webhook#spec.type":                                           "LoadBalancer",
		"Service/cert-manager-webhook#spec.loadBalancerIP":                                 "10.1.1.1",
		"Service/cert-manager-webhook#spec.ipFamilies":                                     "[IPv6]",
		"Service/cert-manager-webhook#metadata.annotations":                                "{a: b}",
		"MutatingWebhookConfiguration/cert-manager-webhook#metadata.annotations.m":         "x",
		"ValidatingWebhookConfiguration/cert-manager-webhook#metadata.annotations.v":       "x",
		"MutatingWebhookConfiguration/cert-manager-webhook#webhooks.0.timeoutSeconds":      "5",
		"MutatingWebhookConfiguration/cert-manager-webhook#webhooks.0.namespaceSelector":   "{matchLabels: {a: b}}",
		"ValidatingWebhookConfiguration/cert-manager-webhook#webhooks.0.namespaceSelector": "null",
		"PodDisruptionBudget/cert-manager-webhook#spec":                                    "{maxUnavailable: 25%, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: " + selectorOf("webhook", "webhook") + "}}",
	}},
}

var otherValues = map[string]changes{
	"cainjector": {`
prometheus: {enabled: false}
cainjector:
  config: {enableConfig: x, metricsTLSConfig: {dynamic: {secretNamespace: cert-manager, secretName: ca}}}
  featureGates: A=true
  extraArgs: [--enable-certificates-data-source=false]
  podDisruptionBudget: {enabled: true, minAvailable: 2}
`, map[string]string{
		cainjector + "#" + inController + "args": `
- --v=2
- --config=/var/cert-manager/config/config.yaml
- --leader-election-namespace=kube-system
- --feature-gates=A=true
- --enable-certificates-data-source=false
- --metrics-listen-address=0`,
		cainjector + "#" + inController + "ports":                            "null",
		"ConfigMap/cert-manager-cainjector#data[config.yaml]":                "|\n  apiVersion: cainjector.config.cert-manager.io/v1alpha1\n  enableConfig: x\n  kind: CAInjectorConfiguration\n  metricsTLSConfig:\n    dynamic:\n      secretName: ca\n      secretNamespace: cert-manager\n",
		"Role/cert-manager-cainjector:dynamic-serving#rules.0.resourceNames": "[ca]",
		"PodDisruptionBudget/cert-manager-cainjector#spec.minAvailable":      "2",
	}},
	"no cainjector": {"cainjector: {enabled: false, networkPolicy: {enabled: true}, podDisruptionBudget: {enabled: true}, config: {a: b}}", map[string]string{
		cainjector + "#absent":                                      "",
		"Service/cert-manager-cainjector#absent":                    "",
		"ServiceAccount/cert-manager-cainjector#absent":             "",
		"ClusterRole/cert-manager-cainjector#absent":                "",
		"Role/cert-manager-cainjector:leaderelection#absent":        "",
		"ConfigMap/cert-manager-cainjector#absent":                  "",
		"PodDisruptionBudget/cert-manager-cainjector#absent":        "",
		"NetworkPolicy/cert-manager-cainjector-allow-egress#absent": "",
	}},
	"startupapicheck": {`
startupapicheck:
  timeout: 5m
  backoffLimit: 9
  ttlSecondsAfterFinished: 0
  jobAnnotations: {x: z}
  rbac: {annotations: {x: z}}
  serviceAccount: {annotations: {x: z}}
  podAnnotations: {sidecar.istio.io/inject: "true", mine: x}
  podLabels: {l: m}
  extraArgs: [-v, --interval=1s]
`, map[string]string{
		check + "#" + inController + "args":                                           "[check, api, --wait=5m, -v, --interval=1s]",
		check + "#spec.backoffLimit":                                                  "9",
		check + "#spec.ttlSecondsAfterFinished":                                       "0",
		check + "#metadata.annotations.x":                                             "z",
		check + "#spec.template.metadata.annotations":                                 `{sidecar.istio.io/inject: "true", linkerd.io/inject: disabled, mine: x}`,
		check + "#spec.template.metadata.labels.l":                                    "m",
		"RoleBinding/cert-manager-startupapicheck:create-cert#metadata.annotations.x": "z",
	}},
	"no startupapicheck": {"{startupapicheck: {enabled: false}, networkPolicy: {enabled: true}}", map[string]string{
		check + "#absent": "",
		"ServiceAccount/cert-manager-startupapicheck#absent":             "",
		"Role/cert-manager-startupapicheck:create-cert#absent":           "",
		"NetworkPolicy/cert-manager-startupapicheck-allow-egress#absent": "",
	}},
}

const (
	// monitored is what both kinds of monitor select.
	monitored = `{matchExpressions: [
  {key: app.kubernetes.io/name, operator: In, values: [cainjector, cert-manager, webhook]},
  {key: app.kubernetes.io/instance, operator: In, values: [cert-manager]},
  {key: app.kubernetes.io/component, operator: In, values: [cainjector, controller, webhook]}]}`
	podAnnotations = "#spec.template.metadata.annotations"
)

var prometheusValues = map[string]changes{
	"the user's annotations win": {`podAnnotations: {prometheus.io/scrape: "false"}`, map[string]string{
		controller + podAnnotations: `{prometheus.io/path: /metrics, prometheus.io/port: "9402", prometheus.io/scrape: "false"}`,
	}},
	"service monitor": {`{prometheus: {servicemonitor: {enabled: true, endpointAdditionalProperties: {relabelings: []}}}, podAnnotations: {prometheus.io/scrape: "false"}}`, map[string]string{
		controller + podAnnotations:                              `{prometheus.io/scrape: "false"}`,
		webhook + podAnnotations:                                 "null",
		cainjector + podAnnotations:                              "null",
		"Service/cert-manager#spec.ports.0.name":                 "http-metrics",
		"Service/cert-manager-cainjector#spec.type":              "ClusterIP",
		"Service/cert-manager-webhook#spec.ports.1":              "{name: metrics, port: 9402, protocol: TCP, targetPort: http-metrics}",
		"ServiceMonitor/cert-manager#metadata.labels.prometheus": "default",
		"ServiceMonitor/cert-manager#spec": "{jobLabel: app.kubernetes.io/name, selector: " + monitored + `,
  endpoints: [{targetPort: http-metrics, path: /metrics, interval: 60s, scrapeTimeout: 30s, honorLabels: false, relabelings: []}]}`,
	}},
	"service monitor elsewhere": {"prometheus: {servicemonitor: {enabled: true, namespace: monitoring, labels: {release: p}, annotations: {a: b}, prometheusInstance: main}}", map[string]string{
		"ServiceMonitor/cert-manager#metadata.namespace":         "monitoring",
		"ServiceMonitor/cert-manager#metadata.annotations":       "{a: b}",
		"ServiceMonitor/cert-manager#metadata.labels.release":    "p",
		"ServiceMonitor/cert-manager#metadata.labels.prometheus": "main",
		"ServiceMonitor/cert-manager#spec.namespaceSelector":     "{matchNames: [cert-manager]}",
	}},
	"pod monitor": {"prometheus: {podmonitor: {enabled: true}}", map[string]string{
		controller + podAnnotations:                 "null",
		"Service/cert-manager#absent":               "",
		"Service/cert-manager-cainjector#absent":    "",
		"Service/cert-manager-webhook#spec.ports.1": "null",
		"PodMonitor/cert-manager#spec": "{jobLabel: app.kubernetes.io/name, selector: " + monitored + `,
  podMetricsEndpoints: [{port: http-metrics, path: /metrics, interval: 60s, scrapeTimeout: 30s, honorLabels: false}]}`,
	}},
	"no prometheus": {"prometheus: {enabled: false, servicemonitor: {enabled: true}}", map[string]string{
		controller + podAnnotations:                      "null",
		controller + "#" + inController + "ports.0.name": "http-metrics",
		"Service/cert-manager#absent":                    "",
		"ServiceMonitor/cert-manager#absent":             "",
		webhook + "#" + inController + "ports.2":         "null",
		cainjector + "#" + inController + "ports":        "null",
	}},
}

var everleafValues = map[string]changes{
	"one namespace": {"everleaf: {watchNamespace: cert-manager}", map[string]string{
		controller + "#" + inController + "args.6":                          "--namespace=cert-manager",
		cainjector + "#" + inController + "args.2":                          "--namespace=cert-manager",
		"ClusterRole/cert-manager-controller-certificates#absent":           "",
		"ClusterRole/cert-manager-controller-clusterissuers#absent":         "",
		"Role/cert-manager-controller-clusterissuers#absent":                "",
		"Role/cert-manager-controller-certificates#metadata.namespace":      "cert-manager",
		"RoleBinding/cert-manager-controller-challenges#metadata.namespace": "cert-manager",
		"ClusterRole/cert-manager-controller-challenges#rules":              "[{apiGroups: [apiregistration.k8s.io], resources: [apiservices], verbs: [get]}]",
		"Role/cert-manager-controller-orders#rules.5.resources":             "[issuers]",
		"Role/cert-manager-cainjector#rules.1":                              `{apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}`,
		"ClusterRole/cert-manager-cainjector#rules.0.apiGroups":             "[admissionregistration.k8s.io]",
	}},
	"another namespace with policies": {"everleaf: {watchNamespace: shop, admission: policies}", map[string]string{
		"Role/cert-manager-controller-issuers#metadata.namespace":            "shop",
		"RoleBinding/cert-manager-controller-issuers#subjects":               "[{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]",
		"Role/cert-manager-controller-challenges:records#metadata.namespace": "cert-manager",
	}},
}
