package validationtest

import (
	"fmt"
	"strings"
)

const brokenCertificate = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"

// issuerCases are for the spec of an issuer, in an object that wrap makes.
func issuerCases(wrap func(string) string) map[string]Case {
	const (
		more  = ": Forbidden: may not specify more than one issuer type"
		dots  = "must not contain '..' path segments"
		must  = ": Required value: must be specified"
		token = `tokenSecretRef: {name: a}`
	)
	acme := func(fields string) string {
		return wrap(`acme: {server: "https://a", privateKeySecretRef: {name: a}, ` + fields + `}`)
	}
	binding := func(fields string) string { return acme(`externalAccountBinding: {` + fields + `}`) }
	vault := func(fields, auth string) string {
		return wrap(`vault: {server: "https://a", path: pki/sign/a, ` + fields + ` auth: {` + auth + `}}`)
	}
	tpp := func(fields string) string { return wrap(`venafi: {zone: a, tpp: {` + fields + `}}`) }
	ngts := func(fields string) string { return wrap(`venafi: {zone: a, ngts: {` + fields + `}}`) }
	up := func(at, value string) string { return `spec.vault.` + at + `: Invalid value: "` + value + `": ` + dots }
	const exclusive = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set"
	const noCertificates = ": cert bundle didn't contain any valid certificates"
	brokenBundle := Encoded(brokenCertificate)
	return map[string]Case{
		"none":           {Object: wrap(``), Refusal: "spec: Required value: at least one issuer must be configured"},
		"two":            {Object: wrap(`selfSigned: {}, ca: {secretName: ""}`), Refusal: "[spec.ca.secretName" + must + ", spec.selfSigned" + more + "]"},
		"all":            {Object: wrap(`selfSigned: {}, acme: {server: a, privateKeySecretRef: {name: a}}, ca: {secretName: ""}, vault: {server: "", path: "", auth: {}}, venafi: {zone: "", cloud: {apiTokenSecretRef: {name: a}}}`), Refusal: "[spec.ca" + more + ", spec.selfSigned" + more + ", spec.vault" + more + ", spec.venafi" + more + "]"},
		"self-signed":    {Object: wrap(`selfSigned: {crlDistributionPoints: ["http://a", ""]}`)},
		"CA":             {Object: wrap(`ca: {secretName: a, crlDistributionPoints: [a, ""], ocspServers: [a], issuingCertificateURLs: [a]}`)},
		"CA, no Secret":  {Object: wrap(`ca: {secretName: ""}`), Refusal: "spec.ca.secretName" + must},
		"CA, empty OCSP": {Object: wrap(`ca: {secretName: a, ocspServers: [a, ""]}`), Refusal: `spec.ca.ocspServer[1]: Invalid value: "": must be a valid URL, e.g., http://ocsp.int-x3.letsencrypt.org`},
		"CA, empty URL":  {Object: wrap(`ca: {secretName: a, issuingCertificateURLs: [""]}`), Refusal: `spec.ca.issuingCertificateURLs[0]: Invalid value: "": must be a valid URL`},

		"ACME":               {Object: acme(`email: a@a.example, caBundle: ` + Bundle + `, skipTLSVerify: false`)},
		"ACME, no server":    {Object: wrap(`acme: {server: "", privateKeySecretRef: {name: a}}`), Refusal: "spec.acme.server: Required value: acme server URL is a required field"},
		"ACME, no Secret":    {Object: wrap(`acme: {server: a, privateKeySecretRef: {name: ""}}`), Refusal: "spec.acme.privateKeySecretRef.name: Required value: private key secret name is a required field"},
		"ACME, no check":     {Object: acme(`skipTLSVerify: true`)},
		"ACME, two checks":   {Object: acme(`caBundle: ` + Bundle + `, skipTLSVerify: true`), Refusal: `[spec.acme.caBundle: Invalid value: "": ` + exclusive + `, spec.acme.skipTLSVerify: Invalid value: true: ` + exclusive + `]`},
		"ACME, empty bundle": {Object: acme(`caBundle: ` + CSR), Refusal: `spec.acme.caBundle: Invalid value: ""` + noCertificates},
		"ACME, broken bundle": {
			Object: acme(`caBundle: ` + brokenBundle), Refusal: `spec.acme.caBundle: Invalid value: ""` + noCertificates, Beyond: &Beyond{Limit: Bundles},
		},
		"Vault, broken bundle": {
			Object: vault(`caBundle: `+brokenBundle+`,`, token), Refusal: `spec.vault.caBundle: Invalid value: "<snip>"` + noCertificates, Beyond: &Beyond{Limit: Bundles},
		},
		"ACME, one certificate of two": {Object: acme(`caBundle: ` + Encoded(brokenCertificate+certificatePEM()))},
		"binding":                      {Object: binding(`keyID: a, keySecretRef: {name: a, key: a}`)},
		"binding, algorithm": {
			Object:   binding(`keyID: a, keySecretRef: {name: a, key: a}, keyAlgorithm: HS512`),
			Warnings: []string{"ACME issuer spec field 'externalAccount.keyAlgorithm' is deprecated. The value of this field will be ignored."},
		},
		"binding, nothing": {Object: binding(`keyID: "", keySecretRef: {name: ""}`), Refusal: "[spec.acme.externalAccountBinding.keyID: Required value: the keyID field is required when using externalAccountBinding, spec.acme.externalAccountBinding.keySecretRef.name: Required value: secret name is required, spec.acme.externalAccountBinding.keySecretRef.key: Required value: secret key is required]"},

		"Vault":                   {Object: vault(`clientCertSecretRef: {name: a}, clientKeySecretRef: {name: a}, caBundleSecretRef: {name: a},`, token)},
		"Vault, dotted path":      {Object: wrap(`vault: {server: a, path: a..b/.c/..., auth: {` + token + `}}`)},
		"Vault, nothing":          {Object: wrap(`vault: {server: "", path: "", auth: {}}`), Refusal: "[spec.vault.server" + must + ", spec.vault.path" + must + ", spec.vault.auth: Required value: please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws]"},
		"Vault, up":               {Object: wrap(`vault: {server: a, path: a/../b, auth: {` + token + `}}`), Refusal: up("path", "a/../b")},
		"Vault, empty bundle":     {Object: vault(`caBundle: YQ==,`, token), Refusal: `spec.vault.caBundle: Invalid value: "<snip>"` + noCertificates},
		"Vault, two bundles":      {Object: vault(`caBundle: `+Bundle+`, caBundleSecretRef: {name: a},`, token), Refusal: `[spec.vault.caBundle: Invalid value: "<snip>": specified caBundle and caBundleSecretRef cannot be used together, spec.vault.caBundleSecretRef: Invalid value: "a": specified caBundleSecretRef and caBundle cannot be used together]`},
		"Vault, no key":           {Object: vault(`clientCertSecretRef: {name: a},`, token), Refusal: `spec.vault.clientKeySecretRef: Invalid value: "<snip>": clientKeySecretRef must be provided when defining the clientCertSecretRef`},
		"Vault, no certificate":   {Object: vault(`clientKeySecretRef: {name: a},`, token), Refusal: `spec.vault.clientCertSecretRef: Invalid value: "<snip>": clientCertSecretRef must be provided when defining the clientKeySecretRef`},
		"Vault, two ways":         {Object: vault(``, token+`, appRole: {path: approle, roleId: a, secretRef: {name: a}}`)},
		"Vault, app role":         {Object: vault(``, `appRole: {path: approle, roleId: a, secretRef: {name: a}}`)},
		"Vault, app role, bad":    {Object: vault(``, `appRole: {path: .., roleId: "", secretRef: {name: ""}}`), Refusal: "[spec.vault.auth.appRole.roleId" + must + ", spec.vault.auth.appRole.secretRef.name" + must + ", " + up("auth.appRole.path", "..") + "]"},
		"Vault, client up":        {Object: vault(``, `clientCertificate: {mountPath: ../a}`), Refusal: up("auth.clientCertificate.path", "../a")},
		"Vault, cluster":          {Object: vault(``, `kubernetes: {role: a, mountPath: /v1/auth/kubernetes, serviceAccountRef: {name: a}}`)},
		"Vault, cluster, Secret":  {Object: vault(``, `kubernetes: {role: a, secretRef: {name: a}}`)},
		"Vault, cluster, nothing": {Object: vault(``, `kubernetes: {role: "", mountPath: a/..}`), Refusal: "[spec.vault.auth.kubernetes.role" + must + ", " + up("auth.kubernetes.path", "a/..") + ", spec.vault.auth.kubernetes: Required value: please supply one of: secretRef, serviceAccountRef]"},
		"Vault, cluster, both":    {Object: vault(``, `kubernetes: {role: a, secretRef: {name: a}, serviceAccountRef: {name: ""}}`), Refusal: "[spec.vault.auth.kubernetes: Forbidden: please supply one of: secretRef, serviceAccountRef, spec.vault.auth.kubernetes.serviceAccountRef.name" + must + "]"},
		"Vault, AWS":              {Object: vault(``, `aws: {role: a, mountPath: a}`)},
		"Vault, AWS, bad":         {Object: vault(``, `aws: {role: a, mountPath: /../a, serviceAccountRef: {name: ""}}`), Refusal: "[" + up("auth.aws.mountPath", "/../a") + ", spec.vault.auth.aws.serviceAccountRef.name" + must + ", spec.vault.auth.aws.iamRoleArn: Required value: iamRoleArn is required when using serviceAccountRef for IRSA]"},

		"self-hosted":                 {Object: tpp(`url: a, credentialsRef: {name: ""}, caBundle: YQ==`)},
		"self-hosted, no URL or zone": {Object: wrap(`venafi: {zone: "", tpp: {url: "", credentialsRef: {name: a}}}`), Refusal: "[spec.venafi.zone" + must + ", spec.venafi.tpp.url" + must + "]"},
		"self-hosted, two bundles":    {Object: tpp(`url: a, credentialsRef: {name: a}, caBundle: YQ==, caBundleSecretRef: {name: a}`), Refusal: "spec.venafi.tpp: Forbidden: may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle"},
		"SaaS":                        {Object: wrap(`venafi: {zone: a, cloud: {apiTokenSecretRef: {name: a}}}`)},
		"NGTS":                        {Object: ngts(`tsgID: a, credentialsRef: {name: a}`)},
		"NGTS, nothing":               {Object: ngts(`tsgID: "", credentialsRef: {name: ""}`), Refusal: "[spec.venafi.ngts.tsgID" + must + ", spec.venafi.ngts.credentialsRef.name" + must + "]"},

		"changed otherwise": {Stored: wrap(`selfSigned: {}`), Object: wrap(`ca: {secretName: ""}`), Refusal: "spec.ca.secretName" + must},
		"status":            {Stored: wrap(`selfSigned: {}`), Object: WithStatus(wrap(`selfSigned: {}`), `conditions: [{type: Ready, status: "True"}]`)},
	}
}

