package validationtest

import (
	"fmt"
	"strings"

	"github.com/everleaf/everleaf/internal/pki"
)

// Request is a CertificateRequest with more fields in its spec.
func Request(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {annotations: {cert-manager.io/certificate-name: a}},
		spec: {issuerRef: {name: a}, request: ` + CSR + `, ` + fields + `}}`
}

func requestCases() map[string]Case {
	const (
		immutable = "spec: Forbidden: cannot change spec after creation"
		own       = ": Forbidden: cannot change cert-manager annotation after creation"
		noSpec    = `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {annotations: {cert-manager.io/certificate-name: a}}}`
	)
	asking := func(text string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {issuerRef: {name: a}, request: ` + text + `}}`
	}
	ref := func(ref string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {request: ` + CSR + `, issuerRef: ` + ref + `}}`
	}
	annotated := func(annotations string) string {
		return strings.Replace(Request(``), "cert-manager.io/certificate-name: a", annotations, 1)
	}
	pemText := csrOf(pki.Template{CommonName: "a"})
	cases := map[string]Case{
		"whole":             {Object: Request(`duration: 1h, isCA: true, usages: [any], username: a, uid: a, groups: [a], extra: {a: [b]}`)},
		"negative duration": {Object: Request(`duration: -1s`)},
		"no CSR":            {Object: asking(Encoded("invalid-csr")), Refusal: `spec.request: Invalid value: "aW52YWxpZC1jc3I=": no PEM data was found in given input`},
		"DER":               {Object: asking(Encoded("0\x82\x01\x02????>>>>" + strings.Repeat("\xff", 99))), Refusal: `spec.request: Invalid value: "` + Encoded("0\x82\x01\x02????>>>>" + strings.Repeat("\xff", 99))[:97] + `...": no PEM data was found in given input`},
		"old label":         {Object: asking(Encoded(strings.ReplaceAll(pemText, " CERTIFICATE", " NEW CERTIFICATE")))},
		"no issuer":         {Object: ref(`{name: ""}`), Refusal: "spec.issuerRef.name: Required value: must be specified"},
		"unknown kind":      {Object: ref(`{name: a, kind: AWSPCA, group: cert-manager.io}`), Refusal: wrongKind},
		"forgotten group":   {Object: ref(`{name: a, kind: AWSPCA}`), Refusal: wrongKind + " (did you forget to set spec.issuerRef.kind.group?)"},
		"foreign kind":      {Object: ref(`{name: a, kind: A, group: a.example}`)},

		"labelled":   {Stored: Request(``), Object: strings.Replace(Request(``), "metadata: {", "metadata: {labels: {a: b}, finalizers: [a.example/a], ", 1)},
		"changed":    {Stored: Request(``), Object: Request(`isCA: true`), Refusal: immutable},
		"other name": {Stored: ref(`{name: a}`), Object: ref(`{name: b}`), Refusal: immutable},
		// The identity is kept in all cases, by overwrite, except in these.
		"other identity": {
			Stored: Request(``), Object: Request(`username: a, uid: b, groups: [c], extra: {d: [e]}`),
			Refusal: "[spec.uid: Forbidden: uid identity cannot be changed once set, spec.username: Forbidden: username identity cannot be changed once set, " +
				"spec.groups: Forbidden: groups identity cannot be changed once set, spec.extra: Forbidden: extra identity cannot be changed once set, " + immutable + "]",
		},
		"spec removed": {
			Stored: Request(``), Object: noSpec,
			Refusal: "[spec.username: Forbidden: username identity cannot be changed once set, " +
				"spec.groups: Forbidden: groups identity cannot be changed once set, spec.extra: Forbidden: extra identity cannot be changed once set, " + immutable + "]",
		},
		"written otherwise": {Stored: Request(`duration: 90m, isCA: false, usages: []`), Object: Request(`duration: 1h30m0s`)},
		"other duration":    {Stored: Request(`duration: 90m`), Object: Request(`duration: 91m`), Refusal: immutable},
		"duration removed":  {Stored: Request(`duration: 90m`), Object: Request(``), Refusal: immutable},

		"annotation":           {Stored: Request(``), Object: annotated(`cert-manager.io/certificate-name: a, venafi.cert-manager.io/pickup-id: "7"`)},
		"annotation changed":   {Stored: Request(``), Object: annotated(`cert-manager.io/certificate-name: b`), Refusal: "metadata.annotations.cert-manager.io/certificate-name" + own},
		"annotation removed":   {Stored: Request(``), Object: annotated(`a: b`), Refusal: "metadata.annotations.cert-manager.io/certificate-name" + own},
		"annotation added":     {Stored: Request(``), Object: annotated(`cert-manager.io/certificate-name: a, acme.cert-manager.io/x: a`), Refusal: "metadata.annotations.acme.cert-manager.io/x" + own},
		"prefix without slash": {Stored: Request(``), Object: annotated(`cert-manager.io/certificate-name: a, cert-manager.iox: a`), Refusal: "metadata.annotations.cert-manager.iox" + own},
	}
	// A text looks in three ways in base64, depending on where it begins. The
	// last one has letters that base64 writes in another way in URLs.
	for _, comment := range []string{"x\n", "xx\n", "xxx\n", "##>>>???~~~\n"} {
		cases[fmt.Sprintf("comment %q", comment)] = Case{
			Stored: asking(Encoded(comment + pemText)),
			Object: strings.Replace(asking(Encoded(comment+pemText)), "metadata: {", "metadata: {annotations: {a: b}", 1),
		}
	}
	return cases
}

// csrCases are about what a CSR says, which CEL cannot read.
func csrCases() map[string]Case {
	usages := func(words ...string) pki.Template {
		return pki.Template{CommonName: "a", Usages: words, EncodeUsages: true}
	}
	with := func(fields, text string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {issuerRef: {name: a}, request: ` + Encoded(text) + fields + `}}`
	}
	refused := func(fields, text, why string) Case {
		return Case{
			Object:  with(fields, text),
			Refusal: `spec.request: Invalid value: "` + Encoded(text)[:97] + `...": ` + why,
			Beyond:  &Beyond{Limit: Requests},
		}
	}
	const (
		server    = `, usages: [server auth]`
		signature = "-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----\n"
		both      = "[ 'digital signature', 'key encipherment' ]"
	)
	ca := usages()
	ca.IsCA = true
	return map[string]Case{
		"default usages":       {Object: with(``, csrOf(usages()))},
		"default usages named": {Object: with(`, usages: [key encipherment, digital signature]`, csrOf(usages()))},
		"other word":           {Object: with(`, usages: [signing, s/mime]`, csrOf(usages("digital signature", "email protection")))},
		"none encoded":         {Object: with(server, csrOf(pki.Template{CommonName: "a"}))},
		"extended":             {Object: with(`, usages: [server auth, client auth]`, csrOf(usages("server auth", "client auth")))},
		"CA":                   {Object: with(`, isCA: true`, csrOf(ca))},
		"CA in the spec only":  {Object: with(`, isCA: true`, csrOf(pki.Template{CommonName: "a", IsCA: true}))},

		"undecodable": {
			Object:  with(``, signature),
			Refusal: `spec.request: Invalid value: "` + Encoded(signature)[:97] + `...": certificate request cannot be decoded: asn1: syntax error: truncated tag or length`,
			Beyond:  &Beyond{Limit: Requests},
		},
		"signature of another": refused(``, forged(), "certificate request is not signed by its own key: x509: Ed25519 verification failure"),
		"other usages": refused(server, csrOf(usages()),
			"encoded CSR error: the KeyUsages "+both+" do not match the expected KeyUsages []"),
		"usages of a CA": refused(`, isCA: true`, csrOf(usages()),
			"encoded CSR error: the KeyUsages "+both+" do not match the expected KeyUsages [ 'digital signature', 'key encipherment', 'cert sign' ]"),
		"extended, not asked for": refused(``, csrOf(usages("digital signature", "key encipherment", "client auth")),
			"encoded CSR error: the ExtKeyUsages [ 'client auth' ] do not match the expected ExtKeyUsages []"),
		"extended, asked for": refused(`, usages: [digital signature, key encipherment, client auth]`, csrOf(usages()),
			"encoded CSR error: the ExtKeyUsages [] do not match the expected ExtKeyUsages [ 'client auth' ]"),
		"extended, other order": refused(`, usages: [client auth, server auth]`, csrOf(usages("server auth", "client auth")),
			"encoded CSR error: the ExtKeyUsages [ 'server auth', 'client auth' ] do not match the expected ExtKeyUsages [ 'client auth', 'server auth' ]"),
		"constraints of a CA": refused(``, constrained(true), "encoded CSR error: IsCA true does not match expected value false"),
		"constraints of none": refused(`, isCA: true`, constrained(false), "encoded CSR error: IsCA false does not match expected value true"),
	}
}

