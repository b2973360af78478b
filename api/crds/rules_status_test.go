package crds

import "strings"

const (
	// odd is a time that the schema's format takes and Go does not.
	odd     = `"2020-01-01t00:00:00z"`
	notTime = ": must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z"
)

// withStatus adds a status to an object.
func withStatus(object, fields string) string {
	return strings.TrimSuffix(object, "}") + `, status: {` + fields + `}}`
}

// certificateStatusCases break the rules about times, and hold that an object
// that breaks rules, stored before they were there, can still be written where
// it breaks none.
func certificateStatusCases() map[string]ruleCase {
	status := func(fields string) string { return withStatus(certificate(``), fields) }
	cases := map[string]ruleCase{
		"times": {object: status(`notBefore: "2020-01-01T00:00:00Z", notAfter: "2020-01-01T00:00:00+01:00", renewalTime: null`)},
	}
	for path, fields := range map[string]string{
		"status.lastFailureTime":                  `lastFailureTime: ` + odd,
		"status.notBefore":                        `notBefore: ` + odd,
		"status.notAfter":                         `notAfter: ` + odd,
		"status.renewalTime":                      `renewalTime: ` + odd,
		"status.conditions[0].lastTransitionTime": `conditions: [{type: A, status: "True", lastTransitionTime: ` + odd + `}]`,
		"status.acme.ari.lastChecked":             `acme: {ari: {lastChecked: ` + odd + `}}`,
		"status.acme.ari.nextCheck":               `acme: {ari: {nextCheck: ` + odd + `}}`,
		"status.acme.ari.suggestedWindow.start":   `acme: {ari: {suggestedWindow: {start: ` + odd + `, end: "2020-01-01T00:00:00Z"}}}`,
		"status.acme.ari.suggestedWindow.end":     `acme: {ari: {suggestedWindow: {start: "2020-01-01T00:00:00Z", end: ` + odd + `}}}`,
	} {
		cases[path] = ruleCase{object: status(fields), want: []string{path + notTime}}
	}

	invalid := bareCertificate(`secretName: A, issuerRef: {name: a, kind: AWSPCA}, duration: 1m, commonName: ` + strings.Repeat("a", 65) + `,
		revisionHistoryLimit: 0, privateKey: {size: 1}, otherNames: [{}], secretTemplate: {annotations: {cert-manager.io/a: b}}, keystores: {jks: {create: true}}`)
	cases["stored invalid, status written"] = ruleCase{stored: invalid, object: withStatus(invalid, `revision: 1`)}
	cases["stored invalid, other field written"] = ruleCase{
		stored: invalid,
		object: strings.Replace(invalid, "secretName: A", "secretName: A, isCA: true", 1),
	}
	cases["stored invalid, that field written"] = ruleCase{
		stored: invalid,
		object: strings.Replace(invalid, "secretName: A", "secretName: B", 1),
		want:   []string{noSubdomain},
	}
	return cases
}

