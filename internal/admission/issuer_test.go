package admission

import "strings"

// bundle is a caBundle that has a certificate, as far as CEL can see.
var bundle = encoded("# a comment\n-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n")

// issuerCases are for the spec of an issuer, in an object that wrap makes.
func issuerCases(wrap func(string) string) map[string]ruleCase {
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
	return map[string]ruleCase{
		"none":           {object: wrap(``), refusal: "spec: Required value: at least one issuer must be configured"},
		"two":            {object: wrap(`selfSigned: {}, ca: {secretName: ""}`), refusal: "[spec.ca.secretName" + must + ", spec.selfSigned" + more + "]"},
		"all":            {object: wrap(`selfSigned: {}, acme: {server: a, privateKeySecretRef: {name: a}}, ca: {secretName: ""}, vault: {server: "", path: "", auth: {}}, venafi: {zone: "", cloud: {apiTokenSecretRef: {name: a}}}`), refusal: "[spec.ca" + more + ", spec.selfSigned" + more + ", spec.vault" + more + ", spec.venafi" + more + "]"},
		"self-signed":    {object: wrap(`selfSigned: {crlDistributionPoints: ["http://a", ""]}`)},
		"CA":             {object: wrap(`ca: {secretName: a, crlDistributionPoints: [a, ""], ocspServers: [a], issuingCertificateURLs: [a]}`)},
		"CA, no Secret":  {object: wrap(`ca: {secretName: ""}`), refusal: "spec.ca.secretName" + must},
		"CA, empty OCSP": {object: wrap(`ca: {secretName: a, ocspServers: [a, ""]}`), refusal: `spec.ca.ocspServer[1]: Invalid value: "": must be a valid URL, e.g., http://ocsp.int-x3.letsencrypt.org`},
		"CA, empty URL":  {object: wrap(`ca: {secretName: a, issuingCertificateURLs: [""]}`), refusal: `spec.ca.issuingCertificateURLs[0]: Invalid value: "": must be a valid URL`},

		"ACME":               {object: acme(`email: a@a.example, caBundle: ` + bundle + `, skipTLSVerify: false`)},
		"ACME, no server":    {object: wrap(`acme: {server: "", privateKeySecretRef: {name: a}}`), refusal: "spec.acme.server: Required value: acme server URL is a required field"},
		"ACME, no Secret":    {object: wrap(`acme: {server: a, privateKeySecretRef: {name: ""}}`), refusal: "spec.acme.privateKeySecretRef.name: Required value: private key secret name is a required field"},
		"ACME, no check":     {object: acme(`skipTLSVerify: true`)},
		"ACME, two checks":   {object: acme(`caBundle: ` + bundle + `, skipTLSVerify: true`), refusal: `[spec.acme.caBundle: Invalid value: "": ` + exclusive + `, spec.acme.skipTLSVerify: Invalid value: true: ` + exclusive + `]`},
		"ACME, empty bundle": {object: acme(`caBundle: ` + csr), refusal: `spec.acme.caBundle: Invalid value: ""` + noCertificates},
		"binding":            {object: binding(`keyID: a, keySecretRef: {name: a, key: a}, keyAlgorithm: HS512`)},
		"binding, nothing":   {object: binding(`keyID: "", keySecretRef: {name: ""}`), refusal: "[spec.acme.externalAccountBinding.keyID: Required value: the keyID field is required when using externalAccountBinding, spec.acme.externalAccountBinding.keySecretRef.name: Required value: secret name is required, spec.acme.externalAccountBinding.keySecretRef.key: Required value: secret key is required]"},

		"Vault":                   {object: vault(`clientCertSecretRef: {name: a}, clientKeySecretRef: {name: a}, caBundleSecretRef: {name: a},`, token)},
		"Vault, dotted path":      {object: wrap(`vault: {server: a, path: a..b/.c/..., auth: {` + token + `}}`)},
		"Vault, nothing":          {object: wrap(`vault: {server: "", path: "", auth: {}}`), refusal: "[spec.vault.server" + must + ", spec.vault.path" + must + ", spec.vault.auth: Required value: please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws]"},
		"Vault, up":               {object: wrap(`vault: {server: a, path: a/../b, auth: {` + token + `}}`), refusal: up("path", "a/../b")},
		"Vault, empty bundle":     {object: vault(`caBundle: YQ==,`, token), refusal: `spec.vault.caBundle: Invalid value: "<snip>"` + noCertificates},
		"Vault, two bundles":      {object: vault(`caBundle: `+bundle+`, caBundleSecretRef: {name: a},`, token), refusal: `[spec.vault.caBundle: Invalid value: "<snip>": specified caBundle and caBundleSecretRef cannot be used together, spec.vault.caBundleSecretRef: Invalid value: "a": specified caBundleSecretRef and caBundle cannot be used together]`},
		"Vault, no key":           {object: vault(`clientCertSecretRef: {name: a},`, token), refusal: `spec.vault.clientKeySecretRef: Invalid value: "<snip>": clientKeySecretRef must be provided when defining the clientCertSecretRef`},
		"Vault, no certificate":   {object: vault(`clientKeySecretRef: {name: a},`, token), refusal: `spec.vault.clientCertSecretRef: Invalid value: "<snip>": clientCertSecretRef must be provided when defining the clientKeySecretRef`},
		"Vault, two ways":         {object: vault(``, token+`, appRole: {path: approle, roleId: a, secretRef: {name: a}}`)},
		"Vault, app role":         {object: vault(``, `appRole: {path: approle, roleId: a, secretRef: {name: a}}`)},
		"Vault, app role, bad":    {object: vault(``, `appRole: {path: .., roleId: "", secretRef: {name: ""}}`), refusal: "[spec.vault.auth.appRole.roleId" + must + ", spec.vault.auth.appRole.secretRef.name" + must + ", " + up("auth.appRole.path", "..") + "]"},
		"Vault, client up":        {object: vault(``, `clientCertificate: {mountPath: ../a}`), refusal: up("auth.clientCertificate.path", "../a")},
		"Vault, cluster":          {object: vault(``, `kubernetes: {role: a, mountPath: /v1/auth/kubernetes, serviceAccountRef: {name: a}}`)},
		"Vault, cluster, Secret":  {object: vault(``, `kubernetes: {role: a, secretRef: {name: a}}`)},
		"Vault, cluster, nothing": {object: vault(``, `kubernetes: {role: "", mountPath: a/..}`), refusal: "[spec.vault.auth.kubernetes.role" + must + ", " + up("auth.kubernetes.path", "a/..") + ", spec.vault.auth.kubernetes: Required value: please supply one of: secretRef, serviceAccountRef]"},
		"Vault, cluster, both":    {object: vault(``, `kubernetes: {role: a, secretRef: {name: a}, serviceAccountRef: {name: ""}}`), refusal: "[spec.vault.auth.kubernetes: Forbidden: please supply one of: secretRef, serviceAccountRef, spec.vault.auth.kubernetes.serviceAccountRef.name" + must + "]"},
		"Vault, AWS":              {object: vault(``, `aws: {role: a, mountPath: a}`)},
		"Vault, AWS, bad":         {object: vault(``, `aws: {role: a, mountPath: /../a, serviceAccountRef: {name: ""}}`), refusal: "[" + up("auth.aws.mountPath", "/../a") + ", spec.vault.auth.aws.serviceAccountRef.name" + must + ", spec.vault.auth.aws.iamRoleArn: Required value: iamRoleArn is required when using serviceAccountRef for IRSA]"},

		"self-hosted":                 {object: tpp(`url: a, credentialsRef: {name: ""}, caBundle: YQ==`)},
		"self-hosted, no URL or zone": {object: wrap(`venafi: {zone: "", tpp: {url: "", credentialsRef: {name: a}}}`), refusal: "[spec.venafi.zone" + must + ", spec.venafi.tpp.url" + must + "]"},
		"self-hosted, two bundles":    {object: tpp(`url: a, credentialsRef: {name: a}, caBundle: YQ==, caBundleSecretRef: {name: a}`), refusal: "spec.venafi.tpp: Forbidden: may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle"},
		"SaaS":                        {object: wrap(`venafi: {zone: a, cloud: {apiTokenSecretRef: {name: a}}}`)},
		"NGTS":                        {object: ngts(`tsgID: a, credentialsRef: {name: a}`)},
		"NGTS, nothing":               {object: ngts(`tsgID: "", credentialsRef: {name: ""}`), refusal: "[spec.venafi.ngts.tsgID" + must + ", spec.venafi.ngts.credentialsRef.name" + must + "]"},

		"changed otherwise": {stored: wrap(`selfSigned: {}`), object: wrap(`ca: {secretName: ""}`), refusal: "spec.ca.secretName" + must},
		"status":            {stored: wrap(`selfSigned: {}`), object: withStatus(wrap(`selfSigned: {}`), `conditions: [{type: Ready, status: "True"}]`)},
	}
}