// WithSolver is an Issuer with a solver, after one that keeps all rules.
func WithSolver(solver string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {},
		spec: {acme: {server: "https://a", privateKeySecretRef: {name: a}, solvers: [{http01: {ingress: {}}}, {` + solver + `}]}}}`
}

// SolverAt is the path of the solver of WithSolver.
const SolverAt = "spec.acme.solvers[1]"

func solverCases() map[string]Case {
	const (
		onlyOne = SolverAt + ".http01.ingress: Forbidden: only one of 'ingressClassName', 'name' or 'class' should be specified"
		service = `must be empty, "ClusterIP" or "NodePort"`
	)
	return map[string]Case{
		"none":               {Object: WithSolver(`selector: {}`), Refusal: SolverAt + ": Required value: no solver type configured"},
		"both":               {Object: WithSolver(`http01: {ingress: {}}, dns01: {}`), Refusal: SolverAt + ": Forbidden: may not specify more than one solver type in a single solver"},
		"many":               {Object: WithSolver(`dns01: {route53: {}}}, ` + strings.Repeat(`{http01: {ingress: {ingressClassName: a}}}, {dns01: {rfc2136: {nameserver: ns.example.com}}}, `, 1000) + `{dns01: {route53: {}}`)},
		"wait":               {Object: WithSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 0s`)},
		"negative wait":      {Object: WithSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: -1s`), Refusal: SolverAt + `.waitInsteadOfSelfCheck: Invalid value: "-1s": waitInsteadOfSelfCheck must not be negative`},
		"no HTTP-01":         {Object: WithSolver(`http01: {}`), Refusal: SolverAt + ".http01: Required value: no HTTP01 solver type configured"},
		"both HTTP-01":       {Object: WithSolver(`http01: {ingress: {}, gatewayHTTPRoute: {}}`), Refusal: SolverAt + ".http01: Required value: only 1 HTTP01 solver type may be configured"},
		"Ingress class":      {Object: WithSolver(`http01: {ingress: {ingressClassName: a, name: ""}}`)},
		"bad Ingress class":  {Object: WithSolver(`http01: {ingress: {ingressClassName: A}}`), Refusal: SolverAt + `.http01.ingress.ingressClassName: Invalid value: "A": must be a valid IngressClass name: ` + subdomain},
		"old Ingress class":  {Object: WithSolver(`http01: {ingress: {class: a, name: "", serviceType: ClusterIP}}`)},
		"Ingress name":       {Object: WithSolver(`http01: {ingress: {name: a, serviceType: ""}}`)},
		"two classes":        {Object: WithSolver(`http01: {ingress: {ingressClassName: a, class: a}}`), Refusal: onlyOne},
		"class and name":     {Object: WithSolver(`http01: {ingress: {class: a, name: a}}`), Refusal: onlyOne},
		"new class and name": {Object: WithSolver(`http01: {ingress: {ingressClassName: a, name: a}}`), Refusal: onlyOne},
		"Ingress service":    {Object: WithSolver(`http01: {ingress: {serviceType: LoadBalancer}}`), Refusal: SolverAt + `.http01.ingress.serviceType: Invalid value: "LoadBalancer": ` + service},
		"Gateway":            {Object: WithSolver(`http01: {gatewayHTTPRoute: {serviceType: NodePort, labels: {a: b}, parentRefs: []}}`)},
		"Gateway service":    {Object: WithSolver(`http01: {gatewayHTTPRoute: {serviceType: a}}`), Refusal: SolverAt + `.http01.gateway.serviceType: Invalid value: "a": ` + service},
	}
}

// templateCases are about templates for what is made for a challenge, which the API server
// would refuse.
func templateCases() map[string]Case {
	const (
		value = `"a/b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`
		key   = `"a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
	)
	cases := map[string]Case{}
	for path, test := range map[string]struct{ solver, kind string }{
		"ingress.ingressTemplate.metadata.":      {`ingress: {ingressTemplate: {metadata: {%s}}}`, "Ingress"},
		"ingress.podTemplate.metadata.":          {`ingress: {podTemplate: {metadata: {%s}}}`, "Pod"},
		"gatewayHTTPRoute.podTemplate.metadata.": {`gatewayHTTPRoute: {podTemplate: {metadata: {%s}}}`, "Pod"},
		"gatewayHTTPRoute.":                      {`gatewayHTTPRoute: {%s}`, "HTTPRoute"},
	} {
		of := func(fields, refusal string) Case {
			if refusal != "" {
				refusal = SolverAt + ".http01." + path + refusal
			}
			return Case{Object: WithSolver(fmt.Sprintf(`http01: {`+test.solver+`}`, fields)), Refusal: refusal}
		}
		cases[path+"good labels"] = of(`labels: {a.example/b: c}`, "")
		// Istio has had such a label: "namespace/name" of a Gateway.
		cases[path+"label with a slash"] = of(`labels: {a: a/b}`, "labels: Invalid value: "+value)
		cases[path+"label key"] = of(`labels: {a b: a}`, "labels: Invalid value: "+key)
		if test.kind != "HTTPRoute" {
			cases[path+"good annotations"] = of(`annotations: {A.example/B: a/b c}`, "")
			cases[path+"annotation key"] = of(`annotations: {A B: a}`, "annotations: Invalid value: "+strings.Replace(key, "a b", "A B", 1))
		}
	}
	return cases
}
