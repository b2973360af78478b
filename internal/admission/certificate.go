package admission

import (
	"slices"
	"strings"
)

func certificates() policy {
	name, algorithm := spec.in("secretName"), spec.in("privateKey.algorithm").text()
	return policy{
		Name: "certificates.cert-manager.io",
		About: `What a Certificate may say. Writes that leave the spec as it is are not
			looked at, so that an object from before a rule can be worked with.`,
		Resources: []resources{{certManager, []string{"certificates"}, writes}},
		Concerns:  specChanged,
		Variables: []expression{
			specVariable,
			{"duration", spec.in("duration").parsed("duration('2160h')")},
			{"renewBefore", spec.in("renewBefore").parsed("duration('5m')")},
			{"algorithm", algorithm + " == '' ? 'RSA' : " + algorithm},
		},
		Rules: slices.Concat(
			[]rule{choice{
				When: name.text() + " == ''",
				Then: []rule{texts("['spec.secretName: Required value: must be specified']")},
				Else: []rule{name.format("dns1123Subdomain", "variables.spec.secretName", "variables.spec.secretName")},
			}},
			issuerRef(), subject(), names(), keys(), renewal(), output(),
		),
	}
}

// subject is about the subject and about having any name at all.
func subject() []rule {
	subject, common, literal := spec.in("subject"), spec.in("commonName"), spec.in("literalSubject")
	names := []string{"organizations", "countries", "organizationalUnits", "localities", "provinces", "streetAddresses", "postalCodes"}
	const s = "variables.spec.subject"
	shown := asJSON(append(lists(s, names), member(s, "serialNumber", "strings.quote("+s+".serialNumber)"))...)
	var properties string
	for _, name := range names {
		properties += subject.in(name).list() + ".size() > 0 || "
	}
	none := common.text() + " == '' && " + literal.text() + " == ''"
	for _, names := range []string{"dnsNames", "emailAddresses", "ipAddresses", "otherNames", "uris"} {
		none += " && " + spec.in(names).list() + ".size() == 0"
	}
	return []rule{
		common.invalid(literal.set()+" && "+common.set(), "variables.spec.commonName",
			"When providing a `LiteralSubject` no `commonName` may be provided."),
		subject.shows(
			literal.set()+" && ("+properties+subject.in("serialNumber").set()+")", "{{"+shown+"}}",
			"When providing a `LiteralSubject` no `Subject` properties may be provided.",
		),
		spec.shows(none, `""`, "at least one of commonName (from the commonName field or from a literalSubject), "+
			"dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set"),
		check{"bytes(" + common.text() + ").size() > 64", "spec.commonName: Too long: may not be more than 64 bytes"},
	}
}

// names is about the subject alternative names. DNS names and URIs are free, as
// they are for the webhook.
func names() []rule {
	ip, email := spec.in("ipAddresses").entry("i", "ip"), spec.in("emailAddresses").entry("i", "email")
	name := spec.in("otherNames").entry("i", "name")
	oid := name.in("oid")
	return []rule{
		// Addresses of IPv4 in IPv6 are addresses for Go and not for CEL.
		ip.each(ip.invalid("!isIP(ip) && !ip.lowerAscii().contains('ffff:')", "ip", "invalid IP address")),
		email.each(email.invalid(`!email.matches('^[^@ <>,;:"()]+@[^@ <>,;"()]+$')`, "email", "invalid email address: "+
			`{{email.contains('@') ? 'make sure the supplied value only contains the email address itself' : 'mail: missing \'@\' or angle-addr'}}`)),
		name.each(
			oid.required(specified),
			oid.invalid("!"+oid.text()+".matches('^[-+]?[0-9]+([.][-+]?[0-9]+)*$')", oid.text(), "invalid oid syntax"),
			name.in("utf8Value").required("must be set to a valid non-empty UTF8 string"),
		),
	}
}

