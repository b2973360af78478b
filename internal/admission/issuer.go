package admission

const issuerSpec = "variables.spec"

func issuers() Policy {
	types := []struct {
		name  string
		rules []Rule
	}{
		{"acme", acmeIssuer()},
		{"ca", caIssuer()},
		{"selfSigned", nil},
		{"vault", vaultIssuer()},
		{"venafi", venafiIssuer()},
	}
	var rules []Rule
	none, earlier := "", ""
	for _, t := range types {
		there := has(issuerSpec, t.name)
		switch {
		case earlier == "":
			rules = append(rules, Group{there, t.rules})
			none, earlier = "!"+there, there
			continue
		case t.rules == nil:
			rules = append(rules, Check{there + " && (" + earlier + ")", moreTypes(t.name)})
		default:
			rules = append(rules, Group{there, []Rule{Choice{earlier, []Rule{Check{"true", moreTypes(t.name)}}, t.rules}}})
		}
		none, earlier = none+" && !"+there, earlier+" || "+there
	}
	rules = append(rules, Check{none, "spec: Required value: at least one issuer must be configured"})
	return Policy{
		Name: "issuers.cert-manager.io",
		About: `What an Issuer or a ClusterIssuer may say. Writes that leave the spec as it is
			are not looked at.`,
		Resources: []Resources{{certManager, []string{"issuers", "clusterissuers"}, writes}},
		Concerns:  specChanged,
		Variables: []Expression{spec()},
		Rules:     rules,
	}
}

func moreTypes(name string) string {
	return "spec." + name + ": Forbidden: may not specify more than one issuer type"
}

func acmeIssuer() []Rule {
	s, at := issuerSpec, "spec.acme"
	const exclusive = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set"
	bundle := field(s, "acme.caBundle")
	return []Rule{
		required(s, "acme.privateKeySecretRef.name", at+".privateKeySecretRef.name", "private key secret name is a required field"),
		required(s, "acme.server", at+".server", "acme server URL is a required field"),
		Group{bundle + " != '' && " + optional(s, "acme.skipTLSVerify") + ".orValue(false)", []Rule{
			Check{"true", at + `.caBundle: Invalid value: "": ` + exclusive},
			Check{"true", at + ".skipTLSVerify: Invalid value: true: " + exclusive},
		}},
		certificatesIn(s, "acme.caBundle", at+`.caBundle: Invalid value: ""`),
		Group{has(s, "acme.externalAccountBinding"), concat(
			[]Rule{required(s, "acme.externalAccountBinding.keyID", at+".externalAccountBinding.keyID", "the keyID field is required when using externalAccountBinding")},
			selector(s, "acme.externalAccountBinding.keySecretRef", at+".externalAccountBinding.keySecretRef"),
		)},
		Each{list(s, "acme.solvers"), "i", "solver", solver("spec.acme.solvers[{{string(i)}}]")},
	}
}

// certificatesIn is the rule that a bundle has a certificate.
func certificatesIn(root, path, refusal string) Check {
	value := field(root, path)
	return Check{
		value + " != '' && !" + holdsPEM(value, "CERTIFICATE-----"),
		refusal + ": cert bundle didn't contain any valid certificates",
	}
}

func caIssuer() []Rule {
	s := issuerSpec
	return []Rule{
		required(s, "ca.secretName", "spec.ca.secretName", "must be specified"),
		// The webhook leaves the s of ocspServers out.
		Each{list(s, "ca.ocspServers"), "i", "url", []Rule{Check{
			"url == ''", `spec.ca.ocspServer[{{string(i)}}]: Invalid value: "": must be a valid URL, e.g., http://ocsp.int-x3.letsencrypt.org`,
		}}},
		Each{list(s, "ca.issuingCertificateURLs"), "i", "url", []Rule{Check{
			"url == ''", `spec.ca.issuingCertificateURLs[{{string(i)}}]: Invalid value: "": must be a valid URL`,
		}}},
	}
}

