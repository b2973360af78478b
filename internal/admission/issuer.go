package admission

func issuers() policy {
	return policy{
		Name: "issuers.cert-manager.io",
		About: `What an Issuer or a ClusterIssuer may say. Writes that leave the spec as it is
			are not looked at.`,
		Resources: []resources{{certManager, []string{"issuers", "clusterissuers"}, writes}},
		Concerns:  specChanged,
		Variables: []expression{specVariable},
		Rules: spec.oneOf([]option{
			{name: "acme", rules: acmeIssuer(spec.in("acme"))},
			{name: "ca", rules: caIssuer(spec.in("ca"))},
			{name: "selfSigned"},
			{name: "vault", rules: vaultIssuer(spec.in("vault"))},
			{name: "venafi", rules: venafiIssuer(spec.in("venafi"))},
		}, "may not specify more than one issuer type", "at least one issuer must be configured"),
	}
}

const specified = "must be specified"

func acmeIssuer(s field) []rule {
	const exclusive = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set"
	bundle, skip, binding := s.in("caBundle"), s.in("skipTLSVerify"), s.in("externalAccountBinding")
	each := s.in("solvers").entry("i", "solver")
	return []rule{
		s.in("privateKeySecretRef.name").required("private key secret name is a required field"),
		s.in("server").required("acme server URL is a required field"),
		when(bundle.set()+" && "+skip.or("false"),
			bundle.shows("true", `""`, exclusive),
			skip.shows("true", "true", exclusive),
		),
		certificatesIn(bundle, `""`),
		when(binding.there(), append(
			[]rule{binding.in("keyID").required("the keyID field is required when using externalAccountBinding")},
			binding.in("keySecretRef").selects()...,
		)...),
		each.each(solver(each.field)...),
	}
}

// certificatesIn is the rule that a bundle has a certificate.
func certificatesIn(bundle field, shown string) check {
	return bundle.shows(bundle.set()+" && !"+bundle.holdsPEM("CERTIFICATE-----"), shown, "cert bundle didn't contain any valid certificates")
}

func caIssuer(s field) []rule {
	// The webhook leaves the s of ocspServers out.
	server, url := s.in("ocspServers").as("spec.ca.ocspServer").entry("i", "url"), s.in("issuingCertificateURLs").entry("i", "url")
	return []rule{
		s.in("secretName").required(specified),
		server.each(server.shows("url == ''", `""`, "must be a valid URL, e.g., http://ocsp.int-x3.letsencrypt.org")),
		url.each(url.shows("url == ''", `""`, "must be a valid URL")),
	}
}

func vaultIssuer(s field) []rule {
	const snip = `"<snip>"`
	bundle, ref := s.in("caBundle"), s.in("caBundleSecretRef")
	certificate, key, auth := s.in("clientCertSecretRef"), s.in("clientKeySecretRef"), s.in("auth")
	return append([]rule{
		s.in("server").required(specified),
		s.in("path").required(specified),
		stays(s.in("path")),
		certificatesIn(bundle, snip),
		when(bundle.set()+" && "+ref.there(),
			bundle.shows("true", snip, "specified caBundle and caBundleSecretRef cannot be used together"),
			ref.invalid("true", ref.in("name").text(), "specified caBundleSecretRef and caBundle cannot be used together"),
		),
		key.shows(certificate.there()+" && !"+key.there(), snip, "clientKeySecretRef must be provided when defining the clientCertSecretRef"),
		certificate.shows(key.there()+" && !"+certificate.there(), snip, "clientCertSecretRef must be provided when defining the clientKeySecretRef"),
		auth.missing(
			auth.lacks("appRole", "kubernetes", "tokenSecretRef", "clientCertificate", "aws"),
			"please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws",
		),
	}, vaultAuth(auth)...)
}

// stays is the rule that a path does not leave its place.
func stays(path field) check {
	return path.invalid(path.text()+".matches('(^|/)[.][.](/|$)')", path.text(), "must not contain '..' path segments")
}

func vaultAuth(s field) []rule {
	const oneOf = "please supply one of: secretRef, serviceAccountRef"
	appRole, client, kubernetes, aws := s.in("appRole"), s.in("clientCertificate"), s.in("kubernetes"), s.in("aws")
	secret, account, irsa := kubernetes.in("secretRef.name").set(), kubernetes.in("serviceAccountRef"), aws.in("serviceAccountRef")
	return []rule{
		when(appRole.there(),
			appRole.in("roleId").required(specified), appRole.in("secretRef.name").required(specified), stays(appRole.in("path")),
		),
		when(client.there(), stays(client.in("mountPath").as(client.path+".path"))),
		when(kubernetes.there(),
			kubernetes.in("role").required(specified), stays(kubernetes.in("mountPath").as(kubernetes.path+".path")),
			kubernetes.missing("!("+secret+") && !"+account.there(), oneOf),
			kubernetes.forbidden(secret+" && "+account.there(), oneOf),
			when(account.there(), account.in("name").required(specified)),
		),
		when(aws.there(),
			stays(aws.in("mountPath")),
			when(irsa.there(),
				irsa.in("name").required(specified),
				aws.in("iamRoleArn").required("iamRoleArn is required when using serviceAccountRef for IRSA"),
			),
		),
	}
}

func venafiIssuer(s field) []rule {
	tpp, ngts := s.in("tpp"), s.in("ngts")
	// That there is exactly one backend is a rule of the CRD, cert-manager's own.
	return []rule{
		s.in("zone").required(specified),
		when(tpp.there(),
			tpp.in("url").required(specified),
			tpp.forbidden(tpp.in("caBundle").set()+" && "+tpp.in("caBundleSecretRef").there(),
				"may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle"),
		),
		when(ngts.there(), ngts.in("tsgID").required(specified), ngts.in("credentialsRef.name").required(specified)),
	}
}