// certificatesAdvice warns about names that an issuer may sign and no client will
// match. The webhook takes them.
func certificatesAdvice() policy {
	name := spec.in("dnsNames").entry("i", "name")
	const label = "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
	return policy{
		Name:      "certificates-advice.cert-manager.io",
		About:     `What a Certificate had better not say. It is accepted with a warning.`,
		Resources: []resources{{certManager, []string{"certificates"}, writes}},
		Advice:    true,
		Concerns:  specChanged,
		Variables: []expression{specVariable},
		Rules: []rule{name.each(name.invalid(
			`!name.matches('^([*][.])?`+label+`([.]`+label+`)*[.]?$') || isIP(name) || name.size() > 254`,
			"name", `is not a DNS name, and clients will not accept the certificate for it: {{`+
				`name == '' ? 'remove it, it is empty' : `+
				`!name.matches('^[ -~]*$') ? 'write it in ASCII, as in xn--mller-kva.example.com' : `+
				`name.matches('^ | $') ? 'leave out the space before or after it' : `+
				`isIP(name) || name.startsWith('[') ? 'put an address into ipAddresses' : `+
				`name.contains('://') ? 'leave out the scheme and what follows the name, or put a URI into uris' : `+
				`name.matches(':[0-9]+$') ? 'leave out the port' : `+
				`name.contains('*') ? 'a wildcard is the whole first label, as in *.example.com' : `+
				`'it has letters, digits, hyphens and underscores between dots'}}`,
		))},
	}
}

// keys is about the private key and what it signs with.
func keys() []rule {
	size, signature := spec.in("privateKey.size"), spec.in("signatureAlgorithm")
	bits := size.or("0")
	signs := func(algorithm, algorithms string) rule {
		return signature.invalid(
			"variables.algorithm == '"+algorithm+"' && !("+signature.text()+" in ['', '"+strings.ReplaceAll(algorithms, " ", "', '")+"'])",
			"variables.spec.signatureAlgorithm",
			"for key algorithm "+algorithm+" the allowed signature algorithms are ["+algorithms+"]",
		)
	}
	return []rule{
		size.shows("variables.algorithm == 'RSA' && "+bits+" > 0 && ("+bits+" < 2048 || "+bits+" > 8192)", "{{string("+bits+")}}",
			"must be between 2048 and 8192 for rsa keyAlgorithm"),
		check{
			"variables.algorithm == 'ECDSA' && " + bits + " > 0 && !(" + bits + " in [256, 384, 521])",
			`spec.privateKey.size: Unsupported value: {{string(` + bits + `)}}: supported values: "256", "384", "521"`,
		},
		signs("RSA", "SHA256WithRSA SHA384WithRSA SHA512WithRSA"),
		signs("ECDSA", "ECDSAWithSHA256 ECDSAWithSHA384 ECDSAWithSHA512"),
		signs("Ed25519", "PureEd25519"),
	}
}

