package crds

import "strings"

// certificate is a Certificate with more fields in its spec.
func certificate(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a},
		spec: {secretName: a, dnsNames: [a.example], issuerRef: {name: a}, ` + fields + `}}`
}

// bareCertificate is a Certificate with a spec that has only these fields.
func bareCertificate(fields string) string {
	return `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {` + fields + `}}`
}

const (
	noIdentity  = "spec: at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set"
	noSubdomain = "spec.secretName: must be a lowercase RFC 1123 subdomain: at most 253 lower case letters, digits, '-' and '.', beginning and ending each label with a letter or digit"
	rsaSize     = "spec.privateKey.size: must be between 2048 and 8192 for rsa keyAlgorithm"
	ecdsaSize   = `spec.privateKey.size: supported values: "256", "384", "521"`
	onceEach    = "spec.additionalOutputFormats: each type may be listed only once"
	ownPrefix   = "spec.secretTemplate.annotations: cert-manager.io/* annotations are not allowed"
	wrongKind   = "must be one of Issuer or ClusterIssuer"
	forgotGroup = wrongKind + " (did you forget to set spec.issuerRef.group?)"
)

func certificateCases() map[string]ruleCase {
	cases := map[string]ruleCase{
		"least":            {object: certificate(``)},
		"no spec":          {object: `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}}`},
		"no identity":      {object: bareCertificate(`secretName: a, issuerRef: {name: a}, commonName: "", dnsNames: []`), want: []string{noIdentity}},
		"common name":      {object: bareCertificate(`secretName: a, issuerRef: {name: a}, commonName: a`)},
		"literal subject":  {object: bareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: CN=a`)},
		"e-mail address":   {object: bareCertificate(`secretName: a, issuerRef: {name: a}, emailAddresses: [a@a.example]`)},
		"IP address":       {object: bareCertificate(`secretName: a, issuerRef: {name: a}, ipAddresses: [192.0.2.1]`)},
		"other name":       {object: bareCertificate(`secretName: a, issuerRef: {name: a}, otherNames: [{oid: 1.2.3, utf8Value: a}]`)},
		"URI":              {object: bareCertificate(`secretName: a, issuerRef: {name: a}, uris: ["spiffe://a"]`)},
		"64 bytes":         {object: certificate(`commonName: ` + strings.Repeat("a", 64))},
		"65 bytes":         {object: certificate(`commonName: ` + strings.Repeat("a", 65)), want: []string{"spec.commonName: may not be more than 64 bytes"}},
		"33 letters of 2":  {object: certificate(`commonName: ` + strings.Repeat("é", 33)), want: []string{"spec.commonName: may not be more than 64 bytes"}},
		"literal and name": {object: certificate(`literalSubject: CN=a, commonName: a`), want: []string{"spec.literalSubject: When providing a `LiteralSubject` no `commonName` may be provided."}},
		"literal and subject": {
			object: certificate(`literalSubject: CN=a, subject: {organizations: [a]}`),
			want:   []string{"spec.literalSubject: When providing a `LiteralSubject` no `Subject` properties may be provided."},
		},
		"literal and empty subject": {object: certificate(`literalSubject: CN=a, subject: {}`)},

		"no Secret":         {object: bareCertificate(`secretName: "", dnsNames: [a], issuerRef: {name: a}`), want: []string{"spec.secretName: must be specified"}},
		"dotted Secret":     {object: bareCertificate(`secretName: a-1.b, dnsNames: [a], issuerRef: {name: a}`)},
		"upper-case Secret": {object: bareCertificate(`secretName: A, dnsNames: [a], issuerRef: {name: a}`), want: []string{noSubdomain}},
		"long Secret":       {object: bareCertificate(`secretName: ` + strings.Repeat("a", 254) + `, dnsNames: [a], issuerRef: {name: a}`), want: []string{noSubdomain}},
		"no issuer":         {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: ""}`), want: []string{"spec.issuerRef.name: must be specified"}},
		"ClusterIssuer":     {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: ClusterIssuer, group: cert-manager.io}`)},
		"empty kind":        {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: "", group: ""}`)},
		"foreign kind":      {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: awspca.example}`)},
		"unknown kind":      {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA, group: cert-manager.io}`), want: []string{"spec.issuerRef.kind: " + wrongKind}},
		"forgotten group":   {object: bareCertificate(`secretName: a, dnsNames: [a], issuerRef: {name: a, kind: AWSPCA}`), want: []string{"spec.issuerRef.kind: " + forgotGroup}},

		"hour":              {object: certificate(`duration: 1h, renewBefore: 5m`)},
		"less than an hour": {object: certificate(`duration: 59m`), want: []string{"spec.duration: certificate duration must be greater than 1h0m0s"}},
		"late renewal":      {object: certificate(`renewBefore: 299s`), want: []string{"spec.renewBefore: certificate renewBefore must be greater than 5m0s"}},
		"renewal at once":   {object: certificate(`duration: 2h, renewBefore: 2h`), want: []string{"spec.renewBefore: certificate duration must be greater than renewBefore"}},
		"default duration":  {object: certificate(`renewBefore: 2160h`), want: []string{"spec.renewBefore: certificate duration must be greater than renewBefore"}},
		"percentage":        {object: certificate(`renewBeforePercentage: 30`)},
		"two renewals":      {object: certificate(`renewBefore: 1h, renewBeforePercentage: 30`), want: []string{"spec.renewBefore: renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set"}},
		"windows":           {object: certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h, timezone: Europe/Lisbon}]}`)},
		"disabled":          {object: certificate(`renewal: {policy: Disabled, windows: []}`)},
		"windows, disabled": {
			object: certificate(`renewal: {policy: Disabled, windows: [{cron: "@daily", windowDuration: 1h}]}`),
			want:   []string{"spec.renewal.windows: windows cannot be set when `renewal.policy` is set to Disabled"},
		},
		"window of nothing": {
			object: certificate(`renewal: {windows: [{cron: "@daily", windowDuration: 0h}]}`),
			want:   []string{"spec.renewal.windows[0].windowDuration: windowDuration must be specified and should be greater than 0"},
		},

		"other name without OID": {object: certificate(`otherNames: [{oid: 1.2.3, utf8Value: a}, {utf8Value: a}]`), want: []string{"spec.otherNames[1].oid: must be specified"}},
		"other name without value": {
			object: certificate(`otherNames: [{oid: 1.2.3, utf8Value: ""}]`),
			want:   []string{"spec.otherNames[0].utf8Value: must be set to a valid non-empty UTF8 string"},
		},
		"history":        {object: certificate(`revisionHistoryLimit: 1`)},
		"no history":     {object: certificate(`revisionHistoryLimit: 0`), want: []string{"spec.revisionHistoryLimit: must not be less than 1"}},
		"annotations":    {object: certificate(`secretTemplate: {annotations: {a.example/a: b, cert-manager.io/allow-direct-injection: "true"}, labels: {cert-manager.io/a: b}}`)},
		"own annotation": {object: certificate(`secretTemplate: {annotations: {a: b, cert-manager.io/issuer-name: b}}`), want: []string{ownPrefix}},
		"two formats":    {object: certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]`)},
		"DER twice":      {object: certificate(`additionalOutputFormats: [{type: DER}, {type: DER}]`), want: []string{onceEach}},
		"three formats":  {object: certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}, {type: DER}]`), want: []string{onceEach}},
		"constraints":    {object: certificate(`isCA: true, nameConstraints: {critical: true, permitted: {dnsDomains: [a.example]}}`)},
		"no constraints": {object: certificate(`isCA: true, nameConstraints: {critical: true}`), want: []string{"spec.nameConstraints: either permitted or excluded must be set"}},
		"constraints without CA": {
			object: certificate(`nameConstraints: {excluded: {ipRanges: [192.0.2.0/24]}}`),
			want:   []string{"spec.nameConstraints: isCA should be true when nameConstraints is set"},
		},
	}
	for name, c := range keyCases() {
		cases[name] = c
	}
	for _, k := range []struct{ field, label string }{{"jks", "JKS"}, {"pkcs12", "PKCS#12"}} {
		for name, c := range keystoreCases(k.field, k.label) {
			cases[k.field+" "+name] = c
		}
	}
	return cases
}

