package admission

const certificateSpec = "variables.spec"

func certificates() Policy {
	return Policy{
		Name: "certificates.cert-manager.io",
		About: `What a Certificate may say. Writes that leave the spec as it is are not
			looked at, so that an object from before a rule can be worked with.`,
		Resources: []Resources{{certManager, []string{"certificates"}, writes}},
		Concerns:  specChanged,
		Variables: []Expression{
			spec(),
			{"duration", parsed(certificateSpec, "duration", "duration('2160h')")},
			{"renewBefore", parsed(certificateSpec, "renewBefore", "duration('5m')")},
			{"algorithm", field(certificateSpec, "privateKey.algorithm") + " == '' ? 'RSA' : " + field(certificateSpec, "privateKey.algorithm")},
		},
		Rules: concat(
			[]Rule{
				Choice{
					When: field(certificateSpec, "secretName") + " == ''",
					Then: []Rule{List("['spec.secretName: Required value: must be specified']")},
					Else: []Rule{List("format.dns1123Subdomain().validate(variables.spec.secretName).orValue([]).map(e, 'spec.secretName: Invalid value: ' + " + quote("variables.spec.secretName") + " + ': ' + e)")},
				},
			},
			issuerRef(), subject(), names(), keys(), renewal(), output(),
		),
	}
}

