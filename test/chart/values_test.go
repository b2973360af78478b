package chart

import (
	"maps"
	"slices"
	"testing"
)

// changes are values, and what they change: by the kind and name of an object, a hash and
// a path, the value as YAML; "null" if there is nothing at the path. An object that must
// not be rendered has the path "absent".
type changes struct {
	values string
	want   map[string]string
}

const (
	controller = "Deployment/cert-manager"
	webhook    = "Deployment/cert-manager-webhook"
	cainjector = "Deployment/cert-manager-cainjector"
	check      = "Job/cert-manager-startupapicheck"
)

// TestValues holds what each group of values changes.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, group := range []map[string]changes{globalValues, controllerValues, webhookValues, otherValues, prometheusValues, portValues, responderValues, everleafValues, userValues} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test.hold(t, rendering{values: test.values}.render(t))
			})
		}
	}
}

// hold compares what was rendered with what is wanted.
func (c changes) hold(t *testing.T, all objects) {
	t.Helper()
	for _, place := range slices.Sorted(maps.Keys(c.want)) {
		id, path := cutLast(place, "#")
		if path == "absent" {
			if all[id] != nil {
				t.Errorf("%s is rendered", id)
			}
			continue
		}
		equal(t, place, c.want[place], all.get(t, id, path))
	}
}

