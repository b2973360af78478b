// Package admission has the rules for objects beyond the schema of the CRDs, and
// writes them as admission policies, in CEL, for the API server to evaluate. They
// stand in for cert-manager's validating webhook where none runs: there is
// nothing to run, to certify or to be down.
//
// Each rule stands here once: what it looks at, when an object breaks it, and the
// error, in the webhook's words and with the path of the field. What the webhook
// takes, the policies take, at most with a warning. Package validation has the
// same rules for the webhook, and both are held to the objects of package
// validationtest. What needs parsing that CEL cannot do (a CSR, a literal subject,
// a cron expression, a bundle of certificates) is left to the controllers.
//
// The policies have no way to lock an object for ever: rules about a spec are not
// looked at if a write leaves it as it is, no rule decodes a byte field, and
// a CertificateRequest is compared as a client in Go compares it, who writes a
// duration in another way than it read it. Lists are looked at as far as the API
// server's limits on CEL allow.
//
// The policy that sets the identity of a requester is a mutation and no rule; its
// manifest, deploy/policies/identity.yaml, is written by hand.
package admission

import "strings"

//go:generate go run ./generate ../../deploy/policies

func policies() []policy {
	return []policy{certificates(), certificatesAdvice(), certificateRequests(), approval(), issuers(), orders(), challenges(), decodable()}
}

// Manifests returns the policies as YAML, by file name: the first part of a
// policy's name.
func Manifests() map[string]string {
	files := map[string]string{}
	for _, policy := range policies() {
		name, _, _ := strings.Cut(policy.Name, ".")
		var text strings.Builder
		if err := manifest.Execute(&text, policy); err != nil {
			panic(err)
		}
		files[name+".yaml"] = text.String()
	}
	return files
}
