package admission

import (
	"fmt"
	"strings"
)

func repeated(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// request is a CertificateRequest with more fields in its spec.
func request(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {annotations: {cert-manager.io/certificate-name: a}},
		spec: {issuerRef: {name: a}, request: ` + csr + `, ` + fields + `}}`
}

func requestCases() map[string]ruleCase {
	const (
		immutable = "spec: Forbidden: cannot change spec after creation"
		own       = ": Forbidden: cannot change cert-manager annotation after creation"
		noSpec    = `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {annotations: {cert-manager.io/certificate-name: a}}}`
	)
	asking := func(text string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {issuerRef: {name: a}, request: ` + text + `}}`
	}
	ref := func(ref string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {request: ` + csr + `, issuerRef: ` + ref + `}}`
	}
	annotated := func(annotations string) string {
		return strings.Replace(request(``), "cert-manager.io/certificate-name: a", annotations, 1)
	}
	const pemText = "-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----\n"
	cases := map[string]ruleCase{
		"whole":             {object: request(`duration: 1h, isCA: true, usages: [any], username: a, uid: a, groups: [a], extra: {a: [b]}`)},
		"negative duration": {object: request(`duration: -1s`)},
		"no CSR":            {object: asking(encoded("invalid-csr")), refusal: `spec.request: Invalid value: "aW52YWxpZC1jc3I=": no PEM data was found in given input`},
		"DER":               {object: asking(encoded("0\x82\x01\x02????>>>>" + strings.Repeat("\xff", 99))), refusal: `spec.request: Invalid value: "` + encoded("0\x82\x01\x02????>>>>" + strings.Repeat("\xff", 99))[:97] + `...": no PEM data was found in given input`},
		"old label":         {object: asking(encoded("-----BEGIN NEW CERTIFICATE REQUEST-----\n"))},
		"no issuer":         {object: ref(`{name: ""}`), refusal: "spec.issuerRef.name: Required value: must be specified"},
		"unknown kind":      {object: ref(`{name: a, kind: AWSPCA, group: cert-manager.io}`), refusal: wrongKind},
		"forgotten group":   {object: ref(`{name: a, kind: AWSPCA}`), refusal: wrongKind + " (did you forget to set spec.issuerRef.kind.group?)"},
		"foreign kind":      {object: ref(`{name: a, kind: A, group: a.example}`)},

		"labelled":   {stored: request(``), object: strings.Replace(request(``), "metadata: {", "metadata: {labels: {a: b}, finalizers: [a.example/a], ", 1)},
		"changed":    {stored: request(``), object: request(`isCA: true`), refusal: immutable},
		"other name": {stored: ref(`{name: a}`), object: ref(`{name: b}`), refusal: immutable},
		// The identity is kept in all cases, by overwrite, except in these.
		"other identity": {
			stored: request(``), object: request(`username: a, uid: b, groups: [c], extra: {d: [e]}`),
			refusal: "[spec.uid: Forbidden: uid identity cannot be changed once set, spec.username: Forbidden: username identity cannot be changed once set, " +
				"spec.groups: Forbidden: groups identity cannot be changed once set, spec.extra: Forbidden: extra identity cannot be changed once set, " + immutable + "]",
		},
		"spec removed": {
			stored: request(``), object: noSpec,
			refusal: "[spec.username: Forbidden: username identity cannot be changed once set, " +
				"spec.groups: Forbidden: groups identity cannot be changed once set, spec.extra: Forbidden: extra identity cannot be changed once set, " + immutable + "]",
		},
		"written otherwise": {stored: request(`duration: 90m, isCA: false, usages: []`), object: request(`duration: 1h30m0s`)},
		"other duration":    {stored: request(`duration: 90m`), object: request(`duration: 91m`), refusal: immutable},
		"duration removed":  {stored: request(`duration: 90m`), object: request(``), refusal: immutable},

		"annotation":           {stored: request(``), object: annotated(`cert-manager.io/certificate-name: a, venafi.cert-manager.io/pickup-id: "7"`)},
		"annotation changed":   {stored: request(``), object: annotated(`cert-manager.io/certificate-name: b`), refusal: "metadata.annotations.cert-manager.io/certificate-name" + own},
		"annotation removed":   {stored: request(``), object: annotated(`a: b`), refusal: "metadata.annotations.cert-manager.io/certificate-name" + own},
		"annotation added":     {stored: request(``), object: annotated(`cert-manager.io/certificate-name: a, acme.cert-manager.io/x: a`), refusal: "metadata.annotations.acme.cert-manager.io/x" + own},
		"prefix without slash": {stored: request(``), object: annotated(`cert-manager.io/certificate-name: a, cert-manager.iox: a`), refusal: "metadata.annotations.cert-manager.iox" + own},
	}
	// A text looks in three ways in base64, depending on where it begins. The
	// last one has letters that base64 writes in another way in URLs.
	for _, comment := range []string{"x", "xx", "xxx", "##>>>???~~~\n"} {
		cases[fmt.Sprintf("comment %q", comment)] = ruleCase{
			stored: asking(encoded(comment + pemText)),
			object: strings.Replace(asking(encoded(comment+pemText)), "metadata: {", "metadata: {annotations: {a: b}", 1),
		}
	}
	return cases
}

func approvalCases() map[string]ruleCase {
	const (
		approved = `{type: Approved, status: "True", reason: a, message: "", lastTransitionTime: "2020-01-01T00:00:00Z"}`
		denied   = `{type: Denied, status: "True", reason: a}`
		ready    = `{type: Ready, status: "False", reason: Pending}`
	)
	conditions := func(list ...string) string {
		return withStatus(request(``), `conditions: [`+strings.Join(list, ", ")+`]`)
	}
	fixed := func(condition string) string {
		return "status.conditions: Forbidden: '" + condition + "' condition may not be modified once set"
	}
	return map[string]ruleCase{
		"approve":           {stored: conditions(ready), object: conditions(ready, approved)},
		"approve first":     {stored: request(``), object: conditions(approved)},
		"deny":              {stored: conditions(ready), object: conditions(denied, ready)},
		"go on":             {stored: conditions(approved), object: conditions(ready, approved)},
		"written otherwise": {stored: conditions(strings.Replace(approved, "00Z", "00.5Z", 1)), object: conditions(strings.Replace(approved, `message: "", `, "", 1))},
		"approve falsely":   {stored: conditions(ready), object: conditions(strings.Replace(approved, "True", "False", 1)), refusal: `status.conditions.Approved: Invalid value: "False": "Approved" condition may only be set to True`},
		"deny falsely":      {stored: conditions(ready), object: conditions(strings.Replace(denied, "True", "Unknown", 1)), refusal: `status.conditions.Denied: Invalid value: "Unknown": "Denied" condition may only be set to True`},
		"approve, denied":   {stored: conditions(denied), object: conditions(denied, approved), refusal: "status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist"},
		"change approval":   {stored: conditions(approved), object: conditions(strings.Replace(approved, "reason: a", "reason: b", 1)), refusal: fixed("Approved")},
		"later approval":    {stored: conditions(approved), object: conditions(strings.Replace(approved, "00Z", "01Z", 1)), refusal: fixed("Approved")},
		"remove approval":   {stored: conditions(ready, approved), object: conditions(ready), refusal: fixed("Approved")},
		"change denial":     {stored: conditions(denied), object: conditions(strings.Replace(denied, "reason: a", "message: b, reason: a", 1)), refusal: fixed("Denied")},
		"replace denial":    {stored: conditions(denied), object: conditions(approved), refusal: fixed("Denied")},
		"remove all":        {stored: conditions(denied), object: withStatus(request(``), ``), refusal: fixed("Denied")},
		"remove status":     {stored: conditions(approved), object: request(``), refusal: fixed("Approved")},
		"remove undecided":  {stored: conditions(ready), object: request(``)},
	}
}
