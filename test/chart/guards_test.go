package chart

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRefused holds what the chart refuses, and with which words.
func TestRefused(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"{installCRDs: true, crds: {enabled: true}}":                                 "ERROR: the deprecated .installCRDs option cannot be enabled at the same time as its replacement .crds.enabled",
		"{installCRDs: true, crds: {keep: false}}":                                   "ERROR: .crds.keep=false does not go with the deprecated .installCRDs: set .crds.enabled=true in place of .installCRDs",
		"prometheus: {servicemonitor: {enabled: true}, podmonitor: {enabled: true}}": "Either .Values.prometheus.podmonitor.enabled or .Values.prometheus.servicemonitor.enabled can be enabled at a time, but not both.",
		`image: {name: ""}`:                     "ERROR: image.name must be set when image.repository is empty",
		"everleaf: {watchNamespace: elsewhere}": `ERROR: everleaf.watchNamespace is "elsewhere", and the cainjector could not read the CA of the webhook in namespace "cert-manager": install into the namespace that is watched, or set everleaf.admission=policies`,

		// The schema refuses what it does not know, at all depths.
		"replicas: 2":                                      "additional properties 'replicas' not allowed",
		"everleaf: {admision: webhook}":                    "additional properties 'admision' not allowed",
		"everleaf: {dashboards: {enable: true}}":           "additional properties 'enable' not allowed",
		"everleaf: {prometheusRule: {enable: true}}":       "additional properties 'enable' not allowed",
		"webhook: {replicas: 2}":                           "additional properties 'replicas' not allowed",
		"webhook: {url: {hosts: x}}":                       "additional properties 'hosts' not allowed",
		"cainjector: {maxConcurrentChallenges: 2}":         "additional properties 'maxConcurrentChallenges' not allowed",
		"cainjector: {livenessProbe: {}}":                  "additional properties 'livenessProbe' not allowed",
		"startupapicheck: {topologySpreadConstraints: []}": "additional properties 'topologySpreadConstraints' not allowed",
		"acmesolver: {resources: {}}":                      "additional properties 'resources' not allowed",
		"image: {name: a, version: b}":                     "additional properties 'version' not allowed",
		"serviceAccount: {namespace: x}":                   "additional properties 'namespace' not allowed",
		"crds: {keeps: true}":                              "additional properties 'keeps' not allowed",
		"ingressShim: {issuer: x}":                         "additional properties 'issuer' not allowed",
		"prometheus: {servicemonitor: {port: x}}":          "additional properties 'port' not allowed",
		"podDisruptionBudget: {min: 1}":                    "additional properties 'min' not allowed",
		"livenessProbe: {path: /x}":                        "additional properties 'path' not allowed",
		`everleaf: {admission: none}`:                      "value must be one of 'webhook', 'policies', 'auto'",
		`everleaf: {events: some}`:                         "value must be one of '', 'brief', 'all'",
		`replicaCount: "2"`:                                "at '/replicaCount': got string, want number",
		`featureGates: {A: true}`:                          "at '/featureGates': got object, want string",
		`dns01RecursiveNameservers: [1.1.1.1]`:             "at '/dns01RecursiveNameservers': got array, want string",
		`global: {logLevel: "2"}`:                          "at '/global/logLevel': got string, want number",
		`webhook: {timeoutSeconds: 31}`:                    "at '/webhook/timeoutSeconds': maximum: got 31, want 30",
	} {
		t.Run(values, func(t *testing.T) {
			t.Parallel()
			if _, complaint := (rendering{values: values}).try(t); !strings.Contains(complaint, want) {
				t.Errorf("helm says %q, want %q", complaint, want)
			}
		})
	}
}

// TestGlobalIsOpen holds that global takes the keys of umbrella charts and platforms.
func TestGlobalIsOpen(t *testing.T) {
	t.Parallel()
	rendering{values: "global: {cattle: {systemProjectId: x}, imageRegistry: y, rbac: {other: z}}"}.render(t)
}

// TestLint lints with the default values and with a file that sets all of them.
func TestLint(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--values", "testdata/every-value.yaml"}} {
		out, err := exec.Command(program(t, "helm"), append([]string{"lint", "--strict", chart, "--kube-version", newest}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("helm lint %v: %v\n%s", args, err, out)
		}
	}
}
