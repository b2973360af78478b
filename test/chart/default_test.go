package chart

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// labelsOf are the labels of an object, as YAML.
func labelsOf(name, component string) string {
	return `{app: ` + name + `, app.kubernetes.io/name: ` + name + `, app.kubernetes.io/component: ` + component + `,
  app.kubernetes.io/instance: cert-manager, app.kubernetes.io/version: v0.1.0,
  app.kubernetes.io/managed-by: Helm, helm.sh/chart: cert-manager-v0.1.0}`
}

func selectorOf(name, component string) string {
	return `{app.kubernetes.io/name: ` + name + `, app.kubernetes.io/component: ` + component + `, app.kubernetes.io/instance: cert-manager}`
}

// deployment is one of the three Deployments as YAML, with what they do not share.
func deployment(object, name, component, container string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ` + object + `
  namespace: cert-manager
  labels: ` + labelsOf(name, component) + `
spec:
  replicas: 1
  selector:
    matchLabels: ` + selectorOf(name, component) + `
  template:
    metadata:
      labels: ` + labelsOf(name, component) + `
      annotations: {prometheus.io/path: /metrics, prometheus.io/port: "9402", prometheus.io/scrape: "true"}
    spec:
      serviceAccountName: ` + object + `
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      nodeSelector: {kubernetes.io/os: linux}
      containers:
      - name: cert-manager-` + component + `
        image: everleaf/everleaf:v0.1.0
        imagePullPolicy: IfNotPresent
        command: [/everleaf, ` + component + `]
        env:
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
` + container
}

const scope = `scope: "*"`

// wanted are the objects of a default installation that programs and people rely on.
var wanted = map[string]string{
	"Deployment/cert-manager": deployment("cert-manager", "cert-manager", "controller", `
        args:
        - --v=2
        - --cluster-resource-namespace=$(POD_NAMESPACE)
        - --leader-election-namespace=kube-system
        - --acme-http01-solver-image=everleaf/everleaf:v0.1.0
        - --acme-http01-responder-service=$(POD_NAMESPACE)/cert-manager-acmesolver
        - --max-concurrent-challenges=60
        ports:
        - {name: http-metrics, containerPort: 9402, protocol: TCP}
        - {name: http-healthz, containerPort: 9403, protocol: TCP}
        - {name: http-solver, containerPort: 8089, protocol: TCP}
        readinessProbe:
          httpGet: {port: http-solver, path: /healthz, scheme: HTTP}
          periodSeconds: 2
        livenessProbe:
          httpGet: {port: http-healthz, path: /livez, scheme: HTTP}
          initialDelaySeconds: 10
          periodSeconds: 10
          timeoutSeconds: 15
          successThreshold: 1
          failureThreshold: 8
`),
	"Deployment/cert-manager-webhook": deployment("cert-manager-webhook", "webhook", "webhook", `
        args:
        - --v=2
        - --secure-port=10250
        - --dynamic-serving-ca-secret-namespace=$(POD_NAMESPACE)
        - --dynamic-serving-ca-secret-name=cert-manager-webhook-ca
        - --dynamic-serving-dns-names=cert-manager-webhook
        - --dynamic-serving-dns-names=cert-manager-webhook.$(POD_NAMESPACE)
        - --dynamic-serving-dns-names=cert-manager-webhook.$(POD_NAMESPACE).svc
        ports:
        - {name: https, containerPort: 10250, protocol: TCP}
        - {name: healthcheck, containerPort: 6080, protocol: TCP}
        - {name: http-metrics, containerPort: 9402, protocol: TCP}
        livenessProbe:
          httpGet: {port: healthcheck, path: /livez, scheme: HTTP}
          initialDelaySeconds: 60
          periodSeconds: 10
          timeoutSeconds: 1
          successThreshold: 1
          failureThreshold: 3
        readinessProbe:
          httpGet: {port: healthcheck, path: /healthz, scheme: HTTP}
          initialDelaySeconds: 5
          periodSeconds: 5
          timeoutSeconds: 1
          successThreshold: 1
          failureThreshold: 3
`),
	"Deployment/cert-manager-cainjector": deployment("cert-manager-cainjector", "cainjector", "cainjector", `
        args: [--v=2, --leader-election-namespace=kube-system]
        ports:
        - {name: http-metrics, containerPort: 9402, protocol: TCP}
`),
	"Service/cert-manager":            service("cert-manager", "cert-manager", "controller", `{name: http-metrics, port: 9402, protocol: TCP, targetPort: http-metrics}`),
	"Service/cert-manager-cainjector": service("cert-manager-cainjector", "cainjector", "cainjector", `{name: http-metrics, port: 9402, protocol: TCP, targetPort: http-metrics}`),
	"Service/cert-manager-webhook": service("cert-manager-webhook", "webhook", "webhook",
		`{name: https, port: 443, protocol: TCP, targetPort: https}, {name: metrics, port: 9402, protocol: TCP, targetPort: http-metrics}`),
	"Service/cert-manager-acmesolver": `
apiVersion: v1
kind: Service
metadata:
  name: cert-manager-acmesolver
  namespace: cert-manager
  labels: ` + labelsOf("cert-manager", "acmesolver") + `
spec:
  type: ClusterIP
  clusterIP: None
  ipFamilyPolicy: PreferDualStack
  ports: [{name: http, port: 8089, protocol: TCP, targetPort: http-solver}]
  selector: ` + selectorOf("cert-manager", "controller"),
	"ServiceAccount/cert-manager":            account("cert-manager", "cert-manager", "controller"),
	"ServiceAccount/cert-manager-webhook":    account("cert-manager-webhook", "webhook", "webhook"),
	"ServiceAccount/cert-manager-cainjector": account("cert-manager-cainjector", "cainjector", "cainjector"),
	"ValidatingWebhookConfiguration/cert-manager-webhook": `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: cert-manager-webhook
  labels: ` + labelsOf("webhook", "webhook") + `
  annotations: {cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}
webhooks:
- name: webhook.cert-manager.io
  namespaceSelector:
    matchExpressions: [{key: cert-manager.io/disable-validation, operator: NotIn, values: ["true"]}]
  rules: [{apiGroups: [cert-manager.io, acme.cert-manager.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: ["*/*"], ` + scope + `}]
  matchConditions:
  - {name: is-not-the-controller, expression: "request.userInfo.username != 'system:serviceaccount:cert-manager:cert-manager'"}
  admissionReviewVersions: [v1]
  matchPolicy: Equivalent
  timeoutSeconds: 30
  failurePolicy: Fail
  sideEffects: None
  clientConfig: {service: {name: cert-manager-webhook, namespace: cert-manager, path: /validate, port: 443}}
`,
	"MutatingWebhookConfiguration/cert-manager-webhook": `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: cert-manager-webhook
  labels: ` + labelsOf("webhook", "webhook") + `
  annotations: {cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}
webhooks:
- name: webhook.cert-manager.io
  rules: [{apiGroups: [cert-manager.io], apiVersions: [v1], operations: [CREATE], resources: [certificaterequests], ` + scope + `}]
  matchConditions:
  - {name: is-not-the-controller, expression: "request.userInfo.username != 'system:serviceaccount:cert-manager:cert-manager' || !has(object.spec) || !has(object.spec.username) || object.spec.username == ''"}
  admissionReviewVersions: [v1]
  matchPolicy: Equivalent
  reinvocationPolicy: Never
  timeoutSeconds: 30
  failurePolicy: Fail
  sideEffects: None
  clientConfig: {service: {name: cert-manager-webhook, namespace: cert-manager, path: /mutate, port: 443}}
`,
	"Job/cert-manager-startupapicheck": `
apiVersion: batch/v1
kind: Job
metadata:
  name: cert-manager-startupapicheck
  namespace: cert-manager
  labels: ` + labelsOf("startupapicheck", "startupapicheck") + `
  annotations: {helm.sh/hook: post-install, helm.sh/hook-weight: "1", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec:
  backoffLimit: 4
  template:
    metadata:
      labels: ` + labelsOf("startupapicheck", "startupapicheck") + `
      annotations: {sidecar.istio.io/inject: "false", linkerd.io/inject: disabled}
    spec:
      restartPolicy: OnFailure
      serviceAccountName: cert-manager-startupapicheck
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      nodeSelector: {kubernetes.io/os: linux}
      containers:
      - name: cert-manager-startupapicheck
        image: everleaf/everleaf:v0.1.0
        imagePullPolicy: IfNotPresent
        command: [/everleaf, startupapicheck]
        terminationMessagePolicy: FallbackToLogsOnError
        args: [check, api, --wait=1m, -v]
        env:
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
`,
	"ServiceAccount/cert-manager-startupapicheck": strings.Replace(account("cert-manager-startupapicheck", "startupapicheck", "startupapicheck"), "  labels:", `
  annotations: {helm.sh/hook: post-install, helm.sh/hook-weight: "-5", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
  labels:`, 1),
}

func service(object, name, component, ports string) string {
	return `
apiVersion: v1
kind: Service
metadata:
  name: ` + object + `
  namespace: cert-manager
  labels: ` + labelsOf(name, component) + `
spec:
  type: ClusterIP
  ports: [` + ports + `]
  selector: ` + selectorOf(name, component)
}

func account(object, name, component string) string {
	return `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: ` + object + `
  namespace: cert-manager
  labels: ` + labelsOf(name, component) + `
automountServiceAccountToken: true`
}

// TestDefault holds the objects of the default values, whole.
func TestDefault(t *testing.T) {
	t.Parallel()
	all := rendering{}.render(t)
	for id, want := range wanted {
		equal(t, id, want, any(all[id]))
	}
	// What else there is, is rights: see TestRights.
	for _, id := range all.ids() {
		kind, _, _ := strings.Cut(id, "/")
		rights := slices.Contains([]string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}, kind)
		if _, known := wanted[id]; !known && !rights {
			t.Errorf("%s is rendered too", id)
		}
	}
}

// TestCRDs holds that the six CRDs are what package api/crds has, with labels, by either
// value, and that they stay when the release goes.
func TestCRDs(t *testing.T) {
	t.Parallel()
	for values, keep := range map[string]any{
		"crds: {enabled: true}":              "keep",
		"installCRDs: true":                  "keep",
		"crds: {enabled: true, keep: false}": nil,
	} {
		all := rendering{values: values}.render(t)
		count := 0
		for id, object := range all {
			if !strings.HasPrefix(id, "CustomResourceDefinition/") {
				continue
			}
			count++
			annotations := at(t, object, "metadata.annotations").(map[string]any)
			if got := annotations["helm.sh/resource-policy"]; got != keep {
				t.Errorf("%s: %s has the resource policy %v, want %v", values, id, got, keep)
			}
			equal(t, "labels of "+id, labelsOf("cert-manager", "crds"), at(t, object, "metadata.labels"))
			delete(annotations, "helm.sh/resource-policy")
			delete(object["metadata"].(map[string]any), "labels")
			if diff := cmp.Diff(source(t, object), any(object)); diff != "" {
				t.Errorf("%s (-api/crds +chart):\n%s", id, diff)
			}
		}
		if count != 6 {
			t.Errorf("%s: %d CRDs, want 6", values, count)
		}
	}
}

// source is a CRD as package api/crds has it.
func source(t *testing.T, crd map[string]any) any {
	t.Helper()
	group := at(t, crd, "spec.group").(string)
	plural := at(t, crd, "spec.names.plural").(string)
	text, err := os.ReadFile(root + "/api/crds/" + group + "_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, string(text))
}
