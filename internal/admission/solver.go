package admission

import (
	"slices"

	"github.com/everleaf/everleaf/internal/validation"
)

// wait is the field of a solver that is a duration.
const wait = "waitInsteadOfSelfCheck"

// solver is the rules for a solver of an ACME issuer.
func solver(s field) []rule {
	http01, dns01 := s.in("http01"), s.in("dns01")
	return []rule{
		s.missing(s.lacks("http01", "dns01"), "no solver type configured"),
		s.forbidden(http01.there()+" && "+dns01.there(), "may not specify more than one solver type in a single solver"),
		s.in(wait).invalid("("+s.in(wait).parsed("duration('0s')")+") < duration('0s')", s.in(wait).text(), wait+" must not be negative"),
		when(http01.there(), http01Solver(http01)...),
		when(dns01.there()+" && !"+http01.there(), dns01Solver(dns01)...),
	}
}

func http01Solver(s field) []rule {
	ingress, gateway := s.in("ingress"), s.in("gatewayHTTPRoute")
	class := ingress.in("ingressClassName")
	service := func(f field) rule {
		f = f.in("serviceType")
		return f.invalid("!("+f.text()+" in ['', 'ClusterIP', 'NodePort'])", f.text(), `must be empty, "ClusterIP" or "NodePort"`)
	}
	return []rule{
		s.missing(s.lacks("ingress", "gatewayHTTPRoute"), "no HTTP01 solver type configured"),
		s.missing(ingress.there()+" && "+gateway.there(), "only 1 HTTP01 solver type may be configured"),
		when(ingress.there(),
			ingress.forbidden(
				"["+class.there()+", "+ingress.in("class").there()+", "+ingress.in("name").set()+"].filter(set, set).size() > 1",
				"only one of 'ingressClassName', 'name' or 'class' should be specified",
			),
			when(class.there(), formatErrors("dns1123Subdomain", class.text(),
				text(class.invalid("", class.text(), "must be a valid IngressClass name: {{e}}").Error))),
			service(ingress),
			metadata(ingress.in("ingressTemplate.metadata")),
			metadata(ingress.in("podTemplate.metadata")),
		),
		// The webhook names the field so.
		service(gateway.as(s.path + ".gateway")),
		when(gateway.there(), labels(gateway.in("labels")), metadata(gateway.in("podTemplate.metadata"))),
	}
}

// metadata is the rules for what is put on an object that is made for a challenge: the
// API server would refuse the object.
func metadata(s field) rule {
	return when(s.there(), annotations(s.in("annotations")), labels(s.in("labels")))
}

func annotations(f field) rule {
	return f.entries(f.format("qualifiedName", "key.lowerAscii()", "key"))
}

func labels(f field) rule {
	return f.entries(f.format("qualifiedName", "key", "key"), f.format("labelValue", "value", "value"))
}

func dns01Solver(s field) []rule {
	cloudDNS, route53, acmeDNS, akamai := s.in("cloudDNS"), s.in("route53"), s.in("acmeDNS"), s.in("akamai")
	server := s.in("nameservers").entry("j", "server")
	// key is the rules for a reference to a key of a Secret that may be absent.
	key := func(f field) rule { return when(f.there(), f.selects()...) }
	return slices.Concat([]rule{server.each(
		server.invalid("server.startsWith('https://') && !server.matches('^https://[^/?#]')", "server",
			"must be in the format https://<DoH RFC 8484 server address>"),
		server.invalid(`!server.matches('^(https|tls|tcp)://') && !server.matches('^(\\[[^\\[\\]]*\\]|[^:\\[\\]]*):[^:\\[\\]]*$')`, "server",
			"must be in the format <ip address>:<port>"),
	)}, s.oneOf([]option{
		{name: "akamai", lenient: true, rules: slices.Concat(
			akamai.in("accessTokenSecretRef").as(akamai.path+".accessToken").selects(),
			akamai.in("clientSecretSecretRef").as(akamai.path+".clientSecret").selects(),
			akamai.in("clientTokenSecretRef").as(akamai.path+".clientToken").selects(),
			[]rule{akamai.in("serviceConsumerDomain").required("serviceConsumerDomain is required")},
		)},
		{name: "azureDNS", rules: azureDNS(s.in("azureDNS"))},
		{name: "cloudDNS", rules: []rule{
			cloudDNS.in("project").required("project is required"),
			key(cloudDNS.in("serviceAccountSecretRef")),
		}},
		{name: "cloudflare", rules: cloudflare(s.in("cloudflare"))},
		{name: "route53", rules: []rule{
			route53.missing(route53.in("accessKeyID").set()+" && "+route53.in("accessKeyIDSecretRef").there(),
				"accessKeyID and accessKeyIDSecretRef cannot both be specified"),
			key(route53.in("accessKeyIDSecretRef")),
		}},
		{name: "acmeDNS", lenient: true, rules: append(
			acmeDNS.in("accountSecretRef").selects(), acmeDNS.in("host").required("host is required"),
		)},
		{name: "digitalocean", rules: s.in("digitalocean.tokenSecretRef").selects()},
		{name: "rfc2136", rules: rfc2136(s.in("rfc2136"))},
		{name: "webhook", rules: []rule{s.in("webhook.solverName").required("solver name must be specified")}},
	}, "may not specify more than one provider type", "no DNS01 provider configured"))
}