func cutLast(s, sep string) (before, after string) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i:i+1] == sep {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

var globalValues = map[string]changes{
	"pull secrets are those of the service accounts": {"global: {imagePullSecrets: [{name: reg}]}", map[string]string{
		"ServiceAccount/cert-manager#imagePullSecrets":                 "[{name: reg}]",
		"ServiceAccount/cert-manager-webhook#imagePullSecrets":         "[{name: reg}]",
		"ServiceAccount/cert-manager-startupapicheck#imagePullSecrets": "[{name: reg}]",
		controller + "#" + inPod + "imagePullSecrets":                  "null",
		check + "#" + inPod + "imagePullSecrets":                       "[{name: reg}]",
	}},
	"pull secrets are those of the pod without its service account": {"{global: {imagePullSecrets: [{name: reg}]}, serviceAccount: {create: false, name: mine}}", map[string]string{
		"ServiceAccount/cert-manager#absent":                                                          "",
		controller + "#" + inPod + "imagePullSecrets":                                                 "[{name: reg}]",
		controller + "#" + inPod + "serviceAccountName":                                               "mine",
		"ClusterRoleBinding/cert-manager-controller-issuers#subjects":                                 "[{kind: ServiceAccount, name: mine, namespace: cert-manager}]",
		"ValidatingWebhookConfiguration/cert-manager-webhook#webhooks.0.matchConditions.0.expression": "request.userInfo.username != 'system:serviceaccount:cert-manager:mine'",
		"RoleBinding/cert-manager-controller-challenges:records#subjects":                             "[{kind: ServiceAccount, name: mine, namespace: cert-manager}]",
	}},
	"a service account that is not created and has no name is default": {"webhook: {serviceAccount: {create: false}}", map[string]string{
		webhook + "#" + inPod + "serviceAccountName": "default",
	}},
	"the node selector of all wins": {"{global: {nodeSelector: {kubernetes.io/os: windows, zone: a}}, cainjector: {nodeSelector: {disk: ssd}}}", map[string]string{
		controller + "#" + inPod + "nodeSelector": "{kubernetes.io/os: windows, zone: a}",
		cainjector + "#" + inPod + "nodeSelector": "{kubernetes.io/os: windows, zone: a, disk: ssd}",
		check + "#" + inPod + "nodeSelector":      "{kubernetes.io/os: windows, zone: a}",
	}},
	"common labels": {"{global: {commonLabels: {team: x, app: z, count: 1}}, crds: {enabled: true}}", map[string]string{
		controller + "#metadata.labels.team":                                               "x",
		controller + "#metadata.labels.app":                                                "cert-manager",
		controller + "#spec.template.metadata.labels.team":                                 "x",
		controller + "#" + inController + "args.5":                                         "--acme-http01-solver-extra-labels=app=z",
		controller + "#" + inController + "args.6":                                         "--acme-http01-solver-extra-labels=count=1",
		"CustomResourceDefinition/issuers.cert-manager.io#metadata.labels.team":            "x",
		"ClusterRole/cert-manager-edit#metadata.labels.team":                               "x",
		controller + "#spec.selector.matchLabels":                                          selectorOf("cert-manager", "controller"),
		"ClusterRole/cert-manager-controller-approve:cert-manager-io#metadata.labels.team": "x",
	}},
	"zero is a value": {"global: {revisionHistoryLimit: 0, logLevel: 0}", map[string]string{
		controller + "#spec.revisionHistoryLimit":  "0",
		webhook + "#spec.revisionHistoryLimit":     "0",
		controller + "#" + inController + "args.0": "--v=0",
	}},
	"nothing is no value": {"global: {logLevel: null}", map[string]string{
		controller + "#spec.revisionHistoryLimit":  "null",
		webhook + "#" + inController + "args.0":    "--secure-port=10250",
		cainjector + "#" + inController + "args.0": "--leader-election-namespace=kube-system",
	}},
	"scheduling of all": {"global: {priorityClassName: high, runtimeClassName: gvisor, hostUsers: false}", map[string]string{
		controller + "#" + inPod + "priorityClassName": "high",
		webhook + "#" + inPod + "runtimeClassName":     "gvisor",
		check + "#" + inPod + "hostUsers":              "false",
	}},
	"a component's own runtime class": {"{global: {runtimeClassName: gvisor}, webhook: {runtimeClassName: kata}, acmesolver: {runtimeClassName: runc}}", map[string]string{
		webhook + "#" + inPod + "runtimeClassName":    "kata",
		cainjector + "#" + inPod + "runtimeClassName": "gvisor",
		controller + "#" + inController + "args.6":    "--acme-http01-solver-runtime-class-name=runc",
	}},
	"leases in another namespace": {"global: {leaderElection: {namespace: cert-manager, leaseDuration: 30s, renewDeadline: 20s, retryPeriod: 5s}}", map[string]string{
		controller + "#" + inController + "args": `["--v=2", "--cluster-resource-namespace=$(POD_NAMESPACE)", --leader-election-namespace=cert-manager,
  --leader-election-lease-duration=30s, --leader-election-renew-deadline=20s, --leader-election-retry-period=5s,
  "--acme-http01-solver-image=everleaf/everleaf:v0.1.0", "--acme-http01-responder-service=$(POD_NAMESPACE)/cert-manager-acmesolver", --max-concurrent-challenges=60]`,
		cainjector + "#" + inController + "args.1":                              "--leader-election-namespace=cert-manager",
		"Role/cert-manager:leaderelection#metadata.namespace":                   "cert-manager",
		"RoleBinding/cert-manager:leaderelection#metadata.namespace":            "cert-manager",
		"Role/cert-manager-cainjector:leaderelection#metadata.namespace":        "cert-manager",
		"RoleBinding/cert-manager-cainjector:leaderelection#metadata.namespace": "cert-manager",
	}},
	"no rights": {"global: {rbac: {create: false}}", map[string]string{
		"ClusterRole/cert-manager-view#absent":                     "",
		"ClusterRole/cert-manager-controller-issuers#absent":       "",
		"Role/cert-manager:leaderelection#absent":                  "",
		"Role/cert-manager-startupapicheck:create-cert#absent":     "",
		"Role/cert-manager-webhook:dynamic-serving#absent":         "",
		"ServiceAccount/cert-manager#automountServiceAccountToken": "true",
	}},
	"no aggregation": {"global: {rbac: {aggregateClusterRoles: false}}", map[string]string{
		"ClusterRole/cert-manager-cluster-view#absent":  "",
		"ClusterRole/cert-manager-view#metadata.labels": labelsOf("cert-manager", "controller"),
		"ClusterRole/cert-manager-edit#metadata.labels": labelsOf("cert-manager", "controller"),
	}},
}

var controllerValues = map[string]changes{
	"all arguments, in order": {`
config: {logging: {format: json}}
clusterResourceNamespace: secrets
extraArgs: [--kube-api-qps=100, "--controllers=*"]
ingressShim: {defaultIssuerName: le, defaultIssuerKind: ClusterIssuer, defaultIssuerGroup: example.com}
featureGates: AllAlpha=true,AllBeta=true
maxConcurrentChallenges: 10
enableCertificateOwnerRef: true
dns01RecursiveNameserversOnly: true
dns01RecursiveNameservers: 1.1.1.1:53,https://dns.example/dns-query
disableAutoApproval: true
acmesolver: {mode: shared, image: {registry: reg, repository: a/solver, tag: t, digest: "sha256:d"}}
everleaf: {events: all}
`, map[string]string{
		controller + "#" + inController + "args": `
- --v=2
- --config=/var/cert-manager/config/config.yaml
- --cluster-resource-namespace=secrets
- --leader-election-namespace=kube-system
- --acme-http01-solver-image=reg/a/solver:t@sha256:d
- --acme-http01-responder-service=$(POD_NAMESPACE)/cert-manager-acmesolver
- --kube-api-qps=100
- --controllers=*
- --default-issuer-name=le
- --default-issuer-kind=ClusterIssuer
- --default-issuer-group=example.com
- --feature-gates=AllAlpha=true,AllBeta=true
- --max-concurrent-challenges=10
- --enable-certificate-owner-ref=true
- --dns01-recursive-nameservers-only=true
- --dns01-recursive-nameservers=1.1.1.1:53,https://dns.example/dns-query
- --controllers=-certificaterequests-approver
- --acme-http01-solver-mode=shared
- --events=all`,
		controller + "#" + inPod + "volumes":                                        "[{name: config, configMap: {name: cert-manager}}]",
		controller + "#" + inController + "volumeMounts":                            "[{name: config, mountPath: /var/cert-manager/config}]",
		"ConfigMap/cert-manager#data[config.yaml]":                                  "|\n  apiVersion: controller.config.cert-manager.io/v1alpha1\n  kind: ControllerConfiguration\n  logging:\n    format: json\n",
		"Role/cert-manager-controller-challenges:records#metadata.namespace":        "secrets",
		"ClusterRole/cert-manager-controller-approve:cert-manager-io#absent":        "",
		"ClusterRoleBinding/cert-manager-controller-approve:cert-manager-io#absent": "",
	}},
	"whom it may approve": {"approveSignerNames: [issuers.example.com/*]", map[string]string{
		"ClusterRole/cert-manager-controller-approve:cert-manager-io#rules": "[{apiGroups: [cert-manager.io], resources: [signers], verbs: [approve], resourceNames: [issuers.example.com/*]}]",
	}},
	"it may approve all": {"approveSignerNames: []", map[string]string{
		"ClusterRole/cert-manager-controller-approve:cert-manager-io#rules": "[{apiGroups: [cert-manager.io], resources: [signers], verbs: [approve]}]",
	}},
	"pod": {`
replicaCount: 2
strategy: {type: Recreate}
deploymentAnnotations: {a: b}
podAnnotations: {c: d}
podLabels: {azure.workload.identity/use: true, app: other, app.kubernetes.io/name: other}
serviceAccount: {annotations: {in: '{{ index .Values "podDnsPolicy" }}', id: 123456789012}, labels: {azure.workload.identity/use: true}, automountServiceAccountToken: false}
automountServiceAccountToken: true
podDnsPolicy: "None"
podDnsConfig: {nameservers: [1.1.1.1]}
hostAliases: [{ip: 10.0.0.1, hostnames: [ca]}]
extraEnv: [{name: A, value: b}]
http_proxy: http://p
https_proxy: https://p
no_proxy: a,b
extraContainers: [{name: side, image: x}]
resources: {requests: {cpu: 10m}}
securityContext: {fsGroup: 1}
containerSecurityContext: {privileged: false}
volumes: [{name: v, emptyDir: {}}]
volumeMounts: [{name: v, mountPath: /v}]
nodeSelector: {a: b}
affinity: {nodeAffinity: {}}
tolerations: [{operator: Exists}]
topologySpreadConstraints: [{maxSkew: 1}]
enableServiceLinks: true
livenessProbe: {enabled: false}
serviceAnnotations: {sa: x}
serviceLabels: {sl: x}
serviceIPFamilyPolicy: PreferDualStack
serviceIPFamilies: [IPv6, IPv4]
podDisruptionBudget: {enabled: true}
`, map[string]string{
		controller + "#spec.replicas":                      "2",
		controller + "#spec.strategy":                      "{type: Recreate}",
		controller + "#metadata.annotations":               "{a: b}",
		controller + "#spec.template.metadata.annotations": `{c: d, prometheus.io/path: /metrics, prometheus.io/port: "9402", prometheus.io/scrape: "true"}`,
		controller + "#spec.template.metadata.labels": `{azure.workload.identity/use: "true", app: other,
  app.kubernetes.io/name: cert-manager, app.kubernetes.io/component: controller, app.kubernetes.io/instance: cert-manager,
  app.kubernetes.io/version: v0.1.0, app.kubernetes.io/managed-by: Helm, helm.sh/chart: cert-manager-v0.1.0}`,
		"ServiceAccount/cert-manager#metadata.annotations":                         `{in: "None", id: "123456789012"}`,
		"ServiceAccount/cert-manager#metadata.labels[azure.workload.identity/use]": `"true"`,
		"ServiceAccount/cert-manager#automountServiceAccountToken":                 "false",
		controller + "#" + inPod + "automountServiceAccountToken":                  "true",
		controller + "#" + inPod + "dnsPolicy":                                     `"None"`,
		controller + "#" + inPod + "dnsConfig":                                     "{nameservers: [1.1.1.1]}",
		controller + "#" + inPod + "hostAliases":                                   "[{ip: 10.0.0.1, hostnames: [ca]}]",
		controller + "#" + inPod + "containers.0":                                  "{name: side, image: x}",
		controller + "#" + inPod + "containers.1.env":                              "[{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}, {name: A, value: b}, {name: HTTP_PROXY, value: http://p}, {name: HTTPS_PROXY, value: https://p}, {name: NO_PROXY, value: 'a,b'}]",
		controller + "#" + inPod + "containers.1.resources":                        "{requests: {cpu: 10m}}",
		controller + "#" + inPod + "containers.1.volumeMounts":                     "[{name: v, mountPath: /v}]",
		controller + "#" + inPod + "containers.1.livenessProbe":                    "null",
		controller + "#" + inPod + "containers.1.securityContext.privileged":       "false",
		controller + "#" + inPod + "securityContext.fsGroup":                       "1",
		controller + "#" + inPod + "volumes":                                       "[{name: v, emptyDir: {}}]",
		controller + "#" + inPod + "nodeSelector":                                  "{a: b, kubernetes.io/os: linux}",
		controller + "#" + inPod + "affinity":                                      "{nodeAffinity: {}}",
		controller + "#" + inPod + "tolerations":                                   "[{operator: Exists}]",
		controller + "#" + inPod + "topologySpreadConstraints":                     "[{maxSkew: 1}]",
		controller + "#" + inPod + "enableServiceLinks":                            "true",
		"Service/cert-manager#metadata.annotations":                                "{sa: x}",
		"Service/cert-manager#metadata.labels.sl":                                  "x",
		"Service/cert-manager#spec.ipFamilyPolicy":                                 "PreferDualStack",
		"Service/cert-manager#spec.ipFamilies":                                     "[IPv6, IPv4]",
		"PodDisruptionBudget/cert-manager#spec":                                    "{minAvailable: 1, selector: {matchLabels: " + selectorOf("cert-manager", "controller") + "}}",
	}},
	"images": {`
imageRegistry: reg.example
imageNamespace: ns
image: {name: c}
webhook: {image: {repository: mirror/w, tag: v9}}
cainjector: {image: {registry: other, digest: "sha256:abc"}}
startupapicheck: {image: {pullPolicy: Always}}
`, map[string]string{
		controller + "#" + inController + "image":      "reg.example/ns/c:v0.1.0",
		webhook + "#" + inController + "image":         "mirror/w:v9",
		cainjector + "#" + inController + "image":      "other/reg.example/ns/everleaf@sha256:abc",
		check + "#" + inController + "imagePullPolicy": "Always",
		check + "#" + inController + "image":           "reg.example/ns/everleaf:v0.1.0",
	}},
	"network policies": {"{networkPolicy: {enabled: true}, webhook: {networkPolicy: {enabled: true}}, cainjector: {networkPolicy: {enabled: true}}}", map[string]string{
		"NetworkPolicy/cert-manager-allow-ingress": `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cert-manager-allow-ingress, namespace: cert-manager}
spec:
  podSelector: {matchLabels: ` + selectorOf("cert-manager", "controller") + `}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: http-metrics, protocol: TCP}, {port: http-healthz, protocol: TCP}]}, {ports: [{port: http-solver, protocol: TCP}]}]`,
		"NetworkPolicy/cert-manager-allow-egress#spec":                     egress("cert-manager", "controller"),
		"NetworkPolicy/cert-manager-webhook-allow-egress#spec":             egress("webhook", "webhook"),
		"NetworkPolicy/cert-manager-cainjector-allow-egress#spec":          egress("cainjector", "cainjector"),
		"NetworkPolicy/cert-manager-startupapicheck-allow-egress#spec":     egress("startupapicheck", "startupapicheck"),
		"NetworkPolicy/cert-manager-webhook-allow-ingress#spec.ingress":    "[{ports: [{port: https, protocol: TCP}, {port: healthcheck, protocol: TCP}, {port: http-metrics, protocol: TCP}]}]",
		"NetworkPolicy/cert-manager-cainjector-allow-ingress#spec.ingress": "[{ports: [{port: http-metrics, protocol: TCP}]}]",
	}},
	"the job has a network policy if any other has": {"webhook: {networkPolicy: {enabled: true, egress: [{ports: [{port: 16443}]}]}}", map[string]string{
		"NetworkPolicy/cert-manager-startupapicheck-allow-egress#spec.egress": "[{ports: [{port: 16443}]}]",
		"NetworkPolicy/cert-manager-allow-egress#absent":                      "",
	}},
	"extra objects are templates": {`extraObjects: ["apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: '{{ .Release.Name }}-x'\n"]`, map[string]string{
		"ConfigMap/cert-manager-x#metadata.name": "cert-manager-x",
	}},
	"another namespace": {"namespace: elsewhere", map[string]string{
		controller + "#metadata.namespace":                                                            "elsewhere",
		"ServiceAccount/cert-manager-webhook#metadata.namespace":                                      "elsewhere",
		"ClusterRoleBinding/cert-manager-cainjector#subjects.0.namespace":                             "elsewhere",
		"MutatingWebhookConfiguration/cert-manager-webhook#webhooks.0.clientConfig.service.namespace": "elsewhere",
		"MutatingWebhookConfiguration/cert-manager-webhook#metadata.annotations":                      "{cert-manager.io/inject-ca-from-secret: elsewhere/cert-manager-webhook-ca}",
		"ValidatingWebhookConfiguration/cert-manager-webhook#webhooks.0.matchConditions.0.expression": "request.userInfo.username != 'system:serviceaccount:elsewhere:cert-manager'",
	}},
	"static manifests have no labels of helm": {"creator: static", map[string]string{
		controller + "#metadata.labels": `{app: cert-manager, app.kubernetes.io/name: cert-manager, app.kubernetes.io/component: controller,
  app.kubernetes.io/instance: cert-manager, app.kubernetes.io/version: v0.1.0}`,
	}},
}

// egress is the spec of a policy for the way out.
func egress(name, component string) string {
	return `
podSelector: {matchLabels: ` + selectorOf(name, component) + `}
policyTypes: [Egress]
egress: [{ports: [{port: 80, protocol: TCP}, {port: 443, protocol: TCP}, {port: 53, protocol: TCP}, {port: 53, protocol: UDP}, {port: 6443, protocol: TCP}]}]`
}
