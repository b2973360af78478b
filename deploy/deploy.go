// Package deploy holds manifests that are generated from the Helm chart: for people
// without Helm (everleaf.yaml, and everleaf-policies.yaml for a cluster without the
// webhook), and what `everleaf local` installs besides the CRDs.
package deploy

import "embed"

// Object is the identity of a cluster-scoped object.
type Object struct{ Group, Version, Kind, Name string }

// Retired is the policies and bindings that earlier versions installed and
// this version does not have. Delete them after the new policies are applied:
// an apply does not, and they would refuse what the new policies accept. A
// policy that is renamed or removed is added here.
func Retired() []Object {
	const group = "admissionregistration.k8s.io"
	var all []Object
	// A binding goes before its policy, so that none is left without one.
	for _, suffix := range []string{"Binding", ""} {
		all = append(all,
			Object{group, "v1", "ValidatingAdmissionPolicy" + suffix, "certificaterequest-annotations.cert-manager.io"},
			Object{group, "v1", "ValidatingAdmissionPolicy" + suffix, "certificaterequest-approval.cert-manager.io"},
			Object{group, "v1", "ValidatingAdmissionPolicy" + suffix, "certificaterequest-identity.cert-manager.io"},
			Object{group, "v1", "MutatingAdmissionPolicy" + suffix, "certificaterequest-identity.cert-manager.io"},
		)
	}
	return all
}

var (
	// Base is the namespace, the service account and the roles.
	//
	//go:embed base/*.yaml
	Base embed.FS

	// Policies is the admission policies and their bindings, of
	// admissionregistration.k8s.io/v1, which Kubernetes 1.36 has. Their rules
	// are in package internal/admission. All of them have the label
	// app.kubernetes.io/part-of: everleaf.
	//
	//go:embed policies/*.yaml
	Policies embed.FS
)
