package validationtest

import "strings"

func renewalCases() map[string]Case {
	const fields = ". cron needs to follow: cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow"
	return map[string]Case{
		"hour":              {Object: Certificate(`duration: 1h, renewBefore: 5m`)},
		"less than an hour": {Object: Certificate(`duration: 59m`), Refusal: `spec.duration: Invalid value: "59m0s": certificate duration must be greater than 1h0m0s`},
		"late renewal":      {Object: Certificate(`renewBefore: 299s`), Refusal: `spec.renewBefore: Invalid value: "4m59s": certificate renewBefore must be greater than 5m0s`},
		"renewal at once":   {Object: Certificate(`duration: 2h, renewBefore: 2h`), Refusal: `spec.renewBefore: Invalid value: "2h0m0s": certificate duration 2h0m0s must be greater than renewBefore 2h0m0s`},
		"default duration":  {Object: Certificate(`renewBefore: 2160h`), Refusal: `spec.renewBefore: Invalid value: "2160h0m0s": certificate duration 2160h0m0s must be greater than renewBefore 2160h0m0s`},
		"percentage":        {Object: Certificate(`duration: 1h, renewBeforePercentage: 1`)},
		"lone percentage":   {Object: Certificate(`renewBeforePercentage: -5`)},
		"percentage of 100": {
			Object:  Certificate(`duration: 2h, renewBeforePercentage: 100`),
			Refusal: `spec.renewBeforePercentage: Invalid value: 100: certificate renewBeforePercentage must result in a renewBefore greater than 5m0s`,
		},
		"percentage that leaves 5m":   {Object: Certificate(`duration: 100m, renewBeforePercentage: 95`)},
		"percentage that leaves less": {Object: Certificate(`duration: 1h, renewBeforePercentage: 95`), Refusal: `spec.renewBeforePercentage: Invalid value: 95: certificate renewBeforePercentage must result in a renewBefore greater than 5m0s`},
		"percentage of any default":   {Object: Certificate(`renewBeforePercentage: 250`)},
		"hour and almost an hour":     {Object: Certificate(`duration: 1h, renewBefore: 59m59s`)},
		"percentage of 0": {
			Object:  Certificate(`duration: 2h, renewBeforePercentage: 0`),
			Refusal: `spec.renewBeforePercentage: Invalid value: 0: certificate renewBeforePercentage must result in a renewBefore less than duration`,
		},
		"two renewals": {
			Object:  Certificate(`renewBefore: 1h, renewBeforePercentage: 30`),
			Refusal: `[spec.renewBefore: Invalid value: "1h0m0s": ` + exclusive + `, spec.renewBeforePercentage: Invalid value: 30: ` + exclusive + `]`,
		},
		"windows":               {Object: Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h, timezone: Europe/Lisbon}]}`)},
		"window of nothing":     {Object: Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 0s}]}`)},
		"zone in an expression": {Object: Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "CRON_TZ=Europe/Lisbon 0 2 * * 1-5", windowDuration: 1h}, {cron: "TZ=UTC @weekly", windowDuration: 1h}]}`)},
		"not a zone": {
			Object:  Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: 1h}, {cron: "@daily", windowDuration: 1h, timezone: Europe/Nowhere}]}`),
			Refusal: `spec.renewal.windows[1].timezone: Invalid value: "Europe/Nowhere": invalid value for timezone. timezone must be IANA compliant`,
			Beyond:  &Beyond{Limit: Schedules},
		},
		"not an expression": {
			Object: Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "0 0 2 * * 1", windowDuration: 1h}, {cron: "TZ=UTC", windowDuration: 1h}]}`),
			Refusal: list(`spec.renewal.windows[0].cron: Invalid value: "0 0 2 * * 1": invalid cron syntax: expected exactly 5 fields, found 6: [0 0 2 * * 1]`+fields,
				`spec.renewal.windows[1].cron: Invalid value: "TZ=UTC": invalid cron syntax: a zone without an expression`+fields),
			Beyond: &Beyond{Limit: Schedules},
		},
		"disabled":  {Object: Certificate(`renewal: {policy: Disabled, windows: []}`)},
		"no policy": {Object: Certificate(`renewal: {windows: []}`), Refusal: `spec.renewal.policy: Unsupported value: "": supported values: "Disabled", "RenewBefore"`},
		"windows, disabled": {
			Object:  Certificate(`renewal: {policy: Disabled, windows: [{cron: "@daily", windowDuration: 1h}]}`),
			Refusal: "spec.renewal.windows: Forbidden: windows cannot be set when `renewal.policy` is set to Disabled",
		},
		"history":    {Object: Certificate(`revisionHistoryLimit: 1`)},
		"no history": {Object: Certificate(`revisionHistoryLimit: 0`), Refusal: "spec.revisionHistoryLimit: Invalid value: 0: must not be less than 1"},
	}
}

func outputCases() map[string]Case {
	return map[string]Case{
		"annotations":    {Object: Certificate(`secretTemplate: {annotations: {a.example/A: b, cert-manager.io/allow-direct-injection: "true"}, labels: {cert-manager.io/a: b, c: ""}}`)},
		"own annotation": {Object: Certificate(`secretTemplate: {annotations: {a: b, cert-manager.io/issuer-name: b}}`), Refusal: `spec.secretTemplate.annotations: Invalid value: "cert-manager.io/issuer-name": ` + ownPrefix},
		"bad annotation": {
			Object:  Certificate(`secretTemplate: {annotations: {a/b/c: b}}`),
			Refusal: `spec.secretTemplate.annotations: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
		},
		"large annotations": {
			Object:  Certificate(`secretTemplate: {annotations: {a: ` + strings.Repeat("a", 256<<10) + `}}`),
			Refusal: "spec.secretTemplate.annotations: Too long: may not be more than 262144 bytes",
			Beyond:  &Beyond{Limit: Sizes},
		},
		"bad label": {
			Object:  Certificate(`secretTemplate: {labels: {a: b c}}`),
			Refusal: `spec.secretTemplate.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
		},
		"two formats":    {Object: Certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]`)},
		"DER twice":      {Object: Certificate(`additionalOutputFormats: [{type: DER}, {type: CombinedPEM}, {type: DER}]`), Refusal: `spec.additionalOutputFormats[type]: Duplicate value: "DER"`},
		"constraints":    {Object: Certificate(`isCA: true, nameConstraints: {critical: true, permitted: {dnsDomains: [a.example], ipRanges: [192.0.2.0/24, "2001:db8::/32"]}}`)},
		"no constraints": {Object: Certificate(`isCA: true, nameConstraints: {critical: true}`), Refusal: `spec.nameConstraints: Invalid value: {"critical":true}: either permitted or excluded must be set`},
		"bad ranges": {
			Object: Certificate(`isCA: true, nameConstraints: {permitted: {ipRanges: [192.0.2.0]}, excluded: {ipRanges: [192.0.2.0/24, a/8]}}`),
			Refusal: `[spec.nameConstraints.permitted.ipRanges[0]: Invalid value: "192.0.2.0": invalid CIDR address, ` +
				`spec.nameConstraints.excluded.ipRanges[1]: Invalid value: "a/8": invalid CIDR address]`,
		},
		"constraints without CA": {
			Object:  Certificate(`nameConstraints: {permitted: {}, excluded: {dnsDomains: [a, b], ipRanges: [192.0.2.0/24]}}`),
			Refusal: `spec.nameConstraints: Invalid value: {"permitted":{},"excluded":{"dnsDomains":["a","b"],"ipRanges":["192.0.2.0/24"]}}: isCA should be true when nameConstraints is set`,
		},
	}
}

