package validationtest

import (
	"fmt"
	"strings"
)

const Order = `{apiVersion: acme.cert-manager.io/v1, kind: Order, metadata: {}, spec: {issuerRef: {name: a}, request: YQ==}}`

func orderCases() map[string]Case {
	const (
		fixed  = ": Forbidden: field is immutable once set"
		all    = "status.authorizations" + fixed
		one    = `{url: a}`
		loaded = `{url: a, identifier: a, wildcard: false, initialState: pending, challenges: [{url: a, token: a, type: dns-01}]}`
	)
	status := func(fields string) string { return WithStatus(Order, fields) }
	with := func(authorizations ...string) string {
		return status(`authorizations: [` + strings.Join(authorizations, ", ") + `]`)
	}
	cases := map[string]Case{
		"least":         {Object: Order},
		"negative":      {Object: strings.Replace(Order, "YQ==", "YQ==, duration: -1h", 1)},
		"other request": {Stored: Order, Object: strings.Replace(Order, "YQ==", "Yg==", 1), Refusal: "spec.request" + fixed},
		"other profile": {Stored: Order, Object: strings.Replace(Order, "YQ==", "YQ==, profile: a", 1)},
		"standard base64": {
			Stored: strings.Replace(Order, "YQ==", "Pj4/fn4+", 1),
			Object: WithStatus(strings.Replace(strings.Replace(Order, "YQ==", "Pj4/fn4+", 1), "metadata: {", "metadata: {labels: {a: b}", 1), `certificate: Pj4/fn4+`),
		},

		"authorizations":         {Stored: status(`url: a`), Object: status(`url: a, authorizations: [` + one + `]`)},
		"authorizations loaded":  {Stored: with(one), Object: with(loaded)},
		"state and loaded":       {Stored: with(loaded), Object: status(`state: ready, authorizations: [` + loaded + `]`)},
		"other authorization":    {Stored: with(one), Object: with(`{url: b}`), Refusal: "status.authorizations[0].url" + fixed},
		"one more authorization": {Stored: with(one), Object: with(one, `{url: b}`), Refusal: all},
		"authorizations emptied": {Stored: with(one), Object: with(), Refusal: all},
		"authorizations removed": {Stored: with(one), Object: status(``), Refusal: all},
		"other details": {
			Stored: with(loaded), Object: with(`{url: a, identifier: b, initialState: valid, challenges: [{url: b, token: b, type: http-01}]}`),
			Refusal: "[" + strings.Join([]string{
				"status.authorizations[0].identifier" + fixed, "status.authorizations[0].wildcard" + fixed, "status.authorizations[0].initialState" + fixed,
				"status.authorizations[0].challenges[0].url" + fixed, "status.authorizations[0].challenges[0].type" + fixed, "status.authorizations[0].challenges[0].token" + fixed,
			}, ", ") + "]",
		},
		"no challenges": {Stored: with(loaded), Object: with(`{url: a, identifier: a, wildcard: false, initialState: pending}`), Refusal: "status.authorizations[0].challenges" + fixed},
	}
	for field, values := range map[string][2]string{
		"url":         {`"https://a"`, `"https://b"`},
		"finalizeURL": {`"https://a"`, `"https://b"`},
		"certificate": {"YQ==", "Yg=="},
	} {
		first, second, want := field+": "+values[0], field+": "+values[1], "status."+field+fixed
		cases[field+" set"] = Case{Stored: status(``), Object: status(first)}
		cases[field+" kept"] = Case{Stored: status(first), Object: status(first + `, state: valid`)}
		cases[field+" changed"] = Case{Stored: status(first), Object: status(second), Refusal: want}
		cases[field+" removed"] = Case{Stored: status(first), Object: status(`state: valid`), Refusal: want}
	}
	return cases
}

// Challenge is a Challenge with a solver.
func Challenge(solver string) string {
	return fmt.Sprintf(`{apiVersion: acme.cert-manager.io/v1, kind: Challenge, metadata: {}, spec: {
		url: a, authorizationURL: a, dnsName: a, wildcard: false, type: DNS-01, token: a, key: a, issuerRef: {name: a}, solver: %s}}`, solver)
}

func challengeCases() map[string]Case {
	first := Challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: a}]}}}`)
	const fixed = "spec: Forbidden: challenge spec is immutable after creation"
	return map[string]Case{
		"least":        {Object: first},
		"no solver":    {Object: Challenge(`{}`)},
		"two solvers":  {Object: Challenge(`{http01: {ingress: {class: a, name: a}}, dns01: {}}`)},
		"status":       {Stored: first, Object: WithStatus(first, `processing: true, presented: false, presentedAt: "2020-01-01T00:00:00Z"`)},
		"finalizer":    {Stored: first, Object: strings.Replace(first, "metadata: {", "metadata: {finalizers: [a.example/a]", 1)},
		"other key":    {Stored: first, Object: strings.Replace(first, "key: a", "key: b", 1), Refusal: fixed},
		"other solver": {Stored: first, Object: Challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: b}]}}}`), Refusal: fixed},
	}
}
