package crds

import (
	"fmt"
	"strings"
)

func orderCases() map[string]ruleCase {
	const (
		order     = `{apiVersion: acme.cert-manager.io/v1, kind: Order, metadata: {name: a}, spec: {issuerRef: {name: a}, request: YQ==}}`
		immutable = ": field is immutable once set"
		one       = `{url: a}`
		loaded    = `{url: a, identifier: a, wildcard: false, initialState: pending, challenges: [{url: a, token: a, type: dns-01}]}`
	)
	status := func(fields string) string { return withStatus(order, fields) }
	cases := map[string]ruleCase{
		"least":             {object: order},
		"negative duration": {object: strings.Replace(order, "YQ==", "YQ==, duration: -1h", 1), want: []string{"spec.duration: must be a Go duration such as 2160h, and not negative"}},
		"other request":     {stored: order, object: strings.Replace(order, "YQ==", "Yg==", 1), want: []string{"spec.request" + immutable}},
		"odd failure time":  {object: status(`failureTime: ` + odd), want: []string{"status.failureTime" + notTime}},
		"other profile":     {stored: order, object: strings.Replace(order, "YQ==", "YQ==, profile: a", 1)},

		"authorizations":         {stored: status(`url: a`), object: status(`url: a, authorizations: [` + one + `]`)},
		"authorizations loaded":  {stored: status(`authorizations: [` + one + `]`), object: status(`authorizations: [` + loaded + `]`)},
		"state and loaded":       {stored: status(`authorizations: [` + loaded + `]`), object: status(`state: ready, authorizations: [` + loaded + `]`)},
		"other authorization":    {stored: status(`authorizations: [` + one + `]`), object: status(`authorizations: [{url: b}]`), want: []string{"status.authorizations" + immutable}},
		"one more authorization": {stored: status(`authorizations: [` + one + `]`), object: status(`authorizations: [` + one + `, {url: b}]`), want: []string{"status.authorizations" + immutable}},
		"other token": {
			stored: status(`authorizations: [` + loaded + `]`),
			object: status(`authorizations: [` + strings.Replace(loaded, "token: a", "token: b", 1) + `]`),
			want:   []string{"status.authorizations" + immutable},
		},
		"authorizations emptied": {stored: status(`authorizations: [` + one + `]`), object: status(`authorizations: []`), want: []string{"status.authorizations" + immutable}},
		"authorizations removed": {stored: status(`authorizations: [` + one + `]`), object: status(``), want: []string{"status.authorizations" + immutable}},
	}
	for field, values := range map[string][2]string{
		"url":         {`"https://a"`, `"https://b"`},
		"finalizeURL": {`"https://a"`, `"https://b"`},
		"certificate": {"YQ==", "Yg=="},
	} {
		first, second := field+": "+values[0], field+": "+values[1]
		want := []string{"status." + field + immutable}
		cases[field+" set"] = ruleCase{stored: status(``), object: status(first)}
		if values[0] != "YQ==" {
			cases[field+" set from empty"] = ruleCase{stored: status(field + `: ""`), object: status(first)}
		}
		cases[field+" kept"] = ruleCase{stored: status(first), object: status(first + `, state: valid`)}
		cases[field+" changed"] = ruleCase{stored: status(first), object: status(second), want: want}
		cases[field+" removed"] = ruleCase{stored: status(first), object: status(`state: valid`), want: want}
	}
	return cases
}

// challenge is a Challenge with a solver.
func challenge(solver string) string {
	return fmt.Sprintf(`{apiVersion: acme.cert-manager.io/v1, kind: Challenge, metadata: {name: a}, spec: {
		url: a, authorizationURL: a, dnsName: a, wildcard: false, type: DNS-01, token: a, key: a, issuerRef: {name: a}, solver: %s}}`, solver)
}

func challengeCases() map[string]ruleCase {
	const solver = `{http01: {gatewayHTTPRoute: {parentRefs: [{name: a}]}}}`
	first := challenge(solver)
	immutable := []string{"spec: challenge spec is immutable after creation"}
	return map[string]ruleCase{
		"least":        {object: first},
		"status":       {stored: first, object: withStatus(first, `processing: true, presented: false`)},
		"finalizer":    {stored: first, object: strings.Replace(first, "name: a}", "name: a, finalizers: [a.example/a]}", 1)},
		"odd time":     {object: withStatus(first, `presentedAt: `+odd), want: []string{"status.presentedAt" + notTime}},
		"other key":    {stored: first, object: strings.Replace(first, "key: a", "key: b", 1), want: immutable},
		"other solver": {stored: first, object: challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: b}]}}}`), want: immutable},
		"defaulted":    {stored: first, object: challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: a, kind: Gateway}]}}}`)},
	}
}

