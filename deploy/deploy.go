// Package deploy holds the manifests that everleaf needs in a cluster besides
// the CRDs. Apply this directory, and the directory policies too where no
// webhook of cert-manager's API runs.
package deploy

import "embed"

var (
	// Base is the namespace, the service account and the roles.
	//
	//go:embed namespace.yaml rbac.yaml
	Base embed.FS

	// Policies is the admission policies and their bindings, of
	// admissionregistration.k8s.io/v1, which Kubernetes 1.36 has. Their rules
	// are in package internal/admission.
	//
	//go:embed policies/*.yaml
	Policies embed.FS
)
