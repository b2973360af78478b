package crds

import "slices"

// addedRules lists the CEL rules that the table of fields does not have: path,
// message.
func addedRules() []string {
	rules := []string{
		"Challenge .spec: challenge spec is immutable after creation",
		"Order .spec.duration: must be a Go duration such as 2160h, and not negative",
		"Order .spec.request: field is immutable once set",
		"Challenge .status.presentedAt: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Order .status.failureTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"CertificateRequest .status.failureTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"CertificateRequest .status.conditions[].lastTransitionTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Order .status: field is immutable once set",
		"Order .status: field is immutable once set",
		"Order .status: field is immutable once set",
		"Order .status: field is immutable once set",
		"Order .status.authorizations: field is immutable once set",
		"Order .status.authorizations: field is immutable once set",
		"CertificateRequest : cannot change spec after creation",
		"CertificateRequest : 'Approved' and 'Denied' conditions may not be removed once set",
		"CertificateRequest .spec: cannot change spec after creation",
		"CertificateRequest .spec.duration: must be a Go duration such as 2160h, and not negative",
		"CertificateRequest .spec.issuerRef: must be specified",
		"CertificateRequest .spec.issuerRef: must be one of Issuer or ClusterIssuer",
		"CertificateRequest .status.conditions: both 'Denied' and 'Approved' conditions cannot coexist",
		"CertificateRequest .status.conditions: 'Approved' condition may not be modified once set",
		"CertificateRequest .status.conditions: 'Denied' condition may not be modified once set",
		`CertificateRequest .status.conditions[]: "Approved" condition may only be set to True`,
		`CertificateRequest .status.conditions[]: "Denied" condition may only be set to True`,
		"Certificate .spec: at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set",
		"Certificate .spec: When providing a `LiteralSubject` no `commonName` may be provided.",
		"Certificate .spec: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		"Certificate .spec: renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set",
		"Certificate .spec: certificate duration must be greater than renewBefore",
		"Certificate .spec: for this key algorithm another signature algorithm is needed",
		"Certificate .spec: isCA should be true when nameConstraints is set",
		"Certificate .spec.additionalOutputFormats: each type may be listed only once",
		"Certificate .spec.commonName: may not be more than 64 bytes",
		"Certificate .spec.duration: certificate duration must be greater than 1h0m0s",
		"Certificate .spec.issuerRef: must be specified",
		"Certificate .spec.issuerRef: must be one of Issuer or ClusterIssuer",
		"Certificate .spec.keystores.jks: exactly one of passwordSecretRef and password must be provided for JKS keystores; cannot set both",
		"Certificate .spec.keystores.jks: must set exactly one of passwordSecretRef and password must for JKS keystores",
		"Certificate .spec.keystores.jks.password: literal password cannot be empty if set on JKS keystores",
		"Certificate .spec.keystores.pkcs12: exactly one of passwordSecretRef and password must be provided for PKCS#12 keystores; cannot set both",
		"Certificate .spec.keystores.pkcs12: must set exactly one of passwordSecretRef and password must for PKCS#12 keystores",
		"Certificate .spec.keystores.pkcs12.password: literal password cannot be empty if set on PKCS#12 keystores",
		"Certificate .spec.nameConstraints: either permitted or excluded must be set",
		"Certificate .spec.otherNames[]: must be specified",
		"Certificate .spec.otherNames[]: must be set to a valid non-empty UTF8 string",
		"Certificate .spec.privateKey: must be between 2048 and 8192 for rsa keyAlgorithm",
		`Certificate .spec.privateKey: supported values: "256", "384", "521"`,
		"Certificate .spec.renewBefore: certificate renewBefore must be greater than 5m0s",
		"Certificate .spec.renewal: windows cannot be set when `renewal.policy` is set to Disabled",
		"Certificate .spec.renewal.windows[].windowDuration: windowDuration must be specified and should be greater than 0",
		"Certificate .spec.revisionHistoryLimit: must not be less than 1",
		"Certificate .spec.secretName: must be specified",
		"Certificate .spec.secretName: must be a lowercase RFC 1123 subdomain: at most 253 lower case letters, digits, '-' and '.', beginning and ending each label with a letter or digit",
		"Certificate .spec.secretTemplate.annotations: cert-manager.io/* annotations are not allowed",
		"Certificate .status.acme.ari.lastChecked: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.acme.ari.nextCheck: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.acme.ari.suggestedWindow.end: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.acme.ari.suggestedWindow.start: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.conditions[].lastTransitionTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.lastFailureTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.notAfter: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.notBefore: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
		"Certificate .status.renewalTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
	}
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		for _, rule := range issuerRules {
			rules = append(rules, kind+" "+rule)
		}
	}
	for _, path := range []string{"Issuer .spec.acme.solvers[]", "ClusterIssuer .spec.acme.solvers[]", "Challenge .spec.solver"} {
		for _, rule := range solverRules {
			rules = append(rules, path+rule)
		}
	}
	slices.Sort(rules)
	return rules
}