func vaultIssuer() []Rule {
	s, at := issuerSpec, "spec.vault"
	bundle, ref := field(s, "vault.caBundle")+" != ''", has(s, "vault.caBundleSecretRef")
	certificate, key := has(s, "vault.clientCertSecretRef"), has(s, "vault.clientKeySecretRef")
	rules := []Rule{
		required(s, "vault.server", at+".server", "must be specified"),
		required(s, "vault.path", at+".path", "must be specified"),
		dots("vault.path", at+".path"),
		certificatesIn(s, "vault.caBundle", at+`.caBundle: Invalid value: "<snip>"`),
		Group{bundle + " && " + ref, []Rule{
			Check{"true", at + `.caBundle: Invalid value: "<snip>": specified caBundle and caBundleSecretRef cannot be used together`},
			Check{"true", at + ".caBundleSecretRef: Invalid value: {{" + quote(field(s, "vault.caBundleSecretRef.name")) + "}}: specified caBundleSecretRef and caBundle cannot be used together"},
		}},
		Check{
			certificate + " && !" + key,
			at + `.clientKeySecretRef: Invalid value: "<snip>": clientKeySecretRef must be provided when defining the clientCertSecretRef`,
		},
		Check{
			key + " && !" + certificate,
			at + `.clientCertSecretRef: Invalid value: "<snip>": clientCertSecretRef must be provided when defining the clientKeySecretRef`,
		},
		Check{
			"!" + has(s, "vault.auth.appRole") + " && !" + has(s, "vault.auth.kubernetes") + " && !" + has(s, "vault.auth.tokenSecretRef") +
				" && !" + has(s, "vault.auth.clientCertificate") + " && !" + has(s, "vault.auth.aws"),
			at + ".auth: Required value: please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws",
		},
	}
	return concat(rules, vaultAuth())
}

// dots is the rule that a path does not leave its place.
func dots(path, at string) Check {
	value := field(issuerSpec, path)
	return Check{
		value + ".matches('(^|/)[.][.](/|$)')",
		at + ": Invalid value: {{" + quote(value) + "}}: must not contain '..' path segments",
	}
}

func vaultAuth() []Rule {
	s, at := issuerSpec, "spec.vault.auth"
	method := func(name string, rules ...Rule) Rule { return Group{has(s, "vault.auth."+name), rules} }
	must := func(path string) Check { return required(s, "vault.auth."+path, at+"."+path, "must be specified") }
	up := func(path string) Check { return dots("vault.auth."+path, at+"."+path) }
	secret, account := field(s, "vault.auth.kubernetes.secretRef.name")+" != ''", has(s, "vault.auth.kubernetes.serviceAccountRef")
	return []Rule{
		method("appRole", must("appRole.roleId"), must("appRole.secretRef.name"), up("appRole.path")),
		method("clientCertificate", dots("vault.auth.clientCertificate.mountPath", at+".clientCertificate.path")),
		method("kubernetes",
			must("kubernetes.role"), dots("vault.auth.kubernetes.mountPath", at+".kubernetes.path"),
			Check{"!(" + secret + ") && !" + account, at + ".kubernetes: Required value: please supply one of: secretRef, serviceAccountRef"},
			Check{secret + " && " + account, at + ".kubernetes: Forbidden: please supply one of: secretRef, serviceAccountRef"},
			Group{account, []Rule{must("kubernetes.serviceAccountRef.name")}},
		),
		method("aws",
			up("aws.mountPath"),
			Group{has(s, "vault.auth.aws.serviceAccountRef"), []Rule{
				must("aws.serviceAccountRef.name"),
				required(s, "vault.auth.aws.iamRoleArn", at+".aws.iamRoleArn", "iamRoleArn is required when using serviceAccountRef for IRSA"),
			}},
		),
	}
}

func venafiIssuer() []Rule {
	s, at := issuerSpec, "spec.venafi"
	must := func(path string) Check { return required(s, "venafi."+path, at+"."+path, "must be specified") }
	// That there is exactly one backend is a rule of the CRD, cert-manager's own.
	return []Rule{
		must("zone"),
		Group{has(s, "venafi.tpp"), []Rule{
			must("tpp.url"),
			Check{
				field(s, "venafi.tpp.caBundle") + " != '' && " + has(s, "venafi.tpp.caBundleSecretRef"),
				at + ".tpp: Forbidden: may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle",
			},
		}},
		Group{has(s, "venafi.ngts"), []Rule{must("ngts.tsgID"), must("ngts.credentialsRef.name")}},
	}
}
