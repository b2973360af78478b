// Package v1 is the API group acme.cert-manager.io, version v1: Order and
// Challenge, and the parts of an Issuer that configure ACME (RFC 8555).
//
// +kubebuilder:object:generate=true
// +groupName=acme.cert-manager.io
package v1