var issuerRules = []string{
	".spec: may not specify more than one issuer type",
	".spec: at least one issuer must be configured",
	".spec.acme: caBundle and skipTLSVerify are mutually exclusive and cannot both be set",
	".spec.acme.externalAccountBinding.keyID: must be specified",
	".spec.acme.externalAccountBinding.keySecretRef: secret name is required",
	".spec.acme.externalAccountBinding.keySecretRef: secret key is required",
	".spec.acme.privateKeySecretRef: private key secret name is a required field",
	".spec.acme.server: acme server URL is a required field",
	".spec.ca.crlDistributionPoints[]: must not be empty",
	".spec.ca.issuingCertificateURLs[]: must not be empty",
	".spec.ca.ocspServers[]: must not be empty",
	".spec.ca.secretName: must be specified",
	".spec.selfSigned.crlDistributionPoints[]: must not be empty",
	".spec.vault: specified caBundle and caBundleSecretRef cannot be used together",
	".spec.vault: clientCertSecretRef and clientKeySecretRef must be set together",
	".spec.vault.auth: please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws",
	".spec.vault.auth.appRole.path: must not contain a '..' path segment",
	".spec.vault.auth.aws.mountPath: must not contain a '..' path segment",
	".spec.vault.auth.clientCertificate.mountPath: must not contain a '..' path segment",
	".spec.vault.auth.kubernetes.mountPath: must not contain a '..' path segment",
	".spec.vault.path: must not contain a '..' path segment",
	".spec.vault.path: must be specified",
	".spec.vault.server: must be specified",
	".spec.venafi.ngts.credentialsRef: must be specified",
	".spec.venafi.ngts.tsgID: must be specified",
	".spec.venafi.tpp: specified caBundle and caBundleSecretRef cannot be used together",
	".spec.venafi.tpp.credentialsRef: must be specified",
	".spec.venafi.tpp.url: must be specified",
	".spec.venafi.zone: must be specified",
	".status.conditions[].lastTransitionTime: must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z",
}

var solverRules = []string{
	": no solver type configured",
	": may not specify more than one solver type in a single solver",
	".dns01: no DNS01 provider configured",
	".dns01: may not specify more than one provider type",
	".dns01.webhook.solverName: solver name must be specified",
	".http01: no HTTP01 solver type configured",
	".http01: only 1 HTTP01 solver type may be configured",
	`.http01.gatewayHTTPRoute.serviceType: must be empty, "ClusterIP" or "NodePort"`,
	".http01.ingress: only one of 'ingressClassName', 'name' or 'class' should be specified",
	`.http01.ingress.serviceType: must be empty, "ClusterIP" or "NodePort"`,
	".waitInsteadOfSelfCheck: waitInsteadOfSelfCheck must not be negative",
}
