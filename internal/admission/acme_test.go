package admission

import (
	"fmt"
	"strings"
)

const order = `{apiVersion: acme.cert-manager.io/v1, kind: Order, metadata: {}, spec: {issuerRef: {name: a}, request: YQ==}}`

func orderCases() map[string]ruleCase {
	const (
		fixed  = ": Forbidden: field is immutable once set"
		all    = "status.authorizations" + fixed
		one    = `{url: a}`
		loaded = `{url: a, identifier: a, wildcard: false, initialState: pending, challenges: [{url: a, token: a, type: dns-01}]}`
	)
	status := func(fields string) string { return withStatus(order, fields) }
	with := func(authorizations ...string) string {
		return status(`authorizations: [` + strings.Join(authorizations, ", ") + `]`)
	}
	cases := map[string]ruleCase{
		"least":         {object: order},
		"negative":      {object: strings.Replace(order, "YQ==", "YQ==, duration: -1h", 1)},
		"other request": {stored: order, object: strings.Replace(order, "YQ==", "Yg==", 1), refusal: "spec.request" + fixed},
		"other profile": {stored: order, object: strings.Replace(order, "YQ==", "YQ==, profile: a", 1)},
		"standard base64": {
			stored: strings.Replace(order, "YQ==", "Pj4/fn4+", 1),
			object: withStatus(strings.Replace(strings.Replace(order, "YQ==", "Pj4/fn4+", 1), "metadata: {", "metadata: {labels: {a: b}", 1), `certificate: Pj4/fn4+`),
		},

		"authorizations":         {stored: status(`url: a`), object: status(`url: a, authorizations: [` + one + `]`)},
		"authorizations loaded":  {stored: with(one), object: with(loaded)},
		"state and loaded":       {stored: with(loaded), object: status(`state: ready, authorizations: [` + loaded + `]`)},
		"other authorization":    {stored: with(one), object: with(`{url: b}`), refusal: "status.authorizations[0].url" + fixed},
		"one more authorization": {stored: with(one), object: with(one, `{url: b}`), refusal: all},
		"authorizations emptied": {stored: with(one), object: with(), refusal: all},
		"authorizations removed": {stored: with(one), object: status(``), refusal: all},
		"other details": {
			stored: with(loaded), object: with(`{url: a, identifier: b, initialState: valid, challenges: [{url: b, token: b, type: http-01}]}`),
			refusal: "[" + strings.Join([]string{
				"status.authorizations[0].identifier" + fixed, "status.authorizations[0].wildcard" + fixed, "status.authorizations[0].initialState" + fixed,
				"status.authorizations[0].challenges[0].url" + fixed, "status.authorizations[0].challenges[0].type" + fixed, "status.authorizations[0].challenges[0].token" + fixed,
			}, ", ") + "]",
		},
		"no challenges": {stored: with(loaded), object: with(`{url: a, identifier: a, wildcard: false, initialState: pending}`), refusal: "status.authorizations[0].challenges" + fixed},
	}
	for field, values := range map[string][2]string{
		"url":         {`"https://a"`, `"https://b"`},
		"finalizeURL": {`"https://a"`, `"https://b"`},
		"certificate": {"YQ==", "Yg=="},
	} {
		first, second, want := field+": "+values[0], field+": "+values[1], "status."+field+fixed
		cases[field+" set"] = ruleCase{stored: status(``), object: status(first)}
		cases[field+" kept"] = ruleCase{stored: status(first), object: status(first + `, state: valid`)}
		cases[field+" changed"] = ruleCase{stored: status(first), object: status(second), refusal: want}
		cases[field+" removed"] = ruleCase{stored: status(first), object: status(`state: valid`), refusal: want}
	}
	return cases
}

// challenge is a Challenge with a solver.
func challenge(solver string) string {
	return fmt.Sprintf(`{apiVersion: acme.cert-manager.io/v1, kind: Challenge, metadata: {}, spec: {
		url: a, authorizationURL: a, dnsName: a, wildcard: false, type: DNS-01, token: a, key: a, issuerRef: {name: a}, solver: %s}}`, solver)
}