func azureDNS(s field) []rule {
	must := func(name string) rule { return s.in(name).required(name + " is required") }
	identity, secret := s.in("managedIdentity"), s.in("clientSecretSecretRef")
	client, tenant, resource := identity.in("clientID").set(), identity.in("tenantID").set(), identity.in("resourceID").set()
	return []rule{
		when(s.in("clientID").set()+" || "+s.in("tenantID").set()+" || "+secret.there(),
			must("clientID"),
			choice{secret.there(), secret.selects(), []rule{secret.missing("true", "clientSecretSecretRef is required")}},
			must("tenantID"),
			identity.forbidden(identity.there(), "managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID"),
		),
		when(identity.there(),
			identity.forbidden(client+" && "+resource, "managedIdentityClientID and managedIdentityResourceID cannot both be specified"),
			identity.forbidden(tenant+" && "+resource, "managedIdentityTenantID and managedIdentityResourceID cannot both be specified"),
			identity.missing(tenant+" && !("+client+")", "managedIdentityClientID is required when using managedIdentityTenantID"),
		),
		must("subscriptionID"),
		must("resourceGroupName"),
	}
}

func cloudflare(s field) []rule {
	key, token, email := s.in("apiKeySecretRef"), s.in("apiTokenSecretRef"), s.in("email")
	return []rule{
		when(key.there(), key.selects()...),
		when(token.there(), token.selects()...),
		s.forbidden(key.there()+" && "+token.there(), "apiKeySecretRef and apiTokenSecretRef cannot both be specified"),
		s.missing(s.lacks("apiKeySecretRef", "apiTokenSecretRef"), "apiKeySecretRef or apiTokenSecretRef is required"),
		email.missing(key.there()+" && "+email.text()+" == ''", "email is required"),
	}
}

func rfc2136(s field) []rule {
	server, algorithm, name, secret := s.in("nameserver"), s.in("tsigAlgorithm"), s.in("tsigKeyName"), s.in("tsigSecretSecretRef")
	return []rule{
		choice{server.text() + " == ''", []rule{server.missing("true", "nameserver is required")}, []rule{server.invalid(
			// The host is a name, an address of IPv4, or one of IPv6 in brackets.
			"!"+server.text()+".matches(r'"+validation.UpdateServer+"')", server.text(),
			validation.UpdateServerForm,
		)}},
		check{
			"!(" + algorithm.text() + ".upperAscii() in ['', 'HMACMD5', 'HMACSHA1', 'HMACSHA256', 'HMACSHA512'])",
			algorithm.path + `: Unsupported value: {{` + quote(algorithm.text()) + `}}: supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"`,
		},
		when(name.set(), secret.selects()...),
		name.missing(secret.in("name").set()+" && "+secret.in("key").set()+" && !("+name.set()+")", "tsigKeyName is required"),
	}
}