// solverCases are for a solver at a path, in an object that wrap makes.
func solverCases(path string, wrap func(string) string) map[string]ruleCase {
	const (
		ref     = `{name: a, key: a}`
		onlyOne = "only one of 'ingressClassName', 'name' or 'class' should be specified"
		service = `must be empty, "ClusterIP" or "NodePort"`
	)
	providers := []string{
		`acmeDNS: {host: a, accountSecretRef: ` + ref + `}`,
		`akamai: {serviceConsumerDomain: a, clientTokenSecretRef: ` + ref + `, clientSecretSecretRef: ` + ref + `, accessTokenSecretRef: ` + ref + `}`,
		`azureDNS: {subscriptionID: a, resourceGroupName: a}`,
		`cloudDNS: {project: a}`,
		`cloudflare: {apiTokenSecretRef: ` + ref + `}`,
		`digitalocean: {tokenSecretRef: ` + ref + `}`,
		`rfc2136: {nameserver: a}`,
		`route53: {}`,
		`webhook: {groupName: a.example, solverName: a, config: {a: [1]}}`,
	}
	cases := map[string]ruleCase{
		"none":               {object: wrap(`{selector: {}}`), want: []string{path + ": no solver type configured"}},
		"both":               {object: wrap(`{http01: {ingress: {}}, dns01: {route53: {}}}`), want: []string{path + ": may not specify more than one solver type in a single solver"}},
		"wait":               {object: wrap(`{http01: {ingress: {}}, waitInsteadOfSelfCheck: 0s}`)},
		"negative wait":      {object: wrap(`{http01: {ingress: {}}, waitInsteadOfSelfCheck: -1s}`), want: []string{path + ".waitInsteadOfSelfCheck: waitInsteadOfSelfCheck must not be negative"}},
		"no HTTP-01":         {object: wrap(`{http01: {}}`), want: []string{path + ".http01: no HTTP01 solver type configured"}},
		"both HTTP-01":       {object: wrap(`{http01: {ingress: {}, gatewayHTTPRoute: {}}}`), want: []string{path + ".http01: only 1 HTTP01 solver type may be configured"}},
		"Ingress class":      {object: wrap(`{http01: {ingress: {ingressClassName: a, name: ""}}}`)},
		"old Ingress class":  {object: wrap(`{http01: {ingress: {class: a, name: "", serviceType: ClusterIP}}}`)},
		"Ingress name":       {object: wrap(`{http01: {ingress: {name: a, serviceType: ""}}}`)},
		"two classes":        {object: wrap(`{http01: {ingress: {ingressClassName: a, class: a}}}`), want: []string{path + ".http01.ingress: " + onlyOne}},
		"class and name":     {object: wrap(`{http01: {ingress: {class: a, name: a}}}`), want: []string{path + ".http01.ingress: " + onlyOne}},
		"new class and name": {object: wrap(`{http01: {ingress: {ingressClassName: a, name: a}}}`), want: []string{path + ".http01.ingress: " + onlyOne}},
		"Ingress service":    {object: wrap(`{http01: {ingress: {serviceType: LoadBalancer}}}`), want: []string{path + ".http01.ingress.serviceType: " + service}},
		"Gateway":            {object: wrap(`{http01: {gatewayHTTPRoute: {serviceType: NodePort, labels: {a: b}, parentRefs: []}}}`)},
		"Gateway service":    {object: wrap(`{http01: {gatewayHTTPRoute: {serviceType: a}}}`), want: []string{path + ".http01.gatewayHTTPRoute.serviceType: " + service}},
		"no provider":        {object: wrap(`{dns01: {cnameStrategy: Follow}}`), want: []string{path + ".dns01: no DNS01 provider configured"}},
		"webhook, no solver": {object: wrap(`{dns01: {webhook: {groupName: a, solverName: ""}}}`), want: []string{path + ".dns01.webhook.solverName: solver name must be specified"}},
	}
	for i, first := range providers {
		one, _, _ := strings.Cut(first, ":")
		cases[one] = ruleCase{object: wrap(`{dns01: {` + first + `}}`)}
		for _, second := range providers[i+1:] {
			other, _, _ := strings.Cut(second, ":")
			cases[one+" and "+other] = ruleCase{
				object: wrap(`{dns01: {` + first + `, ` + second + `}}`),
				want:   []string{path + ".dns01: may not specify more than one provider type"},
			}
		}
	}
	return cases
}
