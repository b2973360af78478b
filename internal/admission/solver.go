package admission

// solver is the rules for a solver of an ACME issuer, at a place.
func solver(at string) []Rule {
	const s = "solver"
	http01, dns01 := has(s, "http01"), has(s, "dns01")
	wait := parsed(s, "waitInsteadOfSelfCheck", "duration('0s')")
	return []Rule{
		Check{"!" + http01 + " && !" + dns01, at + ": Required value: no solver type configured"},
		Check{http01 + " && " + dns01, at + ": Forbidden: may not specify more than one solver type in a single solver"},
		Check{
			"(" + wait + ") < duration('0s')",
			at + ".waitInsteadOfSelfCheck: Invalid value: {{" + quote(field(s, "waitInsteadOfSelfCheck")) + "}}: waitInsteadOfSelfCheck must not be negative",
		},
		Group{http01, http01Solver(at + ".http01")},
		Group{dns01 + " && !" + http01, dns01Solver(at + ".dns01")},
	}
}

func http01Solver(at string) []Rule {
	const s, class = "solver", "http01.ingress.ingressClassName"
	ingress, gateway := has(s, "http01.ingress"), has(s, "http01.gatewayHTTPRoute")
	service := func(path, at string) Check {
		value := field(s, path+".serviceType")
		return Check{
			"!(" + value + " in ['', 'ClusterIP', 'NodePort'])",
			at + `.serviceType: Invalid value: {{` + quote(value) + `}}: must be empty, "ClusterIP" or "NodePort"`,
		}
	}
	return []Rule{
		Check{"!" + ingress + " && !" + gateway, at + ": Required value: no HTTP01 solver type configured"},
		Check{ingress + " && " + gateway, at + ": Required value: only 1 HTTP01 solver type may be configured"},
		Group{ingress, []Rule{
			Check{
				"[" + has(s, class) + ", " + has(s, "http01.ingress.class") + ", " + field(s, "http01.ingress.name") + " != ''].filter(set, set).size() > 1",
				at + ".ingress: Forbidden: only one of 'ingressClassName', 'name' or 'class' should be specified",
			},
			Group{has(s, class), []Rule{List("format.dns1123Subdomain().validate(" + field(s, class) + ").orValue([]).map(e, " +
				text(at+".ingress.ingressClassName: Invalid value: {{"+quote(field(s, class))+"}}: must be a valid IngressClass name: {{e}}") + ")")}},
			service("http01.ingress", at+".ingress"),
		}},
		// The webhook names the field so.
		service("http01.gatewayHTTPRoute", at+".gateway"),
	}
}

// provider is a DNS provider and its rules.
type provider struct {
	name  string
	rules []Rule
	// lenient is set for those that the webhook takes beside others.
	lenient bool
}

func dns01Solver(at string) []Rule {
	const s = "solver"
	rules := []Rule{Each{list(s, "dns01.nameservers"), "j", "server", []Rule{
		Check{
			"server.startsWith('https://') && !server.matches('^https://[^/?#]')",
			at + ".nameservers[{{string(j)}}]: Invalid value: {{" + quote("server") + "}}: must be in the format https://<DoH RFC 8484 server address>",
		},
		Check{
			`!server.startsWith('https://') && !server.matches('^(\\[[^\\[\\]]*\\]|[^:\\[\\]]*):[^:\\[\\]]*$')`,
			at + ".nameservers[{{string(j)}}]: Invalid value: {{" + quote("server") + "}}: must be in the format <ip address>:<port>",
		},
	}}}
	none, earlier := "", ""
	for _, p := range providers(at) {
		there := has(s, "dns01."+p.name)
		more := at + "." + p.name + ": Forbidden: may not specify more than one provider type"
		switch {
		case earlier == "" || p.lenient:
			rules = append(rules, Group{there, p.rules})
		case len(p.rules) == 0:
			rules = append(rules, Check{there + " && (" + earlier + ")", more})
		default:
			rules = append(rules, Group{there, []Rule{Choice{earlier, []Rule{Check{"true", more}}, p.rules}}})
		}
		if none == "" {
			none, earlier = "!"+there, there
		} else {
			none, earlier = none+" && !"+there, earlier+" || "+there
		}
	}
	return append(rules, Check{none, at + ": Required value: no DNS01 provider configured"})
}

