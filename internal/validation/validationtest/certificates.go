package validationtest

import "strings"

// Certificate is a Certificate with more fields in its spec.
func Certificate(fields string) string {
	return BareCertificate(`secretName: a, dnsNames: [a.example], issuerRef: {name: a}, ` + fields)
}

// BareCertificate is a Certificate with a spec that has only these fields.
func BareCertificate(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}, spec: {` + fields + `}}`
}

const (
	noIdentity = `spec: Invalid value: "": at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set`
	subdomain  = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	ownPrefix  = `cert-manager.io/* annotations are not allowed`
	wrongKind  = `spec.issuerRef.kind: Invalid value: "AWSPCA": must be one of Issuer or ClusterIssuer`
	noSubject  = ": When providing a `LiteralSubject` no `Subject` properties may be provided."
	exclusive  = "renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set"
)

func certificateCases() map[string]Case {
	return map[string]Case{
		"least": {Object: Certificate(``)},
		"no spec": {
			Object:  `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}}`,
			Refusal: "[spec.secretName: Required value: must be specified, spec.issuerRef.name: Required value: must be specified, " + noIdentity + "]",
		},
		"no identity":     {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, commonName: "", dnsNames: []`), Refusal: noIdentity},
		"common name":     {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, commonName: a`)},
		"literal subject": {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: CN=a`)},
		"e-mail address":  {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, emailAddresses: [a@a.example, "a+b.c@[192.0.2.1]", "ü@exämple.com"]`)},
		"not an e-mail address": {
			Object: Certificate(`emailAddresses: ["Jane <jane@example.com>", not-an-email]`),
			Refusal: `[spec.emailAddresses[0]: Invalid value: "Jane <jane@example.com>": invalid email address: make sure the supplied value only contains the email address itself, ` +
				`spec.emailAddresses[1]: Invalid value: "not-an-email": invalid email address: mail: missing '@' or angle-addr]`,
		},
		"dots in an e-mail address": {
			Object:  Certificate(`emailAddresses: [a..b@a.example]`),
			Refusal: `spec.emailAddresses[0]: Invalid value: "a..b@a.example": invalid email address: mail: missing '@' or angle-addr`,
			Beyond:  &Beyond{Limit: Addresses},
		},
		"IP address":     {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, ipAddresses: [192.0.2.1, "2001:DB8::1", "::ffff:192.0.2.1"]`)},
		"not an address": {Object: Certificate(`ipAddresses: [192.0.2.1, 300.1.1.1]`), Refusal: `spec.ipAddresses[1]: Invalid value: "300.1.1.1": invalid IP address`},
		"not an address of IPv4 in IPv6": {
			Object:  Certificate(`ipAddresses: ["::ffff:300.1.1.1"]`),
			Refusal: `spec.ipAddresses[0]: Invalid value: "::ffff:300.1.1.1": invalid IP address`,
			Beyond:  &Beyond{Limit: Addresses},
		},
		"other name": {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, otherNames: [{oid: 1.2.3, utf8Value: a}]`)},
		"URI":        {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, uris: ["spiffe://a", "not a URI"]`)},
		"odd DNS names": {
			Object: Certificate(`dnsNames: ["*-my.example.com", "under_score", "a b"]`),
			Warnings: []string{
				`spec.dnsNames[0]: Invalid value: "*-my.example.com": ` + NoDNSName + "a wildcard is the whole first label, as in *.example.com",
				`spec.dnsNames[2]: Invalid value: "a b": ` + NoDNSName + "it has letters, digits, hyphens and underscores between dots",
			},
		},
		"64 bytes":         {Object: Certificate(`commonName: ` + strings.Repeat("a", 64))},
		"65 bytes":         {Object: Certificate(`commonName: ` + strings.Repeat("a", 65)), Refusal: "spec.commonName: Too long: may not be more than 64 bytes"},
		"33 letters of 2":  {Object: Certificate(`commonName: ` + strings.Repeat("é", 33)), Refusal: "spec.commonName: Too long: may not be more than 64 bytes"},
		"literal and name": {Object: Certificate(`literalSubject: CN=a, commonName: a`), Refusal: "spec.commonName: Invalid value: \"a\": When providing a `LiteralSubject` no `commonName` may be provided."},
		"literal and subject": {
			Object:  Certificate(`literalSubject: CN=a, subject: {organizations: [a]}`),
			Refusal: "spec.subject: Invalid value: {\"organizations\":[\"a\"]}: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		"literal and long subject": {
			Object:  Certificate(`literalSubject: CN=a, subject: {countries: [` + many(60, `""`) + `], serialNumber: a}`),
			Refusal: `spec.subject: Invalid value: {"countries":[` + many(60, `""`) + `],"serialNumber":"a"}` + noSubject,
			Beyond:  &Beyond{Shown, `spec.subject: Invalid value: {"countries":[` + many(60, `""`)[:83] + "..." + noSubject},
		},
		"literal and serial number": {
			Object:  Certificate(`literalSubject: CN=a, subject: {serialNumber: a"b}`),
			Refusal: "spec.subject: Invalid value: {\"serialNumber\":\"a\\\"b\"}: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		"literal with all types": {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: "CN=a,O=b+OU=c,L=d,ST=e,STREET=f,C=g,DC=h,UID=i,SERIALNUMBER=j,1.2.3.4=k,2.5.4.17=#0c016c"`)},
		"literal without a name": {
			Object: BareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: O=a`), Refusal: noIdentity, Beyond: &Beyond{Limit: Subjects},
		},
		"literal with a long name": {
			Object:  BareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: "O=a,CN=` + strings.Repeat("a", 65) + `"`),
			Refusal: "spec.commonName: Too long: may not be more than 64 bytes", Beyond: &Beyond{Limit: Subjects},
		},
		"literal with an unknown type": {
			Object:  Certificate(`literalSubject: "CN=a,FOO=blah"`),
			Refusal: `spec.literalSubject: Invalid value: "CN=a,FOO=blah": Literal subject contains unrecognized key with value [blah]; the type "FOO" is none of C, CN, DC, L, O, OU, SERIALNUMBER, ST, STREET, UID, and no OID`,
			Beyond:  &Beyond{Limit: Subjects},
		},
		"literal without a type": {
			Object:  Certificate(`literalSubject: a`),
			Refusal: `spec.literalSubject: Invalid value: "a": DN ended with incomplete type, value pair; the part "a" is not of the form TYPE=value; a comma in a value is written as \,, as in O=Example\, Inc.`,
			Beyond:  &Beyond{Limit: Subjects},
		},
		"literal and empty subject": {Object: Certificate(`literalSubject: CN=a, subject: {}`)},

		"no Secret":         {Object: BareCertificate(`secretName: "", dnsNames: [a], issuerRef: {name: a}`), Refusal: "spec.secretName: Required value: must be specified"},
		"dotted Secret":     {Object: BareCertificate(`secretName: a-1.b, dnsNames: [a], issuerRef: {name: a}`)},
		"upper-case Secret": {Object: BareCertificate(`secretName: A, dnsNames: [a], issuerRef: {name: a}`), Refusal: `spec.secretName: Invalid value: "A": ` + subdomain},
		"long Secret": {
			Object:  BareCertificate(`secretName: ` + strings.Repeat("a", 254) + `, dnsNames: [a], issuerRef: {name: a}`),
			Refusal: `spec.secretName: Invalid value: "` + strings.Repeat("a", 254) + `": must be no more than 253 characters`,
			Beyond:  &Beyond{Shown, `spec.secretName: Invalid value: "` + strings.Repeat("a", 97) + `...": must be no more than 253 characters`},
		},
		"no issuer":       {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: ""}`), Refusal: "spec.issuerRef.name: Required value: must be specified"},
		"ClusterIssuer":   {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: ClusterIssuer, group: cert-manager.io}`)},
		"empty kind":      {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: "", group: ""}`)},
		"foreign kind":    {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: awspca.example}`)},
		"unknown kind":    {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: cert-manager.io}`), Refusal: wrongKind},
		"forgotten group": {Object: BareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA}`), Refusal: wrongKind + " (did you forget to set spec.issuerRef.kind.group?)"},

		"other name without OID": {
			Object:  Certificate(`otherNames: [{oid: 1.2.3, utf8Value: a}, {utf8Value: a}]`),
			Refusal: `[spec.otherNames[1].oid: Required value: must be specified, spec.otherNames[1].oid: Invalid value: "": invalid oid syntax]`,
		},
		"other name with a bad OID": {Object: Certificate(`otherNames: [{oid: BAD_OID, utf8Value: a}]`), Refusal: `spec.otherNames[0].oid: Invalid value: "BAD_OID": invalid oid syntax`},
		"other name with a huge OID": {
			Object:  Certificate(`otherNames: [{oid: "1.99999999999999999999", utf8Value: a}]`),
			Refusal: `spec.otherNames[0].oid: Invalid value: "1.99999999999999999999": invalid oid syntax`,
			Beyond:  &Beyond{Limit: Numbers},
		},
		"other name without value": {
			Object:  Certificate(`otherNames: [{oid: 1.2.3}]`),
			Refusal: "spec.otherNames[0].utf8Value: Required value: must be set to a valid non-empty UTF8 string",
		},

		"as large as etcd takes": {Object: BareCertificate(`secretName: a, issuerRef: {name: a}, ipAddresses: [` + many(30000, "192.0.2.1") + `], emailAddresses: [` + many(30000, "a@a.example") + `]`)},
		"many annotations and labels": {
			Object: Certificate(`secretTemplate: {annotations: {` + strings.Join(Repeated(5000, "a.example/key-%d: a"), ", ") + `}, labels: {` + strings.Join(Repeated(2000, "key-%d: a"), ", ") + `}}`),
		},
		"more errors than shown": {
			Object:  Certificate(`ipAddresses: [` + many(20, "a") + `]`),
			Refusal: list(append(Repeated(10, `spec.ipAddresses[%d]: Invalid value: "a": invalid IP address`), "and 10 more errors")...),
			Beyond:  &Beyond{Shown, list(Repeated(10, `spec.ipAddresses[%d]: Invalid value: "a": invalid IP address`)...)},
		},
		"late in a list": {
			Object:  Certificate(`ipAddresses: [` + many(500, "192.0.2.1") + `, a]`),
			Refusal: `spec.ipAddresses[500]: Invalid value: "a": invalid IP address`,
			Beyond:  &Beyond{Limit: Long},
		},
		"line break in a value": {Object: Certificate(`ipAddresses: ["a\nb"]`), Refusal: `spec.ipAddresses[0]: Invalid value: "a\nb": invalid IP address`},
	}
}

// many is a list of n equal items.
func many(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }

// NoDNSName is what a warning about a name in dnsNames says before its advice.
const NoDNSName = "is not a DNS name, and clients will not accept the certificate for it: "

// Advice has names for dnsNames, with the advice about each, "" for DNS names.
func Advice() map[string]string {
	return map[string]string{
		"www.example.com": "", "*.example.com": "", "under_score.example.com": "", "_tls.example.com": "", "host": "", "example.com.": "",
		"xn--bcher-kva.example": "", "Example.COM": "", "1.example.com": "", "4.3.2.1.in-addr.arpa": "",
		strings.Repeat("a", 63) + ".example.com": "",

		"*-my.example.com":        "a wildcard is the whole first label, as in *.example.com",
		"www.*.example.com":       "a wildcard is the whole first label, as in *.example.com",
		"a b.example.com":         "it has letters, digits, hyphens and underscores between dots",
		"-a.example.com":          "it has letters, digits, hyphens and underscores between dots",
		"a..example.com":          "it has letters, digits, hyphens and underscores between dots",
		"":                        "remove it, it is empty",
		"b\u00fccher.example":     "write it in ASCII, as in xn--mller-kva.example.com",
		" www.example.com":        "leave out the space before or after it",
		"www.example.com ":        "leave out the space before or after it",
		"https://app.example.com": "leave out the scheme and what follows the name, or put a URI into uris",
		"app.example.com:8443":    "leave out the port",
		"10.0.0.5":                "put an address into ipAddresses",
		"2001:db8::1":             "put an address into ipAddresses",
		"[2001:db8::1]":           "put an address into ipAddresses",
	}
}