func keyCases() map[string]ruleCase {
	const unfit = "spec.signatureAlgorithm: for key algorithm "
	return map[string]ruleCase{
		"RSA":              {object: certificate(`privateKey: {size: 3000}, signatureAlgorithm: SHA384WithRSA`)},
		"RSA, size 0":      {object: certificate(`privateKey: {algorithm: RSA, size: 0}`)},
		"RSA, small":       {object: certificate(`privateKey: {size: 2047}`), want: []string{rsaSize}},
		"RSA, large":       {object: certificate(`privateKey: {algorithm: RSA, size: 8193}`), want: []string{rsaSize}},
		"ECDSA":            {object: certificate(`privateKey: {algorithm: ECDSA, size: 521}, signatureAlgorithm: ECDSAWithSHA512`)},
		"ECDSA, RSA size":  {object: certificate(`privateKey: {algorithm: ECDSA, size: 2048}`), want: []string{ecdsaSize}},
		"Ed25519":          {object: certificate(`privateKey: {algorithm: Ed25519, size: 7}, signatureAlgorithm: PureEd25519`)},
		"RSA signs ECDSA":  {object: certificate(`privateKey: {algorithm: ECDSA}, signatureAlgorithm: SHA256WithRSA`), want: []string{unfit + "ECDSA the allowed signature algorithms are [ECDSAWithSHA256 ECDSAWithSHA384 ECDSAWithSHA512]"}},
		"ECDSA signs RSA":  {object: certificate(`signatureAlgorithm: ECDSAWithSHA256`), want: []string{unfit + "RSA the allowed signature algorithms are [SHA256WithRSA SHA384WithRSA SHA512WithRSA]"}},
		"Ed25519 for RSA":  {object: certificate(`privateKey: {algorithm: RSA}, signatureAlgorithm: PureEd25519`), want: []string{unfit + "RSA the allowed signature algorithms are [SHA256WithRSA SHA384WithRSA SHA512WithRSA]"}},
		"ECDSA as Ed25519": {object: certificate(`privateKey: {algorithm: Ed25519}, signatureAlgorithm: ECDSAWithSHA256`), want: []string{unfit + "Ed25519 the allowed signature algorithms are [PureEd25519]"}},
	}
}

func keystoreCases(field, label string) map[string]ruleCase {
	with := func(fields string) string {
		return certificate(`keystores: {` + field + `: {create: true, ` + fields + `}}`)
	}
	path := "spec.keystores." + field
	return map[string]ruleCase{
		"with a password":        {object: with(`password: a`)},
		"with an empty selector": {object: with(`password: a, passwordSecretRef: {name: ""}`)},
		"with a Secret":          {object: with(`passwordSecretRef: {name: a, key: a}`)},
		"with both": {
			object: with(`password: a, passwordSecretRef: {name: a, key: a}`),
			want:   []string{path + ": exactly one of passwordSecretRef and password must be provided for " + label + " keystores; cannot set both"},
		},
		"with none": {
			object: with(``),
			want:   []string{path + ": must set exactly one of passwordSecretRef and password must for " + label + " keystores"},
		},
		"with an empty password": {
			object: with(`password: ""`),
			want:   []string{path + ".password: literal password cannot be empty if set on " + label + " keystores"},
		},
	}
}