// providers are in the order in which the webhook looks at them.
func providers(at string) []provider {
	const s = "solver"
	must := func(path, detail string) Check { return required(s, "dns01."+path, at+"."+path, detail) }
	key := func(path string) []Rule { return selector(s, "dns01."+path, at+"."+path) }
	there := func(path string) string { return has(s, "dns01."+path) }
	return []provider{
		{name: "akamai", lenient: true, rules: concat(
			selector(s, "dns01.akamai.accessTokenSecretRef", at+".akamai.accessToken"),
			selector(s, "dns01.akamai.clientSecretSecretRef", at+".akamai.clientSecret"),
			selector(s, "dns01.akamai.clientTokenSecretRef", at+".akamai.clientToken"),
			[]Rule{must("akamai.serviceConsumerDomain", "serviceConsumerDomain is required")},
		)},
		{name: "azureDNS", rules: azureDNS(at + ".azureDNS")},
		{name: "cloudDNS", rules: []Rule{
			must("cloudDNS.project", "project is required"),
			Group{there("cloudDNS.serviceAccountSecretRef"), key("cloudDNS.serviceAccountSecretRef")},
		}},
		{name: "cloudflare", rules: cloudflare(at + ".cloudflare")},
		{name: "route53", rules: []Rule{
			Check{
				field(s, "dns01.route53.accessKeyID") + " != '' && " + there("route53.accessKeyIDSecretRef"),
				at + ".route53: Required value: accessKeyID and accessKeyIDSecretRef cannot both be specified",
			},
			Group{there("route53.accessKeyIDSecretRef"), key("route53.accessKeyIDSecretRef")},
		}},
		{name: "acmeDNS", lenient: true, rules: concat(
			key("acmeDNS.accountSecretRef"), []Rule{must("acmeDNS.host", "host is required")},
		)},
		{name: "digitalocean", rules: key("digitalocean.tokenSecretRef")},
		{name: "rfc2136", rules: rfc2136(at + ".rfc2136")},
		{name: "webhook", rules: []Rule{must("webhook.solverName", "solver name must be specified")}},
	}
}

func azureDNS(at string) []Rule {
	const s = "solver"
	must := func(name string) Check {
		return required(s, "dns01.azureDNS."+name, at+"."+name, name+" is required")
	}
	set := func(name string) string { return field(s, "dns01.azureDNS."+name) + " != ''" }
	managed := func(name string) string { return field(s, "dns01.azureDNS.managedIdentity."+name) + " != ''" }
	identity, secret := has(s, "dns01.azureDNS.managedIdentity"), has(s, "dns01.azureDNS.clientSecretSecretRef")
	return []Rule{
		Group{set("clientID") + " || " + set("tenantID") + " || " + secret, []Rule{
			must("clientID"),
			Choice{
				secret, selector(s, "dns01.azureDNS.clientSecretSecretRef", at+".clientSecretSecretRef"),
				[]Rule{Check{"true", at + ".clientSecretSecretRef: Required value: clientSecretSecretRef is required"}},
			},
			must("tenantID"),
			Check{identity, at + ".managedIdentity: Forbidden: managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID"},
		}},
		Group{identity, []Rule{
			Check{managed("clientID") + " && " + managed("resourceID"), at + ".managedIdentity: Forbidden: managedIdentityClientID and managedIdentityResourceID cannot both be specified"},
			Check{managed("tenantID") + " && " + managed("resourceID"), at + ".managedIdentity: Forbidden: managedIdentityTenantID and managedIdentityResourceID cannot both be specified"},
			Check{managed("tenantID") + " && !(" + managed("clientID") + ")", at + ".managedIdentity: Required value: managedIdentityClientID is required when using managedIdentityTenantID"},
		}},
		must("subscriptionID"),
		must("resourceGroupName"),
	}
}

func cloudflare(at string) []Rule {
	const s = "solver"
	key, token := has(s, "dns01.cloudflare.apiKeySecretRef"), has(s, "dns01.cloudflare.apiTokenSecretRef")
	ref := func(name string) []Rule { return selector(s, "dns01.cloudflare."+name, at+"."+name) }
	return []Rule{
		Group{key, ref("apiKeySecretRef")},
		Group{token, ref("apiTokenSecretRef")},
		Check{key + " && " + token, at + ": Forbidden: apiKeySecretRef and apiTokenSecretRef cannot both be specified"},
		Check{"!" + key + " && !" + token, at + ": Required value: apiKeySecretRef or apiTokenSecretRef is required"},
		Check{key + " && " + field(s, "dns01.cloudflare.email") + " == ''", at + ".email: Required value: email is required"},
	}
}

func rfc2136(at string) []Rule {
	const s = "solver"
	server, algorithm := field(s, "dns01.rfc2136.nameserver"), field(s, "dns01.rfc2136.tsigAlgorithm")
	name := field(s, "dns01.rfc2136.tsigKeyName") + " != ''"
	secret := field(s, "dns01.rfc2136.tsigSecretSecretRef.name") + " != '' && " + field(s, "dns01.rfc2136.tsigSecretSecretRef.key") + " != ''"
	return []Rule{
		Choice{server + " == ''", []Rule{Check{"true", at + ".nameserver: Required value: nameserver is required"}}, []Rule{Check{
			// The host is a name, an address of IPv4, or one of IPv6 in brackets.
			"!" + server + `.matches('^(\\[[0-9a-fA-F:.%]+\\]|[^:\\[\\]/]+)(:[0-9a-zA-Z-]*)?$')`,
			at + ".nameserver: Invalid value: {{" + quote(server) + "}}: nameserver must be set in the form host:port where host is an IPv4 address, " +
				"an enclosed IPv6 address or a hostname and port is an optional port number.",
		}}},
		Check{
			"!(" + algorithm + ".upperAscii() in ['', 'HMACMD5', 'HMACSHA1', 'HMACSHA256', 'HMACSHA512'])",
			at + `.tsigAlgorithm: Unsupported value: {{` + quote(algorithm) + `}}: supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"`,
		},
		Group{name, selector(s, "dns01.rfc2136.tsigSecretSecretRef", at+".tsigSecretSecretRef")},
		Check{secret + " && !(" + name + ")", at + ".tsigKeyName: Required value: tsigKeyName is required"},
	}
}
