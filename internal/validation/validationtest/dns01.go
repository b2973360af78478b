package validationtest

import "strings"

func dns01Cases() map[string]Case {
	const (
		at     = SolverAt + ".dns01"
		ref    = `{name: a, key: a}`
		noRef  = `{name: ""}`
		server = ".rfc2136.nameserver: Invalid value: "
		form   = `: nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.`
	)
	dns01 := func(fields string) string { return WithSolver(`dns01: {` + fields + `}`) }
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
	cases := map[string]Case{
		"no provider": {Object: dns01(`cnameStrategy: Follow`), Refusal: at + ": Required value: no DNS01 provider configured"},
		"resolvers":   {Object: dns01(`route53: {}, nameservers: ["192.0.2.1:53", "[2001:db8::1]:53", "https://dns.example/dns-query", "tls://dns.example", "tcp://192.0.2.1:53"]`)},
		"bad resolvers": {
			Object: dns01(`route53: {}, nameservers: [192.0.2.1, "https:///dns-query"]`),
			Refusal: "[" + at + `.nameservers[0]: Invalid value: "192.0.2.1": must be in the format <ip address>:<port>, ` +
				at + `.nameservers[1]: Invalid value: "https:///dns-query": must be in the format https://<DoH RFC 8484 server address>]`,
		},
		"resolver that is no URL": {
			Object:  dns01(`route53: {}, nameservers: ["https://dns.example:a/"]`),
			Refusal: at + `.nameservers[0]: Invalid value: "https://dns.example:a/": must be in the format https://<DoH RFC 8484 server address>`,
			Beyond:  &Beyond{Limit: Addresses},
		},
		"akamai, nothing": {
			Object:  dns01(`akamai: {serviceConsumerDomain: "", clientTokenSecretRef: ` + noRef + `, clientSecretSecretRef: ` + noRef + `, accessTokenSecretRef: ` + noRef + `}`),
			Refusal: required(append(append(append(key("akamai.accessToken"), key("akamai.clientSecret")...), key("akamai.clientToken")...), "akamai.serviceConsumerDomain serviceConsumerDomain is required")...),
		},
		"Azure, nothing":        {Object: dns01(`azureDNS: {subscriptionID: "", resourceGroupName: ""}`), Refusal: required("azureDNS.subscriptionID subscriptionID is required", "azureDNS.resourceGroupName resourceGroupName is required")},
		"Azure, client":         {Object: azure(`clientID: a, tenantID: a, clientSecretSecretRef: ` + ref)},
		"Azure, lone client":    {Object: azure(`clientID: a`), Refusal: required("azureDNS.clientSecretSecretRef clientSecretSecretRef is required", "azureDNS.tenantID tenantID is required")},
		"Azure, lone secret":    {Object: azure(`clientSecretSecretRef: ` + noRef), Refusal: required("azureDNS.clientID clientID is required", "azureDNS.clientSecretSecretRef.name secret name is required", "azureDNS.clientSecretSecretRef.key secret key is required", "azureDNS.tenantID tenantID is required")},
		"Azure, both":           {Object: azure(`clientID: a, tenantID: a, clientSecretSecretRef: ` + ref + `, managedIdentity: {}`), Refusal: at + ".azureDNS.managedIdentity: Forbidden: managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID"},
		"Azure, identity":       {Object: azure(`managedIdentity: {clientID: a, tenantID: a}`)},
		"Azure, two identities": {Object: azure(`managedIdentity: {clientID: a, resourceID: a}`), Refusal: at + ".azureDNS.managedIdentity: Forbidden: managedIdentityClientID and managedIdentityResourceID cannot both be specified"},
		"Azure, bad tenant": {Object: azure(`managedIdentity: {tenantID: a, resourceID: a}`), Refusal: "[" + at + ".azureDNS.managedIdentity: Forbidden: managedIdentityTenantID and managedIdentityResourceID cannot both be specified, " +
			at + ".azureDNS.managedIdentity: Required value: managedIdentityClientID is required when using managedIdentityTenantID]"},
		"cloudDNS, nothing":     {Object: dns01(`cloudDNS: {project: "", serviceAccountSecretRef: ` + noRef + `}`), Refusal: required(append([]string{"cloudDNS.project project is required"}, key("cloudDNS.serviceAccountSecretRef")...)...)},
		"cloudflare, nothing":   {Object: dns01(`cloudflare: {}`), Refusal: required("cloudflare apiKeySecretRef or apiTokenSecretRef is required")},
		"cloudflare, key":       {Object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + ref + `}`)},
		"cloudflare, no mail":   {Object: dns01(`cloudflare: {apiKeySecretRef: ` + ref + `}`), Refusal: required("cloudflare.email email is required")},
		"cloudflare, no ref":    {Object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + noRef + `}`), Refusal: required(key("cloudflare.apiKeySecretRef")...)},
		"cloudflare, both":      {Object: dns01(`cloudflare: {email: a, apiKeySecretRef: ` + ref + `, apiTokenSecretRef: ` + noRef + `}`), Refusal: "[" + strings.Trim(required(key("cloudflare.apiTokenSecretRef")...), "[]") + ", " + at + ".cloudflare: Forbidden: apiKeySecretRef and apiTokenSecretRef cannot both be specified]"},
		"route53":               {Object: dns01(`route53: {accessKeyIDSecretRef: ` + ref + `, secretAccessKeySecretRef: ` + noRef + `}`)},
		"route53, two IDs":      {Object: dns01(`route53: {accessKeyID: a, accessKeyIDSecretRef: ` + ref + `}`), Refusal: required("route53 accessKeyID and accessKeyIDSecretRef cannot both be specified")},
		"route53, no ID":        {Object: dns01(`route53: {accessKeyIDSecretRef: ` + noRef + `}`), Refusal: required(key("route53.accessKeyIDSecretRef")...)},
		"acmeDNS, nothing":      {Object: dns01(`acmeDNS: {host: "", accountSecretRef: ` + noRef + `}`), Refusal: required(append(key("acmeDNS.accountSecretRef"), "acmeDNS.host host is required")...)},
		"digitalocean, nothing": {Object: dns01(`digitalocean: {tokenSecretRef: ` + noRef + `}`), Refusal: required(key("digitalocean.tokenSecretRef")...)},
		"webhook, no solver":    {Object: dns01(`webhook: {groupName: "", solverName: ""}`), Refusal: required("webhook.solverName solver name must be specified")},

		"rfc2136, no server":  {Object: dns01(`rfc2136: {nameserver: ""}`), Refusal: required("rfc2136.nameserver nameserver is required")},
		"rfc2136, key":        {Object: rfc2136(`tsigKeyName: a, tsigAlgorithm: hmacsha256, tsigSecretSecretRef: ` + ref)},
		"rfc2136, algorithm":  {Object: rfc2136(`tsigAlgorithm: hmac-sha256.`), Refusal: at + `.rfc2136.tsigAlgorithm: Unsupported value: "hmac-sha256.": supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"`},
		"rfc2136, no secret":  {Object: rfc2136(`tsigKeyName: a`), Refusal: required(key("rfc2136.tsigSecretSecretRef")...)},
		"rfc2136, no name":    {Object: rfc2136(`tsigSecretSecretRef: ` + ref), Refusal: required("rfc2136.tsigKeyName tsigKeyName is required")},
		"rfc2136, unused ref": {Object: rfc2136(`tsigSecretSecretRef: {name: ""}`)},
	}
	for _, good := range []string{"127.0.0.1", "127.0.0.1:", "127.0.0.1:5353", "dns", "dns:", "dns.example.net", "[2001:db8::1]", "[2001:db8::1]:53"} {
		cases["server "+good] = Case{Object: dns01(`rfc2136: {nameserver: "` + good + `"}`)}
	}
	for _, bad := range []string{"2001:db8::1", "[]:53", ":53", ":", "https://192.0.2.1"} {
		cases["server "+bad] = Case{Object: dns01(`rfc2136: {nameserver: "` + bad + `"}`), Refusal: at + server + `"` + bad + `"` + form}
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
		cases[one] = Case{Object: dns01(first)}
		for _, second := range providers[i+1:] {
			other, _, _ := strings.Cut(second, ":")
			test := Case{Object: dns01(first + `, ` + second)}
			// The webhook takes akamai and acmeDNS after any other.
			if other != "acmeDNS" {
				test.Refusal = at + "." + other + ": Forbidden: may not specify more than one provider type"
			}
			cases[one+" and "+other] = test
		}
	}
	return cases
}
