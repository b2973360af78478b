package chart

// userValues are values that take the place of what the chart gives.
var userValues = map[string]changes{
	"the user's source of the CA replaces the chart's": {`
webhook:
  validatingWebhookConfigurationAnnotations: {cert-manager.io/inject-ca-from-secret: pki/ca, a: 1}
  mutatingWebhookConfigurationAnnotations: {cert-manager.io/inject-ca-from: pki/webhook}
`, map[string]string{
		validating + "#metadata.annotations": `{cert-manager.io/inject-ca-from-secret: pki/ca, a: "1"}`,
		mutating + "#metadata.annotations":   "{cert-manager.io/inject-ca-from: pki/webhook}",
	}},
	"the CA of the API server": {`webhook: {mutatingWebhookConfigurationAnnotations: {cert-manager.io/inject-apiserver-ca: true}}`, map[string]string{
		validating + "#metadata.annotations": "{cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}",
		mutating + "#metadata.annotations":   `{cert-manager.io/inject-apiserver-ca: "true"}`,
	}},
	"the CA that the webhook's config names": {"webhook: {config: {tlsConfig: {dynamic: {secretNamespace: pki, secretName: ca, dnsNames: [x]}}}}", map[string]string{
		validating + "#metadata.annotations": "{cert-manager.io/inject-ca-from-secret: pki/ca}",
		mutating + "#metadata.annotations":   "{cert-manager.io/inject-ca-from-secret: pki/ca}",
	}},
	"a certificate from files has no CA that the chart knows": {`
webhook:
  config: {tlsConfig: {filesystem: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}}}
  validatingWebhookConfigurationAnnotations: {a: b}
`, map[string]string{
		validating + "#metadata.annotations": "{a: b}",
		mutating + "#metadata.annotations":   "null",
	}},

	"the user's labels and endpoint of a service monitor": {`
prometheus:
  servicemonitor:
    enabled: true
    labels: {prometheus: mine, app: theirs}
    endpointAdditionalProperties: {interval: 5s, honorLabels: true, scheme: https}
`, map[string]string{
		"ServiceMonitor/cert-manager#metadata.labels.prometheus": "mine",
		"ServiceMonitor/cert-manager#metadata.labels.app":        "theirs",
		"ServiceMonitor/cert-manager#spec.endpoints":             "[{targetPort: http-metrics, path: /metrics, interval: 5s, scrapeTimeout: 30s, honorLabels: true, scheme: https}]",
	}},
	"the user's labels and endpoint of a pod monitor": {`
prometheus: {podmonitor: {enabled: true, labels: {prometheus: mine}, targetPort: 9402, endpointAdditionalProperties: {path: /m}}}
`, map[string]string{
		"PodMonitor/cert-manager#metadata.labels.prometheus": "mine",
		"PodMonitor/cert-manager#spec.podMetricsEndpoints":   "[{port: 9402, path: /m, interval: 60s, scrapeTimeout: 30s, honorLabels: false}]",
	}},
	"the user's labels of services and accounts": {`
serviceLabels: {app: mine, app.kubernetes.io/name: mine}
cainjector: {serviceAccount: {labels: {app: mine, app.kubernetes.io/component: mine}}}
`, map[string]string{
		"Service/cert-manager#metadata.labels.app":                                            "mine",
		"Service/cert-manager#metadata.labels[app.kubernetes.io/name]":                        "cert-manager",
		"ServiceAccount/cert-manager-cainjector#metadata.labels.app":                          "mine",
		"ServiceAccount/cert-manager-cainjector#metadata.labels[app.kubernetes.io/component]": "cainjector",
	}},

	"large numbers": {`
global: {commonLabels: {account: 123456789012, ratio: 1.5, none: null}, nodeSelector: {rack: 10000000}}
image: {tag: 20261126}
webhook: {image: {tag: 20261126}, nodeSelector: {shelf: 20000000}, podLabels: {"n": 10000000}, config: {pemSizeLimitsConfig: {maxBundleSize: 10000000}}}
acmesolver: {image: {tag: 30000000}}
podDisruptionBudget: {enabled: true, minAvailable: 10000000}
cainjector: {podDisruptionBudget: {enabled: true, maxUnavailable: 10000000}, serviceAnnotations: {"n": 10000000}}
serviceAccount: {annotations: {"n": 10000000}}
`, map[string]string{
		controller + "#metadata.labels.account":                           `"123456789012"`,
		controller + "#" + inController + "image":                         "everleaf/everleaf:20261126",
		webhook + "#" + inController + "image":                            "everleaf/everleaf:20261126",
		controller + "#" + inController + "args.5":                        "--acme-http01-solver-extra-labels=account=123456789012",
		controller + "#" + inController + "args.6":                        "--acme-http01-solver-extra-labels=ratio=1.5",
		controller + "#" + inController + "args.7":                        "--max-concurrent-challenges=60",
		controller + "#" + inController + "args.3":                        "--acme-http01-solver-image=everleaf/everleaf:30000000",
		controller + "#" + inPod + "nodeSelector.rack":                    `"10000000"`,
		webhook + "#" + inPod + "nodeSelector.shelf":                      `"20000000"`,
		webhook + "#spec.template.metadata.labels.n":                      `"10000000"`,
		"ConfigMap/cert-manager-webhook#data[config.yaml]":                "\"apiVersion: webhook.config.cert-manager.io/v1alpha1\\nkind: WebhookConfiguration\\npemSizeLimitsConfig:\\n  maxBundleSize: 10000000\\n\"",
		"PodDisruptionBudget/cert-manager#spec.minAvailable":              "10000000",
		"ServiceAccount/cert-manager#metadata.annotations.n":              `"10000000"`,
		"Service/cert-manager-cainjector#metadata.annotations.n":          `"10000000"`,
		"PodDisruptionBudget/cert-manager-cainjector#spec.maxUnavailable": "10000000",
	}},

	"the Secret of the metrics' CA in a namespaced install": {`
everleaf: {watchNamespace: shop, admission: policies}
config: {metricsTLSConfig: {dynamic: {secretNamespace: cert-manager, secretName: metrics-ca, dnsNames: [x]}}}
`, map[string]string{
		"Role/cert-manager:dynamic-serving#metadata.namespace": "cert-manager",
		"Role/cert-manager:dynamic-serving#rules": `
- {apiGroups: [""], resources: [secrets], resourceNames: [metrics-ca], verbs: [get, list, watch, update]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}`,
		"RoleBinding/cert-manager:dynamic-serving#subjects": "[{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]",
	}},
	"the Secret of the metrics' CA in a whole cluster": {"config: {metricsTLSConfig: {dynamic: {secretNamespace: cert-manager, secretName: metrics-ca, dnsNames: [x]}}}", map[string]string{
		"Role/cert-manager:dynamic-serving#absent": "",
	}},
	"null in place of every block of a config": {`
config: {metricsTLSConfig: null}
everleaf: {watchNamespace: cert-manager}
webhook: {config: {tlsConfig: null, metricsTLSConfig: {dynamic: null}}}
cainjector: {config: {metricsTLSConfig: null}}
`, map[string]string{
		"Role/cert-manager-webhook:dynamic-serving#rules.0.resourceNames": "[cert-manager-webhook-ca]",
		"Role/cert-manager-cainjector:dynamic-serving#absent":             "",
		"Role/cert-manager:dynamic-serving#absent":                        "",
		validating + "#metadata.annotations":                              "{cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}",
		webhook + "#" + inController + "args.3":                           "--dynamic-serving-ca-secret-namespace=$(POD_NAMESPACE)",
	}},
	"null in place of the inner blocks of a config": {`
config: {metricsTLSConfig: {dynamic: null}}
everleaf: {watchNamespace: cert-manager}
webhook: {config: {tlsConfig: {dynamic: null, filesystem: null}, metricsTLSConfig: null}}
cainjector: {config: {metricsTLSConfig: {dynamic: null}}}
`, map[string]string{
		"Role/cert-manager-webhook:dynamic-serving#rules.0.resourceNames": "[cert-manager-webhook-ca]",
		"Role/cert-manager-cainjector:dynamic-serving#absent":             "",
		"Role/cert-manager:dynamic-serving#absent":                        "",
	}},
	"no config": {"{config: null, everleaf: {watchNamespace: cert-manager}, webhook: {config: null}, cainjector: {config: null}}", map[string]string{
		"Role/cert-manager-webhook:dynamic-serving#rules.0.resourceNames": "[cert-manager-webhook-ca]",
	}},
}