// withSolver is an Issuer with a solver, after one that keeps all rules.
func withSolver(solver string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {},
		spec: {acme: {server: "https://a", privateKeySecretRef: {name: a}, solvers: [{http01: {ingress: {}}}, {` + solver + `}]}}}`
}

const solverAt = "spec.acme.solvers[1]"

func solverCases() map[string]ruleCase {
	const (
		onlyOne = solverAt + ".http01.ingress: Forbidden: only one of 'ingressClassName', 'name' or 'class' should be specified"
		service = `must be empty, "ClusterIP" or "NodePort"`
	)
	return map[string]ruleCase{
		"none":               {object: withSolver(`selector: {}`), refusal: solverAt + ": Required value: no solver type configured"},
		"both":               {object: withSolver(`http01: {ingress: {}}, dns01: {}`), refusal: solverAt + ": Forbidden: may not specify more than one solver type in a single solver"},
		"many":               {object: withSolver(`dns01: {route53: {}}}, ` + strings.Repeat(`{http01: {ingress: {ingressClassName: a}}}, {dns01: {rfc2136: {nameserver: ns.example.com}}}, `, 1000) + `{dns01: {route53: {}}`)},
		"wait":               {object: withSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 0s`)},
		"negative wait":      {object: withSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: -1s`), refusal: solverAt + `.waitInsteadOfSelfCheck: Invalid value: "-1s": waitInsteadOfSelfCheck must not be negative`},
		"no HTTP-01":         {object: withSolver(`http01: {}`), refusal: solverAt + ".http01: Required value: no HTTP01 solver type configured"},
		"both HTTP-01":       {object: withSolver(`http01: {ingress: {}, gatewayHTTPRoute: {}}`), refusal: solverAt + ".http01: Required value: only 1 HTTP01 solver type may be configured"},
		"Ingress class":      {object: withSolver(`http01: {ingress: {ingressClassName: a, name: ""}}`)},
		"bad Ingress class":  {object: withSolver(`http01: {ingress: {ingressClassName: A}}`), refusal: solverAt + `.http01.ingress.ingressClassName: Invalid value: "A": must be a valid IngressClass name: ` + subdomain},
		"old Ingress class":  {object: withSolver(`http01: {ingress: {class: a, name: "", serviceType: ClusterIP}}`)},
		"Ingress name":       {object: withSolver(`http01: {ingress: {name: a, serviceType: ""}}`)},
		"two classes":        {object: withSolver(`http01: {ingress: {ingressClassName: a, class: a}}`), refusal: onlyOne},
		"class and name":     {object: withSolver(`http01: {ingress: {class: a, name: a}}`), refusal: onlyOne},
		"new class and name": {object: withSolver(`http01: {ingress: {ingressClassName: a, name: a}}`), refusal: onlyOne},
		"Ingress service":    {object: withSolver(`http01: {ingress: {serviceType: LoadBalancer}}`), refusal: solverAt + `.http01.ingress.serviceType: Invalid value: "LoadBalancer": ` + service},
		"Gateway":            {object: withSolver(`http01: {gatewayHTTPRoute: {serviceType: NodePort, labels: {a: b}, parentRefs: []}}`)},
		"Gateway service":    {object: withSolver(`http01: {gatewayHTTPRoute: {serviceType: a}}`), refusal: solverAt + `.http01.gateway.serviceType: Invalid value: "a": ` + service},
	}
}

func dns01Cases() map[string]ruleCase {
	const (
		at     = solverAt + ".dns01"
		ref    = `{name: a, key: a}`
		noRef  = `{name: ""}`
		server = ".rfc2136.nameserver: Invalid value: "
		form   = `: nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.`
	)
	dns01 := func(fields string) string { return withSolver(`dns01: {` + fields + `}`) }
	required := func(fields ...string) string {
		for i, field := range fields {
			path, detail, _ := strings.Cut(field, " ")
			fields[i] = at + "." + path + ": Required value: " + detail
		}
		if len(fields) == 1 {
			return fields[0]
		}
		return "[" + strings.Join(fields, ", ") + "]"
	}
	key := func(path string) []string {
		return []string{path + ".name secret name is required", path + ".key secret key is required"}
	}
	rfc2136 := func(fields string) string { return dns01(`rfc2136: {nameserver: ns.example.com, ` + fields + `}`) }
	azure := func(fields string) string {
		return dns01(`azureDNS: {subscriptionID: a, resourceGroupName: a, ` + fields + `}`)
	}
	cases := map[string]ruleCase{
		"no provider": {object: dns01(`cnameStrategy: Follow`), refusal: at + ": Required value: no DNS01 provider configured"},
		"resolvers":   {object: dns01(`route53: {}, nameservers: ["192.0.2.1:53", "[2001:db8::1]:53", "https://dns.example/dns-query", "tls://dns.example", "tcp://192.0.2.1:53"]`)},
		"bad resolvers": {
			object: dns01(`route53: {}, nameservers: [192.0.2.1, "https:///dns-query"]`),
			refusal: "[" + at + `.nameservers[0]: Invalid value: "192.0.2.1": must be in the format <ip address>:<port>, ` +
				at + `.nameservers[1]: Invalid value: "https:///dns-query": must be in the format https://<DoH RFC 8484 server address>]`,
		},
		"akamai, nothing": {
			object:  dns01(`akamai: {serviceConsumerDomain: "", clientTokenSecretRef: ` + noRef + `, clientSecretSecretRef: ` + noRef + `, accessTokenSecretRef: ` + noRef + `}`),
			refusal: required(append(append(append(key("akamai.accessToken"), key("akamai.clientSecret")...), key("akamai.clientToken")...), "akamai.serviceConsumerDomain serviceConsumerDomain is required")...),
		},
		"Azure, nothing":        {object: dns01(`azureDNS: {subscriptionID: "", resourceGroupName: ""}`), refusal: required("azureDNS.subscriptionID subscriptionID is required", "azureDNS.resourceGroupName resourceGroupName is required")},
		"Azure, client":         {object: azure(`clientID: a, tenantID: a, clientSecretSecretRef: ` + ref)},
		"Azure, lone client":    {object: azure(`clientID: a`), refusal: required("azureDNS.clientSecretSecretRef clientSecretSecretRef is required", "azureDNS.tenantID tenantID is required")},
		"Azure, lone secret":    {object: azure(`clientSecretSecretRef: ` + noRef), refusal: required("azureDNS.clientID clientID is required", "azureDNS.clientSecretSecretRef.name secret name is required", "azureDNS.clientSecretSecretRef.key secret key is required", "azureDNS.tenantID tenantID is required")},
		"Azure, both":           {object: azure(`clientID: a, tenantID: a, clientSecretSecretRef: ` + ref + `, managedIdentity: {}`), refusal: at + ".azureDNS.managedIdentity: Forbidden: managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID"},
		"Azure, identity":       {object: azure(`managedIdentity: {clientID: a, tenantID: a}`)},
		"Azure, two identities": {object: azure(`managedIdentity: {clientID: a, resourceID: a}`), refusal: at + ".azureDNS.managedIdentity: Forbidden: managedIdentityClientID and managedIdentityResourceID cannot both be specified"},
		"Azure, bad tenant": {object: azure(`managedIdentity: {tenantID: a, resourceID: a}`), refusal: "[" + at + ".azureDNS.managedIdentity: Forbidden: managedIdentityTenantID and managedIdentityResourceID cannot both be specified, " +
			at + ".azureDNS.managedIdentity: Required value: managedIdentityClientID is required when using managedIdentityTenantID]"},
		"cloudDNS, nothing":     {object: dns01(`cloudDNS: {project: "", serviceAccountSecretRef: ` + noRef + `}`), refusal: required(append([]string{"cloudDNS.project project is required"}, key("cloudDNS.serviceAccountSecretRef")...)...)},
		"cloudflare, nothing":   {object: dns01(`cloudflare: {}`), refusal: required("cloudflare apiKeySecretRef or apiTokenSecretRef is required")},
		"cloudflare, key":       {object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + ref + `}`)},
		"cloudflare, no mail":   {object: dns01(`cloudflare: {apiKeySecretRef: ` + ref + `}`), refusal: required("cloudflare.email email is required")},
		"cloudflare, no ref":    {object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + noRef + `}`), refusal: required(key("cloudflare.apiKeySecretRef")...)},
		"cloudflare, both":      {object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + ref + `, apiTokenSecretRef: ` + noRef + `}`), refusal: "[" + strings.Trim(required(key("cloudflare.apiTokenSecretRef")...), "[]") + ", " + at + ".cloudflare: Forbidden: apiKeySecretRef and apiTokenSecretRef cannot both be specified]"},
		"route53":               {object: dns01(`route53: {accessKeyIDSecretRef: ` + ref + `, secretAccessKeySecretRef: ` + noRef + `}`)},
		"route53, two IDs":      {object: dns01(`route53: {accessKeyID: a, accessKeyIDSecretRef: ` + ref + `}`), refusal: required("route53 accessKeyID and accessKeyIDSecretRef cannot both be specified")},
		"route53, no ID":        {object: dns01(`route53: {accessKeyIDSecretRef: ` + noRef + `}`), refusal: required(key("route53.accessKeyIDSecretRef")...)},
		"acmeDNS, nothing":      {object: dns01(`acmeDNS: {host: "", accountSecretRef: ` + noRef + `}`), refusal: required(append(key("acmeDNS.accountSecretRef"), "acmeDNS.host host is required")...)},
		"digitalocean, nothing": {object: dns01(`digitalocean: {tokenSecretRef: ` + noRef + `}`), refusal: required(key("digitalocean.tokenSecretRef")...)},
		"webhook, no solver":    {object: dns01(`webhook: {groupName: "", solverName: ""}`), refusal: required("webhook.solverName solver name must be specified")},

		"rfc2136, no server":  {object: dns01(`rfc2136: {nameserver: ""}`), refusal: required("rfc2136.nameserver nameserver is required")},
		"rfc2136, key":        {object: rfc2136(`tsigKeyName: a, tsigAlgorithm: hmacsha256, tsigSecretSecretRef: ` + ref)},
		"rfc2136, algorithm":  {object: rfc2136(`tsigAlgorithm: hmac-sha256.`), refusal: at + `.rfc2136.tsigAlgorithm: Unsupported value: "hmac-sha256.": supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"`},
		"rfc2136, no secret":  {object: rfc2136(`tsigKeyName: a`), refusal: required(key("rfc2136.tsigSecretSecretRef")...)},
		"rfc2136, no name":    {object: rfc2136(`tsigSecretSecretRef: ` + ref), refusal: required("rfc2136.tsigKeyName tsigKeyName is required")},
		"rfc2136, unused ref": {object: rfc2136(`tsigSecretSecretRef: {name: ""}`)},
	}
	for _, good := range []string{"127.0.0.1", "127.0.0.1:", "127.0.0.1:5353", "dns", "dns:", "dns.example.net", "[2001:db8::1]", "[2001:db8::1]:53"} {
		cases["server "+good] = ruleCase{object: dns01(`rfc2136: {nameserver: "` + good + `"}`)}
	}
	for _, bad := range []string{"2001:db8::1", "[]:53", ":53", ":", "https://192.0.2.1"} {
		cases["server "+bad] = ruleCase{object: dns01(`rfc2136: {nameserver: "` + bad + `"}`), refusal: at + server + `"` + bad + `"` + form}
	}
	providers := []string{
		`akamai: {serviceConsumerDomain: a, clientTokenSecretRef: ` + ref + `, clientSecretSecretRef: ` + ref + `, accessTokenSecretRef: ` + ref + `}`,
		`azureDNS: {subscriptionID: a, resourceGroupName: a}`,
		`cloudDNS: {project: a}`,
		`cloudflare: {apiTokenSecretRef: ` + ref + `}`,
		`route53: {}`,
		`acmeDNS: {host: a, accountSecretRef: ` + ref + `}`,
		`digitalocean: {tokenSecretRef: ` + ref + `}`,
		`rfc2136: {nameserver: a}`,
		`webhook: {groupName: a.example, solverName: a, config: {a: [1]}}`,
	}
	for i, first := range providers {
		one, _, _ := strings.Cut(first, ":")
		cases[one] = ruleCase{object: dns01(first)}
		for _, second := range providers[i+1:] {
			other, _, _ := strings.Cut(second, ":")
			test := ruleCase{object: dns01(first + `, ` + second)}
			// The webhook takes akamai and acmeDNS after any other.
			if other != "acmeDNS" {
				test.refusal = at + "." + other + ": Forbidden: may not specify more than one provider type"
			}
			cases[one+" and "+other] = test
		}
	}
	return cases
}
