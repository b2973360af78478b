// Package admission holds the admission policies that stand in for a validating
// and mutating webhook where none runs: what the CRDs cannot express because it
// depends on who asks, or on metadata. The API server evaluates them itself, so
// there is nothing to run, to certify or to be down.
//
// They enforce, on CertificateRequests:
//   - approval.yaml: setting the condition Approved or Denied needs the verb
//     approve on the signer;
//   - identity.yaml: spec.username, uid, groups and extra are the requester's;
//   - annotations.yaml: annotations of cert-manager do not change.
//
// The rules that only look at the object are in the CRDs.
package admission

import "embed"

// Policies is policies/*.yaml: ValidatingAdmissionPolicies,
// MutatingAdmissionPolicies and their bindings, of
// admissionregistration.k8s.io/v1.
//
//go:embed policies/*.yaml
var Policies embed.FS