func challengeCases() map[string]ruleCase {
	first := challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: a}]}}}`)
	const fixed = "spec: Forbidden: challenge spec is immutable after creation"
	return map[string]ruleCase{
		"least":        {object: first},
		"no solver":    {object: challenge(`{}`)},
		"two solvers":  {object: challenge(`{http01: {ingress: {class: a, name: a}}, dns01: {}}`)},
		"status":       {stored: first, object: withStatus(first, `processing: true, presented: false, presentedAt: "2020-01-01T00:00:00Z"`)},
		"finalizer":    {stored: first, object: strings.Replace(first, "metadata: {", "metadata: {finalizers: [a.example/a]", 1)},
		"other key":    {stored: first, object: strings.Replace(first, "key: a", "key: b", 1), refusal: fixed},
		"other solver": {stored: first, object: challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: b}]}}}`), refusal: fixed},
		"defaulted":    {stored: first, object: challenge(`{http01: {gatewayHTTPRoute: {parentRefs: [{name: a, kind: Gateway}]}}}`)},
	}
}

func decodableCases() map[string]ruleCase {
	const notDuration, notTime = "must be a duration in h, m and s, such as 2160h", "must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z"
	refused := func(path, value, why string) string { return path + `: Invalid value: "` + value + `": ` + why }
	cases := map[string]ruleCase{
		"duration":     {object: certificate(`duration: +1.5h.5h30m, renewBefore: 0001000000µs3600s`)},
		"longest":      {object: certificate(`duration: 2562047h47m16s`)},
		"large window": {object: certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1.5h}]}`)},
		"times": {
			stored: certificate(``),
			object: withStatus(certificate(``), `notBefore: "2020-01-01T00:00:00Z", notAfter: "2020-01-01T00:00:00.123456789+01:00", renewalTime: null`),
		},
	}
	for name, test := range map[string]struct{ object, path string }{
		"Certificate": {certificate(`duration: 90d`), "spec.duration"},
		"renewal":     {certificate(`renewBefore: 90d`), "spec.renewBefore"},
		"request":     {request(`duration: 90d`), "spec.duration"},
		"Order":       {strings.Replace(order, "YQ==", "YQ==, duration: 90d", 1), "spec.duration"},
		"Issuer":      {withSolver(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 90d`), solverAt + ".waitInsteadOfSelfCheck"},
		"Challenge":   {challenge(`{waitInsteadOfSelfCheck: 90d}`), "spec.solver.waitInsteadOfSelfCheck"},
	} {
		cases["days in "+name] = ruleCase{object: test.object, refusal: refused(test.path, "90d", notDuration)}
	}
	const long = "9999999999h"
	cases["long window"] = ruleCase{
		object:  certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h}, {cron: "@daily", windowDuration: ` + long + `}]}`),
		refusal: refused("spec.renewal.windows[1].windowDuration", long, notDuration),
	}
	for _, value := range []string{"", long, " 90h", "1", "h", "1h ", "1H"} {
		cases[fmt.Sprintf("duration %q", value)] = ruleCase{object: certificate(`duration: "` + value + `"`), refusal: refused("spec.duration", value, notDuration)}
	}
	const odd = "2020-01-01t00:00:00z"
	for path, test := range map[string]struct{ object, status string }{
		"status.lastFailureTime":                  {certificate(``), `lastFailureTime: %s`},
		"status.notBefore":                        {certificate(``), `notBefore: %s`},
		"status.notAfter":                         {certificate(``), `notAfter: %s`},
		"status.renewalTime":                      {certificate(``), `renewalTime: %s`},
		"status.conditions[0].lastTransitionTime": {certificate(``), `conditions: [{type: A, status: "True", lastTransitionTime: %s}]`},
		"status.acme.ari.lastChecked":             {certificate(``), `acme: {ari: {lastChecked: %s}}`},
		"status.acme.ari.nextCheck":               {certificate(``), `acme: {ari: {nextCheck: %s}}`},
		"status.acme.ari.suggestedWindow.start":   {certificate(``), `acme: {ari: {suggestedWindow: {start: %s, end: "2020-01-01T00:00:00Z"}}}`},
		"status.acme.ari.suggestedWindow.end":     {certificate(``), `acme: {ari: {suggestedWindow: {start: "2020-01-01T00:00:00Z", end: %s}}}`},
		"status.presentedAt":                      {challenge(`{}`), `presented: true, processing: true, presentedAt: %s`},
		"status.failureTime":                      {order, `failureTime: %s`},
	} {
		cases[path] = ruleCase{stored: test.object, object: withStatus(test.object, fmt.Sprintf(test.status, `"`+odd+`"`)), refusal: refused(path, odd, notTime)}
	}
	for _, value := range []string{"2020-01-01T00:00:00+99:99", "2020-01-01T00:00:00z"} {
		cases["time "+value] = ruleCase{
			stored: order, object: withStatus(order, `failureTime: "`+value+`"`), refusal: refused("status.failureTime", value, notTime),
		}
	}
	return cases
}