func keyCases() map[string]Case {
	unfit := func(signature, key, signatures string) string {
		return `spec.signatureAlgorithm: Invalid value: "` + signature + `": for key algorithm ` + key + " the allowed signature algorithms are [" + signatures + "]"
	}
	const rsa, ecdsa = "SHA256WithRSA SHA384WithRSA SHA512WithRSA", "ECDSAWithSHA256 ECDSAWithSHA384 ECDSAWithSHA512"
	cases := map[string]Case{
		"RSA":              {Object: Certificate(`privateKey: {size: 3000}, signatureAlgorithm: SHA384WithRSA`)},
		"RSA, size 0":      {Object: Certificate(`privateKey: {algorithm: RSA, size: 0}`)},
		"RSA, negative":    {Object: Certificate(`privateKey: {size: -1}`)},
		"ECDSA, negative":  {Object: Certificate(`privateKey: {algorithm: ECDSA, size: -256}`)},
		"RSA, small":       {Object: Certificate(`privateKey: {size: 2047}`), Refusal: "spec.privateKey.size: Invalid value: 2047: must be between 2048 and 8192 for rsa keyAlgorithm"},
		"RSA, large":       {Object: Certificate(`privateKey: {algorithm: RSA, size: 8193}`), Refusal: "spec.privateKey.size: Invalid value: 8193: must be between 2048 and 8192 for rsa keyAlgorithm"},
		"ECDSA":            {Object: Certificate(`privateKey: {algorithm: ECDSA, size: 521}, signatureAlgorithm: ECDSAWithSHA512`)},
		"ECDSA, RSA size":  {Object: Certificate(`privateKey: {algorithm: ECDSA, size: 2048}`), Refusal: `spec.privateKey.size: Unsupported value: 2048: supported values: "256", "384", "521"`},
		"Ed25519":          {Object: Certificate(`privateKey: {algorithm: Ed25519, size: 7}, signatureAlgorithm: PureEd25519`)},
		"RSA signs ECDSA":  {Object: Certificate(`privateKey: {algorithm: ECDSA}, signatureAlgorithm: SHA256WithRSA`), Refusal: unfit("SHA256WithRSA", "ECDSA", ecdsa)},
		"ECDSA signs RSA":  {Object: Certificate(`signatureAlgorithm: ECDSAWithSHA256`), Refusal: unfit("ECDSAWithSHA256", "RSA", rsa)},
		"ECDSA as Ed25519": {Object: Certificate(`privateKey: {algorithm: Ed25519}, signatureAlgorithm: ECDSAWithSHA256`), Refusal: unfit("ECDSAWithSHA256", "Ed25519", "PureEd25519")},
	}
	for field, label := range map[string]string{"jks": "JKS", "pkcs12": "PKCS#12"} {
		with := func(fields string) string {
			return Certificate(`keystores: {` + field + `: {create: false, ` + fields + `}}`)
		}
		at := "spec.keystores." + field
		cases[field+" with a password"] = Case{Object: with(`password: a`)}
		cases[field+" with an empty selector"] = Case{Object: with(`password: a, passwordSecretRef: {name: ""}`)}
		cases[field+" with a Secret"] = Case{Object: with(`passwordSecretRef: {name: a, key: a}`)}
		cases[field+" with both"] = Case{Object: with(`password: a, passwordSecretRef: {name: a, key: a}`), Refusal: at + ": Forbidden: exactly one of passwordSecretRef and password must be provided for " + label + " keystores; cannot set both"}
		cases[field+" with none"] = Case{Object: with(``), Refusal: at + ": Forbidden: must set exactly one of passwordSecretRef and password must for " + label + " keystores"}
		cases[field+" with an empty password"] = Case{Object: with(`password: ""`), Refusal: at + ".password: Forbidden: literal password cannot be empty if set on " + label + " keystores"}
	}
	return cases
}
