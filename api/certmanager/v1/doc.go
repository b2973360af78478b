// Package v1 is the API group cert-manager.io, version v1: Certificate,
// CertificateRequest, Issuer and ClusterIssuer.
//
// +kubebuilder:object:generate=true
// +groupName=cert-manager.io
package v1
