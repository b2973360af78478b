package facts

import (
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// The specs of Orders and Challenges are inputs to check, never to trust: who
// may write one must not thereby reach the credentials of an issuer
// (GHSA-8rvj-mm4h-c258). An Order counts only if an approved request calls for
// it, a Challenge only if such an Order and the issuer's solvers do.

// SameIssuer reports whether two references mean one issuer; an empty kind is
// Issuer, an empty group cert-manager.io.
func SameIssuer(a, b cmmeta.IssuerReference) bool {
	return a.Equal(b)
}

// IssuerKind is a reference's kind, with the default.
func IssuerKind(r cmmeta.IssuerReference) string {
	return r.WithDefaults().Kind
}

// IssuerGroup is a reference's group, with the default.
func IssuerGroup(r cmmeta.IssuerReference) string {
	return r.WithDefaults().Group
}

// OwnIssuer reports whether a reference is to an issuer of ours.
func OwnIssuer(r cmmeta.IssuerReference) bool {
	kind := IssuerKind(r)
	return IssuerGroup(r) == cmv1.SchemeGroupVersion.Group && (kind == cmv1.IssuerKind || kind == cmv1.ClusterIssuerKind)
}

// IssuerType is what kind of issuer a spec configures.
type IssuerType string

// The issuer types of the API.
const (
	IssuerUnset      IssuerType = ""
	IssuerACME       IssuerType = "acme"
	IssuerCA         IssuerType = "ca"
	IssuerSelfSigned IssuerType = "selfsigned"
	IssuerVault      IssuerType = "vault"
	IssuerVenafi     IssuerType = "venafi"
)

// TypeOf returns the one type that an issuer's spec configures.
func TypeOf(spec *cmv1.IssuerSpec) IssuerType {
	switch {
	case spec.ACME != nil:
		return IssuerACME
	case spec.CA != nil:
		return IssuerCA
	case spec.SelfSigned != nil:
		return IssuerSelfSigned
	case spec.Vault != nil:
		return IssuerVault
	case spec.Venafi != nil:
		return IssuerVenafi
	default:
		return IssuerUnset
	}
}

// Issuer is what a request needs to know of the issuer that it names.
type Issuer struct {
	Spec *cmv1.IssuerSpec
	// Supported reports that this version has issuers of its type.
	Supported bool
	Ready     bool
	// Message is that of the Ready condition, empty if there is none yet.
	Message string
}