func approvalCases() map[string]Case {
	const (
		approved = `{type: Approved, status: "True", reason: a, message: "", lastTransitionTime: "2020-01-01T00:00:00Z"}`
		denied   = `{type: Denied, status: "True", reason: a}`
		ready    = `{type: Ready, status: "False", reason: Pending}`
	)
	conditions := func(list ...string) string {
		return WithStatus(Request(``), `conditions: [`+strings.Join(list, ", ")+`]`)
	}
	fixed := func(condition string) string {
		return "status.conditions: Forbidden: '" + condition + "' condition may not be modified once set"
	}
	return map[string]Case{
		"approve":           {Stored: conditions(ready), Object: conditions(ready, approved)},
		"approve first":     {Stored: Request(``), Object: conditions(approved)},
		"deny":              {Stored: conditions(ready), Object: conditions(denied, ready)},
		"go on":             {Stored: conditions(approved), Object: conditions(ready, approved)},
		"written otherwise": {Stored: conditions(strings.Replace(approved, "00Z", "00.5Z", 1)), Object: conditions(strings.Replace(approved, `message: "", `, "", 1))},
		"approve falsely":   {Stored: conditions(ready), Object: conditions(strings.Replace(approved, "True", "False", 1)), Refusal: `status.conditions.Approved: Invalid value: "False": "Approved" condition may only be set to True`},
		"deny falsely":      {Stored: conditions(ready), Object: conditions(strings.Replace(denied, "True", "Unknown", 1)), Refusal: `status.conditions.Denied: Invalid value: "Unknown": "Denied" condition may only be set to True`},
		"approve, denied":   {Stored: conditions(denied), Object: conditions(denied, approved), Refusal: "status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist"},
		"change approval":   {Stored: conditions(approved), Object: conditions(strings.Replace(approved, "reason: a", "reason: b", 1)), Refusal: fixed("Approved")},
		"later approval":    {Stored: conditions(approved), Object: conditions(strings.Replace(approved, "00Z", "01Z", 1)), Refusal: fixed("Approved")},
		"remove approval":   {Stored: conditions(ready, approved), Object: conditions(ready), Refusal: fixed("Approved")},
		"change denial":     {Stored: conditions(denied), Object: conditions(strings.Replace(denied, "reason: a", "message: b, reason: a", 1)), Refusal: fixed("Denied")},
		"replace denial":    {Stored: conditions(denied), Object: conditions(approved), Refusal: fixed("Denied")},
		"remove all":        {Stored: conditions(denied), Object: WithStatus(Request(``), ``), Refusal: fixed("Denied")},
		"remove status":     {Stored: conditions(approved), Object: Request(``), Refusal: fixed("Approved")},
		"remove undecided":  {Stored: conditions(ready), Object: Request(``)},
	}
}