func concat(groups ...[]Rule) []Rule {
	var all []Rule
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

// subject is about the subject and about having any name at all.
func subject() []Rule {
	s := certificateSpec
	members := lists("organizations", "countries", "organizationalUnits", "localities", "provinces", "streetAddresses", "postalCodes")
	var properties string
	for i, property := range members {
		if i > 0 {
			properties += " || "
		}
		properties += list(s, "subject."+property.name) + ".size() > 0"
	}
	var none string
	for _, names := range []string{"dnsNames", "emailAddresses", "ipAddresses", "otherNames", "uris"} {
		none += " && " + list(s, names) + ".size() == 0"
	}
	return []Rule{
		Check{
			field(s, "literalSubject") + " != '' && " + field(s, "commonName") + " != ''",
			"spec.commonName: Invalid value: {{" + quote("variables.spec.commonName") + "}}: When providing a `LiteralSubject` no `commonName` may be provided.",
		},
		Check{
			field(s, "literalSubject") + " != '' && (" + properties + " || " + field(s, "subject.serialNumber") + " != '')",
			"spec.subject: Invalid value: {{" + asJSON("variables.spec.subject", append(members, member{name: "serialNumber"})) + "}}: When providing a `LiteralSubject` no `Subject` properties may be provided.",
		},
		Check{
			field(s, "commonName") + " == '' && " + field(s, "literalSubject") + " == ''" + none,
			`spec: Invalid value: "": at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set`,
		},
		Check{
			"bytes(" + field(s, "commonName") + ").size() > 64",
			"spec.commonName: Too long: may not be more than 64 bytes",
		},
	}
}

// names is about the subject alternative names. DNS names and URIs are free, as
// they are for the webhook.
func names() []Rule {
	s := certificateSpec
	return []Rule{
		// Addresses of IPv4 in IPv6 are addresses for Go and not for CEL.
		Each{list(s, "ipAddresses"), "i", "ip", []Rule{Check{
			"!isIP(ip) && !ip.lowerAscii().contains('ffff:')",
			"spec.ipAddresses[{{string(i)}}]: Invalid value: {{" + quote("ip") + "}}: invalid IP address",
		}}},
		Each{list(s, "emailAddresses"), "i", "email", []Rule{Check{
			`!email.matches('^[^@ <>,;:"()]+@[^@ <>,;"()]+$')`,
			"spec.emailAddresses[{{string(i)}}]: Invalid value: {{" + quote("email") + "}}: invalid email address: " +
				`{{email.contains('@') ? 'make sure the supplied value only contains the email address itself' : 'mail: missing \'@\' or angle-addr'}}`,
		}}},
		Each{list(s, "otherNames"), "i", "name", []Rule{
			required("name", "oid", "spec.otherNames[{{string(i)}}].oid", "must be specified"),
			Check{
				"!" + field("name", "oid") + ".matches('^[-+]?[0-9]+([.][-+]?[0-9]+)*$')",
				"spec.otherNames[{{string(i)}}].oid: Invalid value: {{" + quote(field("name", "oid")) + "}}: invalid oid syntax",
			},
			required("name", "utf8Value", "spec.otherNames[{{string(i)}}].utf8Value", "must be set to a valid non-empty UTF8 string"),
		}},
	}
}

// keys is about the private key and what it signs with.
func keys() []Rule {
	s := certificateSpec
	size := optional(s, "privateKey.size") + ".orValue(0)"
	signs := func(algorithm, algorithms string) Check {
		return Check{
			"variables.algorithm == '" + algorithm + "' && !(" + field(s, "signatureAlgorithm") + " in ['', '" + replace(algorithms, " ", "', '") + "'])",
			"spec.signatureAlgorithm: Invalid value: {{" + quote("variables.spec.signatureAlgorithm") + "}}: for key algorithm " + algorithm + " the allowed signature algorithms are [" + algorithms + "]",
		}
	}
	return []Rule{
		Check{
			"variables.algorithm == 'RSA' && " + size + " != 0 && (" + size + " < 2048 || " + size + " > 8192)",
			"spec.privateKey.size: Invalid value: {{string(" + size + ")}}: must be between 2048 and 8192 for rsa keyAlgorithm",
		},
		Check{
			"variables.algorithm == 'ECDSA' && !(" + size + " in [0, 256, 384, 521])",
			`spec.privateKey.size: Unsupported value: {{string(` + size + `)}}: supported values: "256", "384", "521"`,
		},
		signs("RSA", "SHA256WithRSA SHA384WithRSA SHA512WithRSA"),
		signs("ECDSA", "ECDSAWithSHA256 ECDSAWithSHA384 ECDSAWithSHA512"),
		signs("Ed25519", "PureEd25519"),
	}
}

// renewal is about when a certificate ends and is renewed.
func renewal() []Rule {
	s := certificateSpec
	percentage := optional(s, "renewBeforePercentage") + ".orValue(50)"
	shown := func(name string) string { return `"{{` + goText("variables."+name) + `}}"` }
	return []Rule{
		Check{
			"variables.duration < duration('1h')",
			"spec.duration: Invalid value: " + shown("duration") + ": certificate duration must be greater than 1h0m0s",
		},
		Group{has(s, "renewBefore") + " && " + has(s, "renewBeforePercentage"), []Rule{List(
			`['spec.renewBefore: Invalid value: "' + ` + goText("variables.renewBefore") + ` + '": renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set',
'spec.renewBeforePercentage: Invalid value: ' + string(` + percentage + `) + ': renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set']`)}},
		Check{
			"variables.renewBefore < duration('5m')",
			"spec.renewBefore: Invalid value: " + shown("renewBefore") + ": certificate renewBefore must be greater than 5m0s",
		},
		Check{
			"variables.renewBefore >= variables.duration && variables.duration >= duration('1h')",
			"spec.renewBefore: Invalid value: " + shown("renewBefore") + ": certificate duration {{" + goText("variables.duration") + "}} must be greater than renewBefore {{" + goText("variables.renewBefore") + "}}",
		},
		// The webhook looks at a percentage only if there is a duration, and
		// takes it of the wrong end: what is refused here is wrong at both.
		Check{
			has(s, "duration") + " && " + percentage + " >= 100",
			"spec.renewBeforePercentage: Invalid value: {{string(" + percentage + ")}}: certificate renewBeforePercentage must result in a renewBefore greater than 5m0s",
		},
		Check{
			has(s, "duration") + " && " + percentage + " <= 0",
			"spec.renewBeforePercentage: Invalid value: {{string(" + percentage + ")}}: certificate renewBeforePercentage must result in a renewBefore less than duration",
		},
		Check{
			optional(s, "revisionHistoryLimit") + ".orValue(1) < 1",
			"spec.revisionHistoryLimit: Invalid value: {{string(variables.spec.revisionHistoryLimit)}}: must not be less than 1",
		},
		Check{
			has(s, "renewal") + " && " + field(s, "renewal.policy") + " == ''",
			`spec.renewal.policy: Unsupported value: "": supported values: "Disabled", "RenewBefore"`,
		},
		Check{
			field(s, "renewal.policy") + " == 'Disabled' && " + list(s, "renewal.windows") + ".size() > 0",
			"spec.renewal.windows: Forbidden: windows cannot be set when `renewal.policy` is set to Disabled",
		},
	}
}

// output is about what the Secret gets, and what a CA may sign.
func output() []Rule {
	s := certificateSpec
	rules := []Rule{
		Entries{object(s, "secretTemplate.annotations"), "key", "value", []Rule{
			Check{
				"key.startsWith('cert-manager.io/') && key != 'cert-manager.io/allow-direct-injection'",
				"spec.secretTemplate.annotations: Invalid value: {{" + quote("key") + "}}: cert-manager.io/* annotations are not allowed",
			},
			List("format.qualifiedName().validate(key.lowerAscii()).orValue([]).map(e, 'spec.secretTemplate.annotations: Invalid value: ' + " + quote("key") + " + ': ' + e)"),
		}},
		Entries{object(s, "secretTemplate.labels"), "key", "value", []Rule{
			List("format.qualifiedName().validate(key).orValue([]).map(e, 'spec.secretTemplate.labels: Invalid value: ' + " + quote("key") + " + ': ' + e)"),
			List("format.labelValue().validate(value).orValue([]).map(e, 'spec.secretTemplate.labels: Invalid value: ' + " + quote("value") + " + ': ' + e)"),
		}},
		Group{has(s, "nameConstraints"), concat(
			[]Rule{
				Check{
					"!" + optional(s, "isCA") + ".orValue(false)",
					"spec.nameConstraints: Invalid value: {{" + constraints() + "}}: isCA should be true when nameConstraints is set",
				},
				Check{
					"!" + has(s, "nameConstraints.permitted") + " && !" + has(s, "nameConstraints.excluded"),
					"spec.nameConstraints: Invalid value: {{" + constraints() + "}}: either permitted or excluded must be set",
				},
			},
			ranges("permitted"), ranges("excluded"),
		)},
		Each{list(s, "additionalOutputFormats"), "i", "output", []Rule{Check{
			"variables.spec.additionalOutputFormats.slice(0, i).exists(o, o.type == output.type)",
			"spec.additionalOutputFormats[type]: Duplicate value: {{" + quote("output.type") + "}}",
		}}},
	}
	return concat(rules, keystore("jks", "JKS"), keystore("pkcs12", "PKCS#12"))
}

// constraints is CEL for the name constraints as JSON.
func constraints() string {
	names := lists("dnsDomains", "ipRanges", "emailAddresses", "uriDomains")
	return asJSON("variables.spec.nameConstraints", []member{
		{name: "critical", kind: boolMember},
		{name: "permitted", kind: objectMember, members: names},
		{name: "excluded", kind: objectMember, members: names},
	})
}

func ranges(of string) []Rule {
	return []Rule{Each{list(certificateSpec, "nameConstraints."+of+".ipRanges"), "i", "range", []Rule{Check{
		"!isCIDR(range) && !range.lowerAscii().contains('ffff:')",
		"spec.nameConstraints." + of + ".ipRanges[{{string(i)}}]: Invalid value: {{" + quote("range") + "}}: invalid CIDR address",
	}}}}
}

func keystore(name, label string) []Rule {
	s, at := certificateSpec, "spec.keystores."+name
	store := "keystores." + name
	password, secret := has(s, store+".password"), field(s, store+".passwordSecretRef.name")+" != ''"
	return []Rule{Group{has(s, store), []Rule{
		Check{
			password + " && " + secret,
			at + ": Forbidden: exactly one of passwordSecretRef and password must be provided for " + label + " keystores; cannot set both",
		},
		Check{
			"!" + password + " && !(" + secret + ")",
			at + ": Forbidden: must set exactly one of passwordSecretRef and password must for " + label + " keystores",
		},
		Check{
			password + " && " + field(s, store+".password") + " == ''",
			at + ".password: Forbidden: literal password cannot be empty if set on " + label + " keystores",
		},
	}}}
}
