package configfile

import "maps"

// shared are the fields that the files of all programs have.
var shared = map[string]string{
	"enablePprof":                              "enable-profiling",
	"featureGates":                             "feature-gates",
	"kubeConfig":                               "kubeconfig",
	"logging.flushFrequency":                   "log-flush-frequency",
	"logging.format":                           "logging-format",
	"logging.options.json.infoBufferSize":      "log-json-info-buffer-size",
	"logging.options.json.splitStream":         "log-json-split-stream",
	"logging.options.text.infoBufferSize":      "log-text-info-buffer-size",
	"logging.options.text.splitStream":         "log-text-split-stream",
	"logging.verbosity":                        "v",
	"logging.vmodule":                          "vmodule",
	"metricsListenAddress":                     "metrics-listen-address",
	"metricsTLSConfig.cipherSuites":            "metrics-tls-cipher-suites",
	"metricsTLSConfig.dynamic.dnsNames":        "metrics-dynamic-serving-dns-names",
	"metricsTLSConfig.dynamic.leafDuration":    "metrics-dynamic-serving-leaf-duration",
	"metricsTLSConfig.dynamic.secretName":      "metrics-dynamic-serving-ca-secret-name",
	"metricsTLSConfig.dynamic.secretNamespace": "metrics-dynamic-serving-ca-secret-namespace",
	"metricsTLSConfig.filesystem.certFile":     "metrics-tls-cert-file",
	"metricsTLSConfig.filesystem.keyFile":      "metrics-tls-private-key-file",
	"metricsTLSConfig.minTLSVersion":           "metrics-tls-min-version",
	"pprofAddress":                             "profiler-address",
}

// leaderElection are the fields of the programs that elect a leader.
var leaderElection = map[string]string{
	"leaderElectionConfig.enabled":       "leader-elect",
	"leaderElectionConfig.leaseDuration": "leader-election-lease-duration",
	"leaderElectionConfig.namespace":     "leader-election-namespace",
	"leaderElectionConfig.renewDeadline": "leader-election-renew-deadline",
	"leaderElectionConfig.retryPeriod":   "leader-election-retry-period",
}

// sizes are the fields of the programs that read certificates.
var sizes = map[string]string{
	"pemSizeLimitsConfig.maxBundleSize":      "max-certificate-bundle-size",
	"pemSizeLimitsConfig.maxCertificateSize": "max-certificate-size",
	"pemSizeLimitsConfig.maxChainLength":     "max-certificate-chain-length",
	"pemSizeLimitsConfig.maxPrivateKeySize":  "max-private-key-size",
}