// renewal is about when a certificate ends and is renewed.
func renewal() []rule {
	duration, before, percentage, policy := spec.in("duration"), spec.in("renewBefore"), spec.in("renewBeforePercentage"), spec.in("renewal.policy")
	value, windows := percentage.or("50"), spec.in("renewal.windows")
	shown := func(name string) string { return `"{{` + goText("variables."+name) + `}}"` }
	return []rule{
		duration.shows("variables.duration < duration('1h')", shown("duration"), "certificate duration must be greater than 1h0m0s"),
		when(before.there()+" && "+percentage.there(), texts(
			`['spec.renewBefore: Invalid value: "' + `+goText("variables.renewBefore")+` + '": renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set',
'spec.renewBeforePercentage: Invalid value: ' + string(`+value+`) + ': renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set']`)),
		before.shows("variables.renewBefore < duration('5m')", shown("renewBefore"), "certificate renewBefore must be greater than 5m0s"),
		before.shows("variables.renewBefore >= variables.duration && variables.duration >= duration('1h')", shown("renewBefore"),
			"certificate duration {{"+goText("variables.duration")+"}} must be greater than renewBefore {{"+goText("variables.renewBefore")+"}}"),
		// The webhook looks at a percentage only if there is a duration, and
		// takes it of the wrong end. The product is in hundredths of a second.
		percentage.shows(duration.there()+" && ("+value+" >= 100 || ("+value+" > 0 && variables.duration.getSeconds() * (100 - "+value+") < 5 * 60 * 100))", "{{string("+value+")}}",
			"certificate renewBeforePercentage must result in a renewBefore greater than 5m0s"),
		percentage.shows(duration.there()+" && "+value+" <= 0", "{{string("+value+")}}",
			"certificate renewBeforePercentage must result in a renewBefore less than duration"),
		spec.in("revisionHistoryLimit").shows(spec.in("revisionHistoryLimit").or("1")+" < 1",
			"{{string(variables.spec.revisionHistoryLimit)}}", "must not be less than 1"),
		check{
			spec.in("renewal").there() + " && " + policy.text() + " == ''",
			`spec.renewal.policy: Unsupported value: "": supported values: "Disabled", "RenewBefore"`,
		},
		windows.forbidden(policy.text()+" == 'Disabled' && "+windows.list()+".size() > 0",
			"windows cannot be set when `renewal.policy` is set to Disabled"),
	}
}

// output is about what the Secret gets, and what a CA may sign.
func output() []rule {
	forSecret := spec.in("secretTemplate.annotations")
	constraints := spec.in("nameConstraints")
	const s = "variables.spec.nameConstraints"
	names := []string{"dnsDomains", "ipRanges", "emailAddresses", "uriDomains"}
	shown := "{{" + asJSON(
		member(s, "critical", "string("+s+".critical)"),
		member(s, "permitted", braces(lists(s+".permitted", names)...)),
		member(s, "excluded", braces(lists(s+".excluded", names)...)),
	) + "}}"
	return []rule{
		forSecret.entries(
			forSecret.invalid("key.startsWith('cert-manager.io/') && key != 'cert-manager.io/allow-direct-injection'", "key",
				"cert-manager.io/* annotations are not allowed"),
			forSecret.format("qualifiedName", "key.lowerAscii()", "key"),
		),
		labels(spec.in("secretTemplate.labels")),
		when(constraints.there(),
			constraints.shows("!"+spec.in("isCA").or("false"), shown, "isCA should be true when nameConstraints is set"),
			constraints.shows(constraints.lacks("permitted", "excluded"), shown, "either permitted or excluded must be set"),
			ranges(constraints.in("permitted")), ranges(constraints.in("excluded")),
		),
		spec.in("additionalOutputFormats").entry("i", "output").each(check{
			"variables.spec.additionalOutputFormats.slice(0, i).exists(o, o.type == output.type)",
			"spec.additionalOutputFormats[type]: Duplicate value: {{" + quote("output.type") + "}}",
		}),
		keystore(spec.in("keystores.jks"), "JKS"),
		keystore(spec.in("keystores.pkcs12"), "PKCS#12"),
	}
}

func ranges(of field) rule {
	r := of.in("ipRanges").entry("i", "range")
	return r.each(r.invalid("!isCIDR(range) && !range.lowerAscii().contains('ffff:')", "range", "invalid CIDR address"))
}

func keystore(store field, label string) rule {
	literal, secret := store.in("password"), store.in("passwordSecretRef.name").set()
	return when(store.there(),
		store.forbidden(literal.there()+" && "+secret,
			"exactly one of passwordSecretRef and password must be provided for "+label+" keystores; cannot set both"),
		store.forbidden("!"+literal.there()+" && !("+secret+")",
			"must set exactly one of passwordSecretRef and password must for "+label+" keystores"),
		literal.forbidden(literal.there()+" && "+literal.text()+" == ''",
			"literal password cannot be empty if set on "+label+" keystores"),
	)
}
