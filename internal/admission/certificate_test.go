package admission

import "strings"

// certificate is a Certificate with more fields in its spec.
func certificate(fields string) string {
	return bareCertificate(`secretName: a, dnsNames: [a.example], issuerRef: {name: a}, ` + fields)
}

// bareCertificate is a Certificate with a spec that has only these fields.
func bareCertificate(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}, spec: {` + fields + `}}`
}

const (
	noIdentity = `spec: Invalid value: "": at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set`
	subdomain  = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	ownPrefix  = `cert-manager.io/* annotations are not allowed`
	wrongKind  = `spec.issuerRef.kind: Invalid value: "AWSPCA": must be one of Issuer or ClusterIssuer`
	exclusive  = "renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set"
)

func certificateCases() map[string]ruleCase {
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	return map[string]ruleCase{
		"least": {object: certificate(``)},
		"no spec": {
			object:  `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}}`,
			refusal: "[spec.secretName: Required value: must be specified, spec.issuerRef.name: Required value: must be specified, " + noIdentity + "]",
		},
		"no identity":     {object: bareCertificate(`secretName: a, issuerRef: {name: a}, commonName: "", dnsNames: []`), refusal: noIdentity},
		"common name":     {object: bareCertificate(`secretName: a, issuerRef: {name: a}, commonName: a`)},
		"literal subject": {object: bareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: CN=a`)},
		"e-mail address":  {object: bareCertificate(`secretName: a, issuerRef: {name: a}, emailAddresses: [a@a.example, "a+b.c@[192.0.2.1]", "ü@exämple.com"]`)},
		"not an e-mail address": {
			object: certificate(`emailAddresses: ["Jane <jane@example.com>", not-an-email]`),
			refusal: `[spec.emailAddresses[0]: Invalid value: "Jane <jane@example.com>": invalid email address: make sure the supplied value only contains the email address itself, ` +
				`spec.emailAddresses[1]: Invalid value: "not-an-email": invalid email address: mail: missing '@' or angle-addr]`,
		},
		"IP address":       {object: bareCertificate(`secretName: a, issuerRef: {name: a}, ipAddresses: [192.0.2.1, "2001:DB8::1", "::ffff:192.0.2.1"]`)},
		"not an address":   {object: certificate(`ipAddresses: [192.0.2.1, 300.1.1.1]`), refusal: `spec.ipAddresses[1]: Invalid value: "300.1.1.1": invalid IP address`},
		"other name":       {object: bareCertificate(`secretName: a, issuerRef: {name: a}, otherNames: [{oid: 1.2.3, utf8Value: a}]`)},
		"URI":              {object: bareCertificate(`secretName: a, issuerRef: {name: a}, uris: ["spiffe://a", "not a URI"]`)},
		"odd DNS names":    {object: certificate(`dnsNames: ["*-my.example.com", "https://app.example.com", "under_score", "a b"]`)},
		"64 bytes":         {object: certificate(`commonName: ` + strings.Repeat("a", 64))},
		"65 bytes":         {object: certificate(`commonName: ` + strings.Repeat("a", 65)), refusal: "spec.commonName: Too long: may not be more than 64 bytes"},
		"33 letters of 2":  {object: certificate(`commonName: ` + strings.Repeat("é", 33)), refusal: "spec.commonName: Too long: may not be more than 64 bytes"},
		"literal and name": {object: certificate(`literalSubject: CN=a, commonName: a`), refusal: "spec.commonName: Invalid value: \"a\": When providing a `LiteralSubject` no `commonName` may be provided."},
		"literal and subject": {
			object:  certificate(`literalSubject: CN=a, subject: {organizations: [a]}`),
			refusal: "spec.subject: Invalid value: {\"organizations\":[\"a\"]}: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		"literal and long subject": {
			object: certificate(`literalSubject: CN=a, subject: {countries: [` + many(60, `""`) + `], serialNumber: a}`),
			refusal: "spec.subject: Invalid value: {\"countries\":[" + strings.Repeat(`"",`, 28)[:83] +
				"...: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		"literal and serial number": {
			object:  certificate(`literalSubject: CN=a, subject: {serialNumber: a"b}`),
			refusal: "spec.subject: Invalid value: {\"serialNumber\":\"a\\\"b\"}: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		"literal and empty subject": {object: certificate(`literalSubject: CN=a, subject: {}`)},

		"no Secret":         {object: bareCertificate(`secretName: "", dnsNames: [a], issuerRef: {name: a}`), refusal: "spec.secretName: Required value: must be specified"},
		"dotted Secret":     {object: bareCertificate(`secretName: a-1.b, dnsNames: [a], issuerRef: {name: a}`)},
		"upper-case Secret": {object: bareCertificate(`secretName: A, dnsNames: [a], issuerRef: {name: a}`), refusal: `spec.secretName: Invalid value: "A": ` + subdomain},
		"long Secret": {
			object:  bareCertificate(`secretName: ` + strings.Repeat("a", 254) + `, dnsNames: [a], issuerRef: {name: a}`),
			refusal: `spec.secretName: Invalid value: "` + strings.Repeat("a", 97) + `...": must be no more than 253 characters`,
		},
		"no issuer":       {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: ""}`), refusal: "spec.issuerRef.name: Required value: must be specified"},
		"ClusterIssuer":   {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: ClusterIssuer, group: cert-manager.io}`)},
		"empty kind":      {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: "", group: ""}`)},
		"foreign kind":    {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: awspca.example}`)},
		"unknown kind":    {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: cert-manager.io}`), refusal: wrongKind},
		"forgotten group": {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA}`), refusal: wrongKind + " (did you forget to set spec.issuerRef.kind.group?)"},

		"hour":              {object: certificate(`duration: 1h, renewBefore: 5m`)},
		"less than an hour": {object: certificate(`duration: 59m`), refusal: `spec.duration: Invalid value: "59m0s": certificate duration must be greater than 1h0m0s`},
		"late renewal":      {object: certificate(`renewBefore: 299s`), refusal: `spec.renewBefore: Invalid value: "4m59s": certificate renewBefore must be greater than 5m0s`},
		"renewal at once":   {object: certificate(`duration: 2h, renewBefore: 2h`), refusal: `spec.renewBefore: Invalid value: "2h0m0s": certificate duration 2h0m0s must be greater than renewBefore 2h0m0s`},
		"default duration":  {object: certificate(`renewBefore: 2160h`), refusal: `spec.renewBefore: Invalid value: "2160h0m0s": certificate duration 2160h0m0s must be greater than renewBefore 2160h0m0s`},
		"percentage":        {object: certificate(`duration: 1h, renewBeforePercentage: 1`)},
		"lone percentage":   {object: certificate(`renewBeforePercentage: -5`)},
		"percentage of 100": {
			object:  certificate(`duration: 2h, renewBeforePercentage: 100`),
			refusal: `spec.renewBeforePercentage: Invalid value: 100: certificate renewBeforePercentage must result in a renewBefore greater than 5m0s`,
		},
		"percentage of 0": {
			object:  certificate(`duration: 2h, renewBeforePercentage: 0`),
			refusal: `spec.renewBeforePercentage: Invalid value: 0: certificate renewBeforePercentage must result in a renewBefore less than duration`,
		},
		"two renewals": {
			object:  certificate(`renewBefore: 1h, renewBeforePercentage: 30`),
			refusal: `[spec.renewBefore: Invalid value: "1h0m0s": ` + exclusive + `, spec.renewBeforePercentage: Invalid value: 30: ` + exclusive + `]`,
		},
		"windows":           {object: certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h, timezone: Europe/Lisbon}]}`)},
		"window of nothing": {object: certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 0s}]}`)},
		"disabled":          {object: certificate(`renewal: {policy: Disabled, windows: []}`)},
		"no policy":         {object: certificate(`renewal: {windows: []}`), refusal: `spec.renewal.policy: Unsupported value: "": supported values: "Disabled", "RenewBefore"`},
		"windows, disabled": {
			object:  certificate(`renewal: {policy: Disabled, windows: [{cron: "@daily", windowDuration: 1h}]}`),
			refusal: "spec.renewal.windows: Forbidden: windows cannot be set when `renewal.policy` is set to Disabled",
		},

		"other name without OID": {
			object:  certificate(`otherNames: [{oid: 1.2.3, utf8Value: a}, {utf8Value: a}]`),
			refusal: `[spec.otherNames[1].oid: Required value: must be specified, spec.otherNames[1].oid: Invalid value: "": invalid oid syntax]`,
		},
		"other name with a bad OID": {object: certificate(`otherNames: [{oid: BAD_OID, utf8Value: a}]`), refusal: `spec.otherNames[0].oid: Invalid value: "BAD_OID": invalid oid syntax`},
		"other name without value": {
			object:  certificate(`otherNames: [{oid: 1.2.3}]`),
			refusal: "spec.otherNames[0].utf8Value: Required value: must be set to a valid non-empty UTF8 string",
		},
		"history":        {object: certificate(`revisionHistoryLimit: 1`)},
		"no history":     {object: certificate(`revisionHistoryLimit: 0`), refusal: "spec.revisionHistoryLimit: Invalid value: 0: must not be less than 1"},
		"annotations":    {object: certificate(`secretTemplate: {annotations: {a.example/A: b, cert-manager.io/allow-direct-injection: "true"}, labels: {cert-manager.io/a: b, c: ""}}`)},
		"own annotation": {object: certificate(`secretTemplate: {annotations: {a: b, cert-manager.io/issuer-name: b}}`), refusal: `spec.secretTemplate.annotations: Invalid value: "cert-manager.io/issuer-name": ` + ownPrefix},
		"bad annotation": {
			object:  certificate(`secretTemplate: {annotations: {a/b/c: b}}`),
			refusal: `spec.secretTemplate.annotations: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
		},
		"bad label": {
			object:  certificate(`secretTemplate: {labels: {a: b c}}`),
			refusal: `spec.secretTemplate.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
		},
		"two formats":    {object: certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]`)},
		"DER twice":      {object: certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}, {type: DER}]`), refusal: `spec.additionalOutputFormats[type]: Duplicate value: "DER"`},
		"constraints":    {object: certificate(`isCA: true, nameConstraints: {critical: true, permitted: {dnsDomains: [a.example], ipRanges: [192.0.2.0/24, "2001:db8::/32"]}}`)},
		"no constraints": {object: certificate(`isCA: true, nameConstraints: {critical: true}`), refusal: `spec.nameConstraints: Invalid value: {"critical":true}: either permitted or excluded must be set`},
		"bad ranges": {
			object: certificate(`isCA: true, nameConstraints: {permitted: {ipRanges: [192.0.2.0]}, excluded: {ipRanges: [192.0.2.0/24, a/8]}}`),
			refusal: `[spec.nameConstraints.permitted.ipRanges[0]: Invalid value: "192.0.2.0": invalid CIDR address, ` +
				`spec.nameConstraints.excluded.ipRanges[1]: Invalid value: "a/8": invalid CIDR address]`,
		},
		"constraints without CA": {
			object:  certificate(`nameConstraints: {permitted: {}, excluded: {dnsDomains: [a, b], ipRanges: [192.0.2.0/24]}}`),
			refusal: `spec.nameConstraints: Invalid value: {"permitted":{},"excluded":{"dnsDomains":["a","b"],"ipRanges":["192.0.2.0/24"]}}: isCA should be true when nameConstraints is set`,
		},

		"as large as etcd takes": {object: bareCertificate(`secretName: a, issuerRef: {name: a}, ipAddresses: [` + many(30000, "192.0.2.1") + `], emailAddresses: [` + many(30000, "a@a.example") + `]`)},
		"many annotations and labels": {
			object: certificate(`secretTemplate: {annotations: {` + strings.Join(repeated(5000, "a.example/key-%d: a"), ", ") + `}, labels: {` + strings.Join(repeated(2000, "key-%d: a"), ", ") + `}}`),
		},
		"more errors than shown": {
			object:  certificate(`ipAddresses: [` + many(600, "a") + `]`),
			refusal: "[" + strings.Join(repeated(10, `spec.ipAddresses[%d]: Invalid value: "a": invalid IP address`), ", ") + "]",
		},
		"line break in a value": {object: certificate(`ipAddresses: ["a\nb"]`), refusal: `spec.ipAddresses[0]: Invalid value: "a\nb": invalid IP address`},
	}
}

func keyCases() map[string]ruleCase {
	unfit := func(signature, key, signatures string) string {
		return `spec.signatureAlgorithm: Invalid value: "` + signature + `": for key algorithm ` + key + " the allowed signature algorithms are [" + signatures + "]"
	}
	const rsa, ecdsa = "SHA256WithRSA SHA384WithRSA SHA512WithRSA", "ECDSAWithSHA256 ECDSAWithSHA384 ECDSAWithSHA512"
	cases := map[string]ruleCase{
		"RSA":              {object: certificate(`privateKey: {size: 3000}, signatureAlgorithm: SHA384WithRSA`)},
		"RSA, size 0":      {object: certificate(`privateKey: {algorithm: RSA, size: 0}`)},
		"RSA, small":       {object: certificate(`privateKey: {size: 2047}`), refusal: "spec.privateKey.size: Invalid value: 2047: must be between 2048 and 8192 for rsa keyAlgorithm"},
		"RSA, large":       {object: certificate(`privateKey: {algorithm: RSA, size: 8193}`), refusal: "spec.privateKey.size: Invalid value: 8193: must be between 2048 and 8192 for rsa keyAlgorithm"},
		"ECDSA":            {object: certificate(`privateKey: {algorithm: ECDSA, size: 521}, signatureAlgorithm: ECDSAWithSHA512`)},
		"ECDSA, RSA size":  {object: certificate(`privateKey: {algorithm: ECDSA, size: 2048}`), refusal: `spec.privateKey.size: Unsupported value: 2048: supported values: "256", "384", "521"`},
		"Ed25519":          {object: certificate(`privateKey: {algorithm: Ed25519, size: 7}, signatureAlgorithm: PureEd25519`)},
		"RSA signs ECDSA":  {object: certificate(`privateKey: {algorithm: ECDSA}, signatureAlgorithm: SHA256WithRSA`), refusal: unfit("SHA256WithRSA", "ECDSA", ecdsa)},
		"ECDSA signs RSA":  {object: certificate(`signatureAlgorithm: ECDSAWithSHA256`), refusal: unfit("ECDSAWithSHA256", "RSA", rsa)},
		"ECDSA as Ed25519": {object: certificate(`privateKey: {algorithm: Ed25519}, signatureAlgorithm: ECDSAWithSHA256`), refusal: unfit("ECDSAWithSHA256", "Ed25519", "PureEd25519")},
	}
	for field, label := range map[string]string{"jks": "JKS", "pkcs12": "PKCS#12"} {
		with := func(fields string) string {
			return certificate(`keystores: {` + field + `: {create: false, ` + fields + `}}`)
		}
		at := "spec.keystores." + field
		cases[field+" with a password"] = ruleCase{object: with(`password: a`)}
		cases[field+" with an empty selector"] = ruleCase{object: with(`password: a, passwordSecretRef: {name: ""}`)}
		cases[field+" with a Secret"] = ruleCase{object: with(`passwordSecretRef: {name: a, key: a}`)}
		cases[field+" with both"] = ruleCase{object: with(`password: a, passwordSecretRef: {name: a, key: a}`), refusal: at + ": Forbidden: exactly one of passwordSecretRef and password must be provided for " + label + " keystores; cannot set both"}
		cases[field+" with none"] = ruleCase{object: with(``), refusal: at + ": Forbidden: must set exactly one of passwordSecretRef and password must for " + label + " keystores"}
		cases[field+" with an empty password"] = ruleCase{object: with(`password: ""`), refusal: at + ".password: Forbidden: literal password cannot be empty if set on " + label + " keystores"}
	}
	return cases
}