// Controller is the file of the controllers.
var Controller = Kind{"controller.config.cert-manager.io/v1alpha1", "ControllerConfiguration", fields(shared, leaderElection, sizes, map[string]string{
	"acmeDNS01Config.checkRetryPeriod":             "dns01-check-retry-period",
	"acmeDNS01Config.recursiveNameservers":         "dns01-recursive-nameservers",
	"acmeDNS01Config.recursiveNameserversOnly":     "dns01-recursive-nameservers-only",
	"acmeHTTP01Config.responderAddresses":          "acme-http01-responder-addresses",
	"acmeHTTP01Config.responderListenAddress":      "acme-http01-responder-listen-address",
	"acmeHTTP01Config.responderService":            "acme-http01-responder-service",
	"acmeHTTP01Config.solverExtraLabels":           "acme-http01-solver-extra-labels",
	"acmeHTTP01Config.solverImage":                 "acme-http01-solver-image",
	"acmeHTTP01Config.solverMode":                  "acme-http01-solver-mode",
	"acmeHTTP01Config.solverNameservers":           "acme-http01-solver-nameservers",
	"acmeHTTP01Config.solverResourceLimitsCPU":     "acme-http01-solver-resource-limits-cpu",
	"acmeHTTP01Config.solverResourceLimitsMemory":  "acme-http01-solver-resource-limits-memory",
	"acmeHTTP01Config.solverResourceRequestCPU":    "acme-http01-solver-resource-request-cpu",
	"acmeHTTP01Config.solverResourceRequestMemory": "acme-http01-solver-resource-request-memory",
	"acmeHTTP01Config.solverRunAsNonRoot":          "acme-http01-solver-run-as-non-root",
	"acmeHTTP01Config.solverRuntimeClassName":      "acme-http01-solver-runtime-class-name",
	"apiServerHost": "master",
	"certificateRequestMaximumBackoffDuration":            "certificate-request-maximum-backoff-duration",
	"certificateRequestMinimumBackoffDuration":            "certificate-request-minimum-backoff-duration",
	"clusterIssuerAmbientCredentials":                     "cluster-issuer-ambient-credentials",
	"clusterResourceNamespace":                            "cluster-resource-namespace",
	"controllers":                                         "controllers",
	"copiedAnnotationPrefixes":                            "copied-annotation-prefixes",
	"enableCertificateOwnerRef":                           "enable-certificate-owner-ref",
	"enableGatewayAPI":                                    "enable-gateway-api",
	"enableGatewayAPIListenerSet":                         "enable-gateway-api-listenerset",
	"gatewayAPI.enableListenerSet":                        "enable-gateway-api-listenerset",
	"gatewayAPI.enabled":                                  "enable-gateway-api",
	"gatewayAPI.extraProtocols":                           "gateway-api-extra-protocols",
	"healthzListenAddress":                                "internal-healthz-listen-address",
	"ingressShimConfig.defaultAutoCertificateAnnotations": "auto-certificate-annotations",
	"ingressShimConfig.defaultIssuerGroup":                "default-issuer-group",
	"ingressShimConfig.defaultIssuerKind":                 "default-issuer-kind",
	"ingressShimConfig.defaultIssuerName":                 "default-issuer-name",
	"ingressShimConfig.extraCertificateAnnotations":       "extra-certificate-annotations",
	"issuerAmbientCredentials":                            "issuer-ambient-credentials",
	"kubernetesAPIBurst":                                  "kube-api-burst",
	"kubernetesAPIQPS":                                    "kube-api-qps",
	"leaderElectionConfig.healthzTimeout":                 "internal-healthz-leader-election-timeout",
	"maxConcurrentChallenges":                             "max-concurrent-challenges",
	"namespace":                                           "namespace",
	"numberOfConcurrentWorkers":                           "concurrent-workers",
})}

// Webhook is the file of the webhook.
var Webhook = Kind{"webhook.config.cert-manager.io/v1alpha1", "WebhookConfiguration", fields(shared, sizes, map[string]string{
	"apiServerHost":                     "api-server-host",
	"clientCAPath":                      "client-ca-path",
	"clientCertificateSubjects":         "client-subject-names",
	"enableClientVerification":          "enable-client-verification",
	"healthzPort":                       "healthz-port",
	"securePort":                        "secure-port",
	"tlsConfig.cipherSuites":            "tls-cipher-suites",
	"tlsConfig.dynamic.dnsNames":        "dynamic-serving-dns-names",
	"tlsConfig.dynamic.leafDuration":    "dynamic-serving-leaf-duration",
	"tlsConfig.dynamic.secretName":      "dynamic-serving-ca-secret-name",
	"tlsConfig.dynamic.secretNamespace": "dynamic-serving-ca-secret-namespace",
	"tlsConfig.filesystem.certFile":     "tls-cert-file",
	"tlsConfig.filesystem.keyFile":      "tls-private-key-file",
	"tlsConfig.minTLSVersion":           "tls-min-version",
})}

// CAInjector is the file of the cainjector.
var CAInjector = Kind{"cainjector.config.cert-manager.io/v1alpha1", "CAInjectorConfiguration", fields(shared, leaderElection, map[string]string{
	"enableDataSourceConfig.certificates":                    "enable-certificates-data-source",
	"enableInjectableConfig.apiServices":                     "enable-apiservices-injectable",
	"enableInjectableConfig.customResourceDefinitions":       "enable-customresourcedefinitions-injectable",
	"enableInjectableConfig.mutatingWebhookConfigurations":   "enable-mutatingwebhookconfigurations-injectable",
	"enableInjectableConfig.validatingWebhookConfigurations": "enable-validatingwebhookconfigurations-injectable",
	"ignoreNamespaces": "ignore-namespaces",
	"namespace":        "namespace",
})}

// files are the flags whose values are paths. In a file, they are relative to its
// folder.
var files = []string{"kubeconfig", "metrics-tls-cert-file", "metrics-tls-private-key-file", "tls-cert-file", "tls-private-key-file", "client-ca-path"}

func fields(groups ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, group := range groups {
		maps.Copy(all, group)
	}
	return all
}
