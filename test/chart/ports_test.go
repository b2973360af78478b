package chart

import "testing"

const (
	inPorts    = "#" + inController + "ports"
	inLiveness = "#" + inController + "livenessProbe"
	scraped    = podAnnotations + "[prometheus.io/port]"
)

// portValues hold that containers, Services, probes, annotations, monitors and network
// policies follow the ports that the processes listen on. The names of the ports and the
// ports of the Services do not change.
var portValues = map[string]changes{
	"ports in configuration files": {`
config: {metricsListenAddress: "0.0.0.0:9500", healthzListenAddress: ":9600"}
webhook: {config: {metricsListenAddress: "[::]:9501", healthzPort: 6081}}
cainjector: {config: {metricsListenAddress: "0.0.0.0:9502"}}
`, map[string]string{
		controller + inPorts:                         "[{name: http-metrics, containerPort: 9500, protocol: TCP}, {name: http-healthz, containerPort: 9600, protocol: TCP}, {name: http-solver, containerPort: 8089, protocol: TCP}]",
		controller + inLiveness + ".httpGet":         "{port: http-healthz, path: /livez, scheme: HTTP}",
		controller + scraped:                         `"9500"`,
		"Service/cert-manager#spec.ports":            "[{name: http-metrics, port: 9402, protocol: TCP, targetPort: http-metrics}]",
		webhook + inPorts:                            "[{name: https, containerPort: 10250, protocol: TCP}, {name: healthcheck, containerPort: 6081, protocol: TCP}, {name: http-metrics, containerPort: 9501, protocol: TCP}]",
		webhook + inLiveness + ".httpGet":            "{port: healthcheck, path: /livez, scheme: HTTP}",
		webhook + scraped:                            `"9501"`,
		"Service/cert-manager-webhook#spec.ports":    "[{name: https, port: 443, protocol: TCP, targetPort: https}, {name: metrics, port: 9402, protocol: TCP, targetPort: http-metrics}]",
		cainjector + inPorts:                         "[{name: http-metrics, containerPort: 9502, protocol: TCP}]",
		cainjector + scraped:                         `"9502"`,
		"Service/cert-manager-cainjector#spec.ports": "[{name: http-metrics, port: 9402, protocol: TCP, targetPort: http-metrics}]",
	}},
	"ports in arguments win, the last one": {`
config: {metricsListenAddress: "0.0.0.0:9500", healthzListenAddress: "0.0.0.0:9600"}
extraArgs: [--metrics-listen-address=0.0.0.0:1, "--metrics-listen-address=$(POD_IP):9700", --internal-healthz-listen-address, ":9800"]
webhook: {config: {securePort: 9443}, extraArgs: [--secure-port=9444, --healthz-port, "6082", --metrics-listen-address=:9701]}
cainjector: {extraArgs: [--metrics-listen-address=:9702, --enable-apiservices-injectable=false]}
`, map[string]string{
		controller + inPorts: "[{name: http-metrics, containerPort: 9700, protocol: TCP}, {name: http-healthz, containerPort: 9800, protocol: TCP}, {name: http-solver, containerPort: 8089, protocol: TCP}]",
		controller + scraped: `"9700"`,
		webhook + inPorts:    "[{name: https, containerPort: 9444, protocol: TCP}, {name: healthcheck, containerPort: 6082, protocol: TCP}, {name: http-metrics, containerPort: 9701, protocol: TCP}]",
		webhook + scraped:    `"9701"`,
		cainjector + inPorts: "[{name: http-metrics, containerPort: 9702, protocol: TCP}]",
		cainjector + scraped: `"9702"`,
	}},
	"no metrics and no probes": {`
config: {metricsListenAddress: "0", healthzListenAddress: "0"}
webhook: {config: {metricsListenAddress: "0", healthzPort: 0}}
cainjector: {extraArgs: [--metrics-listen-address=0]}
acmesolver: {mode: pod}
`, map[string]string{
		controller + inPorts:                            "null",
		controller + inLiveness:                         "null",
		controller + podAnnotations:                     "null",
		"Service/cert-manager#absent":                   "",
		webhook + inPorts:                               "[{name: https, containerPort: 10250, protocol: TCP}]",
		webhook + inLiveness:                            "null",
		webhook + "#" + inController + "readinessProbe": "null",
		webhook + podAnnotations:                        "null",
		"Service/cert-manager-webhook#spec.ports":       "[{name: https, port: 443, protocol: TCP, targetPort: https}]",
		cainjector + inPorts:                            "null",
		cainjector + podAnnotations:                     "null",
		"Service/cert-manager-cainjector#absent":        "",
	}},
	"empty addresses and other arguments are the default": {`
config: {metricsListenAddress: "", healthzListenAddress: null}
extraArgs: [--metrics-listen-address-of-another=1:2]
`, map[string]string{
		controller + inPorts: "[{name: http-metrics, containerPort: 9402, protocol: TCP}, {name: http-healthz, containerPort: 9403, protocol: TCP}, {name: http-solver, containerPort: 8089, protocol: TCP}]",
	}},
	"ports that only the pod knows are taken for the default": {`
extraArgs: ["--metrics-listen-address=$(POD_IP):$(METRICS)", --internal-healthz-listen-address=:09600]
webhook: {extraArgs: [--secure-port=$(PORT), --healthz-port=$(HEALTH)]}
`, map[string]string{
		controller + inPorts: "[{name: http-metrics, containerPort: 9402, protocol: TCP}, {name: http-healthz, containerPort: 9600, protocol: TCP}, {name: http-solver, containerPort: 8089, protocol: TCP}]",
		webhook + inPorts:    "[{name: https, containerPort: 10250, protocol: TCP}, {name: healthcheck, containerPort: 6080, protocol: TCP}, {name: http-metrics, containerPort: 9402, protocol: TCP}]",
	}},
	"monitors and network policies name the ports": {`
config: {metricsListenAddress: "0.0.0.0:9500", healthzListenAddress: "0.0.0.0:9600"}
networkPolicy: {enabled: true}
prometheus: {podmonitor: {enabled: true}}
`, map[string]string{
		controller + inPorts: "[{name: http-metrics, containerPort: 9500, protocol: TCP}, {name: http-healthz, containerPort: 9600, protocol: TCP}, {name: http-solver, containerPort: 8089, protocol: TCP}]",
		"NetworkPolicy/cert-manager-allow-ingress#spec.ingress":   "[{ports: [{port: http-metrics, protocol: TCP}, {port: http-healthz, protocol: TCP}]}, {ports: [{port: http-solver, protocol: TCP}]}]",
		"PodMonitor/cert-manager#spec.podMetricsEndpoints.0.port": "http-metrics",
	}},
	"on the host network": {`
webhook: {hostNetwork: true, securePort: 10260, config: {healthzPort: 6081, metricsListenAddress: "0.0.0.0:9500"}}
`, map[string]string{
		webhook + inPorts: "[{name: https, containerPort: 10260, protocol: TCP}, {name: healthcheck, containerPort: 6081, protocol: TCP}, {name: http-metrics, containerPort: 9500, protocol: TCP}]",
		webhook + scraped: `"9500"`,
	}},
}

// TestPortsOfTheHost holds that a PodSecurityPolicy allows the ports that pods on the host
// network have, and no others.
func TestPortsOfTheHost(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"{hostNetwork: true}":  "[{min: 10250, max: 10250}, {min: 6080, max: 6080}, {min: 9402, max: 9402}]",
		"{hostNetwork: false}": "null",
		`{hostNetwork: true, config: {securePort: 9443, healthzPort: 0, metricsListenAddress: ":9500"}}`: "[{min: 9443, max: 9443}, {min: 9500, max: 9500}]",
	} {
		all := rendering{values: "{global: {podSecurityPolicy: {enabled: true}}, webhook: " + values + "}", kube: "1.24"}.render(t)
		equal(t, values, want, all.get(t, "PodSecurityPolicy/cert-manager-webhook", "spec.hostPorts"))
	}
}