// request is a CertificateRequest with more fields in its spec.
func request(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {name: a},
		spec: {issuerRef: {name: a}, request: YQ==, ` + fields + `}}`
}

func requestCases() map[string]ruleCase {
	const (
		immutable = "spec: cannot change spec after creation"
		noSpec    = `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {name: a}}`
		withRef   = `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {name: a}, spec: {request: YQ==, issuerRef: `
		duration  = "must be a Go duration such as 2160h, and not negative"
	)
	return map[string]ruleCase{
		"whole":             {object: request(`duration: 1h, isCA: true, usages: [any], username: a, uid: a, groups: [a], extra: {a: [b]}`)},
		"no request":        {object: strings.Replace(request(``), "YQ==", `""`, 1), want: []string{`spec.request: spec.request in body must be of type byte: ""`}},
		"no issuer":         {object: withRef + `{name: ""}}}`, want: []string{"spec.issuerRef.name: must be specified"}},
		"unknown kind":      {object: withRef + `{name: a, kind: A, group: cert-manager.io}}}`, want: []string{"spec.issuerRef.kind: " + wrongKind}},
		"forgotten group":   {object: withRef + `{name: a, kind: A}}}`, want: []string{"spec.issuerRef.kind: " + forgotGroup}},
		"foreign kind":      {object: withRef + `{name: a, kind: A, group: a.example}}}`},
		"no time":           {object: request(`duration: 0s`)},
		"negative duration": {object: request(`duration: -1s`), want: []string{"spec.duration: " + duration}},
		"labelled":          {stored: request(``), object: strings.Replace(request(``), "name: a", "name: a, labels: {a: b}", 1)},
		"changed":           {stored: request(``), object: request(`isCA: true`), want: []string{immutable}},
		"other identity":    {stored: request(`username: a, groups: [a, b]`), object: request(`username: a, groups: [a]`), want: []string{immutable}},
		"spec removed":      {stored: request(``), object: noSpec, want: []string{"<nil>: cannot change spec after creation"}},
		"odd failure time":  {object: withStatus(request(``), `failureTime: `+odd), want: []string{"status.failureTime" + notTime}},
		"spec added":        {stored: noSpec, object: request(``), want: []string{"<nil>: cannot change spec after creation"}},
	}
}

func approvalCases() map[string]ruleCase {
	const (
		approved = `{type: Approved, status: "True", reason: a, lastTransitionTime: "2020-01-01T00:00:00Z"}`
		denied   = `{type: Denied, status: "True", reason: a}`
		ready    = `{type: Ready, status: "False", reason: Pending}`
		path     = "status.conditions: "
		removed  = "<nil>: 'Approved' and 'Denied' conditions may not be removed once set"
	)
	conditions := func(list ...string) string {
		return withStatus(request(``), `conditions: [`+strings.Join(list, ", ")+`]`)
	}
	return map[string]ruleCase{
		"approve":          {stored: conditions(ready), object: conditions(ready, approved)},
		"approve first":    {stored: request(``), object: conditions(approved)},
		"deny":             {stored: conditions(ready), object: conditions(denied, ready)},
		"go on":            {stored: conditions(approved), object: conditions(ready, approved)},
		"approve falsely":  {stored: conditions(ready), object: conditions(strings.Replace(approved, "True", "False", 1)), want: []string{`status.conditions[0].status: "Approved" condition may only be set to True`}},
		"deny falsely":     {stored: conditions(ready), object: conditions(strings.Replace(denied, "True", "Unknown", 1)), want: []string{`status.conditions[0].status: "Denied" condition may only be set to True`}},
		"approve, denied":  {stored: conditions(denied), object: conditions(denied, approved), want: []string{path + "both 'Denied' and 'Approved' conditions cannot coexist"}},
		"change approval":  {stored: conditions(approved), object: conditions(strings.Replace(approved, "reason: a", "reason: b", 1)), want: []string{path + "'Approved' condition may not be modified once set"}},
		"remove approval":  {stored: conditions(ready, approved), object: conditions(ready), want: []string{path + "'Approved' condition may not be modified once set"}},
		"change denial":    {stored: conditions(denied), object: conditions(strings.Replace(denied, "reason: a", "reason: b", 1)), want: []string{path + "'Denied' condition may not be modified once set"}},
		"replace denial":   {stored: conditions(denied), object: conditions(approved), want: []string{path + "'Denied' condition may not be modified once set"}},
		"remove all":       {stored: conditions(denied), object: withStatus(request(``), ``), want: []string{removed}},
		"remove status":    {stored: conditions(approved), object: request(``), want: []string{removed}},
		"odd time":         {object: conditions(`{type: A, status: "True", lastTransitionTime: ` + odd + `}`), want: []string{"status.conditions[0].lastTransitionTime" + notTime}},
		"remove undecided": {stored: conditions(ready), object: request(``)},
	}
}
