package crds

// issuerCases are for the spec of an issuer, in an object that wrap makes.
func issuerCases(wrap func(string) string) map[string]ruleCase {
	const (
		two      = "spec: may not specify more than one issuer type"
		dots     = ": must not contain a '..' path segment"
		empty    = ": must not be empty"
		must     = ": must be specified"
		together = ".caBundle: specified caBundle and caBundleSecretRef cannot be used together"
	)
	acme := func(fields string) string {
		return wrap(`acme: {server: "https://a", privateKeySecretRef: {name: a}, ` + fields + `}`)
	}
	binding := func(fields string) string { return acme(`externalAccountBinding: {` + fields + `}`) }
	vault := func(fields, auth string) string {
		return wrap(`vault: {server: "https://a", path: pki/sign/a, ` + fields + ` auth: {` + auth + `}}`)
	}
	tpp := func(fields string) string { return wrap(`venafi: {zone: a, tpp: {` + fields + `}}`) }
	ngts := func(fields string) string { return wrap(`venafi: {zone: a, ngts: {` + fields + `}}`) }
	const token = `tokenSecretRef: {name: a}`
	return map[string]ruleCase{
		"none":            {object: wrap(``), want: []string{"spec: at least one issuer must be configured"}},
		"two":             {object: wrap(`selfSigned: {}, ca: {secretName: a}`), want: []string{two}},
		"self-signed":     {object: wrap(`selfSigned: {crlDistributionPoints: ["http://a"]}`)},
		"empty CRL":       {object: wrap(`selfSigned: {crlDistributionPoints: ["http://a", ""]}`), want: []string{"spec.selfSigned.crlDistributionPoints[1]" + empty}},
		"CA":              {object: wrap(`ca: {secretName: a, crlDistributionPoints: [a], ocspServers: [a], issuingCertificateURLs: [a]}`)},
		"CA, no Secret":   {object: wrap(`ca: {secretName: ""}`), want: []string{"spec.ca.secretName" + must}},
		"CA, empty CRL":   {object: wrap(`ca: {secretName: a, crlDistributionPoints: [""]}`), want: []string{"spec.ca.crlDistributionPoints[0]" + empty}},
		"CA, empty OCSP":  {object: wrap(`ca: {secretName: a, ocspServers: [""]}`), want: []string{"spec.ca.ocspServers[0]" + empty}},
		"CA, empty URL":   {object: wrap(`ca: {secretName: a, issuingCertificateURLs: [""]}`), want: []string{"spec.ca.issuingCertificateURLs[0]" + empty}},
		"ACME":            {object: acme(`email: a@a.example, caBundle: YQ==, skipTLSVerify: false`)},
		"ACME, no server": {object: wrap(`acme: {server: "", privateKeySecretRef: {name: a}}`), want: []string{"spec.acme.server: acme server URL is a required field"}},
		"ACME, no Secret": {object: wrap(`acme: {server: a, privateKeySecretRef: {name: ""}}`), want: []string{"spec.acme.privateKeySecretRef.name: private key secret name is a required field"}},
		"ACME, no check":  {object: acme(`skipTLSVerify: true`)},
		"ACME, bundle without check": {
			object: acme(`caBundle: YQ==, skipTLSVerify: true`),
			want:   []string{"spec.acme.caBundle: caBundle and skipTLSVerify are mutually exclusive and cannot both be set"},
		},
		"binding":            {object: binding(`keyID: a, keySecretRef: {name: a, key: a}, keyAlgorithm: HS512`)},
		"binding, no id":     {object: binding(`keyID: "", keySecretRef: {name: a, key: a}`), want: []string{"spec.acme.externalAccountBinding.keyID" + must}},
		"binding, no Secret": {object: binding(`keyID: a, keySecretRef: {name: "", key: a}`), want: []string{"spec.acme.externalAccountBinding.keySecretRef.name: secret name is required"}},
		"binding, no key":    {object: binding(`keyID: a, keySecretRef: {name: a}`), want: []string{"spec.acme.externalAccountBinding.keySecretRef.key: secret key is required"}},

		"Vault":              {object: vault(`clientCertSecretRef: {name: a}, clientKeySecretRef: {name: a}, caBundleSecretRef: {name: a},`, token)},
		"Vault, dotted path": {object: wrap(`vault: {server: a, path: a..b/.c/..., auth: {` + token + `}}`)},
		"Vault, no server":   {object: wrap(`vault: {server: "", path: a, auth: {` + token + `}}`), want: []string{"spec.vault.server" + must}},
		"Vault, no path":     {object: wrap(`vault: {server: a, path: "", auth: {` + token + `}}`), want: []string{"spec.vault.path" + must}},
		"Vault, up":          {object: wrap(`vault: {server: a, path: a/../b, auth: {` + token + `}}`), want: []string{"spec.vault.path" + dots}},
		"Vault, no auth":     {object: vault(``, ``), want: []string{"spec.vault.auth: please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws"}},
		"Vault, two bundles": {object: vault(`caBundle: YQ==, caBundleSecretRef: {name: a},`, token), want: []string{"spec.vault" + together}},
		"Vault, no key":      {object: vault(`clientCertSecretRef: {name: a},`, token), want: []string{"spec.vault: clientCertSecretRef and clientKeySecretRef must be set together"}},
		"Vault, app role":    {object: vault(``, `appRole: {path: approle, roleId: a, secretRef: {name: a}}`)},
		"Vault, app role up": {object: vault(``, `appRole: {path: .., roleId: a, secretRef: {name: a}}`), want: []string{"spec.vault.auth.appRole.path" + dots}},
		"Vault, client up":   {object: vault(``, `clientCertificate: {mountPath: ../a}`), want: []string{"spec.vault.auth.clientCertificate.mountPath" + dots}},
		"Vault, cluster":     {object: vault(``, `kubernetes: {role: a, mountPath: /v1/auth/kubernetes}`)},
		"Vault, cluster up":  {object: vault(``, `kubernetes: {role: a, mountPath: a/..}`), want: []string{"spec.vault.auth.kubernetes.mountPath" + dots}},
		"Vault, AWS up":      {object: vault(``, `aws: {role: a, mountPath: /../a}`), want: []string{"spec.vault.auth.aws.mountPath" + dots}},

		"self-hosted":              {object: tpp(`url: a, credentialsRef: {name: a}, caBundle: YQ==`)},
		"self-hosted, no URL":      {object: tpp(`url: "", credentialsRef: {name: a}`), want: []string{"spec.venafi.tpp.url" + must}},
		"self-hosted, no Secret":   {object: tpp(`url: a, credentialsRef: {name: ""}`), want: []string{"spec.venafi.tpp.credentialsRef.name" + must}},
		"self-hosted, two bundles": {object: tpp(`url: a, credentialsRef: {name: a}, caBundle: YQ==, caBundleSecretRef: {name: a}`), want: []string{"spec.venafi.tpp" + together}},
		"SaaS":                     {object: wrap(`venafi: {zone: a, cloud: {apiTokenSecretRef: {name: a}}}`)},
		"SaaS, no zone":            {object: wrap(`venafi: {zone: "", cloud: {apiTokenSecretRef: {name: a}}}`), want: []string{"spec.venafi.zone" + must}},
		"two backends": {
			object: wrap(`venafi: {zone: a, cloud: {apiTokenSecretRef: {name: a}}, tpp: {url: a, credentialsRef: {name: a}}}`),
			want:   []string{"spec.venafi: exactly one of tpp, cloud, or ngts must be configured"},
		},
		"odd time": {
			object: withStatus(wrap(`selfSigned: {}`), `conditions: [{type: A, status: "True", lastTransitionTime: `+odd+`}]`),
			want:   []string{"status.conditions[0].lastTransitionTime" + notTime},
		},
		"NGTS":            {object: ngts(`tsgID: a, credentialsRef: {name: a}`)},
		"NGTS, no tenant": {object: ngts(`tsgID: "", credentialsRef: {name: a}`), want: []string{"spec.venafi.ngts.tsgID" + must}},
		"NGTS, no Secret": {object: ngts(`tsgID: a, credentialsRef: {name: ""}`), want: []string{"spec.venafi.ngts.credentialsRef.name" + must}},
	}
}
