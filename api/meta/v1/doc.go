// Package v1 holds the types that the API groups cert-manager.io and
// acme.cert-manager.io share. It is no API group of its own.
//
// +kubebuilder:object:generate=true
package v1
