package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// An Order is an order at an ACME server (RFC 8555, section 7.1.3). It is made
// for a CertificateRequest and shows how far the CA is with it. Users have no
// need to make one.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories={cert-manager,cert-manager-acme}
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="State",type="string",JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Issuer",type="string",JSONPath=`.spec.issuerRef.name`,priority=1
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.group`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.name`
type Order struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is what is ordered.
	Spec OrderSpec `json:"spec"`
	// Status is how far the order is. Controllers write it.
	// +optional
	Status OrderStatus `json:"status,omitzero"`
}

// OrderList is a list of Orders.
//
// +kubebuilder:object:root=true
type OrderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Order `json:"items"`
}

// OrderSpec is what is ordered.
type OrderSpec struct {
	// Request is the certificate signing request (PKCS#10, RFC 2986) in PEM,
	// in base64 as all bytes are. It cannot be changed.
	Request []byte `json:"request"`
	// IssuerRef names the ACME issuer.
	IssuerRef cmmeta.IssuerReference `json:"issuerRef"`
	// CommonName of the request. It must also be in dnsNames or ipAddresses.
	// +optional
	CommonName string `json:"commonName,omitempty"`
	// DNSNames to order a certificate for.
	// +optional
	// +listType=atomic
	DNSNames []string `json:"dnsNames,omitempty"`
	// IPAddresses to order a certificate for (RFC 8738).
	// +optional
	// +listType=atomic
	IPAddresses []string `json:"ipAddresses,omitempty"`
	// Duration is the lifetime to ask for, as a Go duration such as 2160h. If
	// it is not set, the CA chooses.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
	// Profile is the name of the CA's certificate profile to ask for. If it is
	// not set, the CA chooses.
	// +optional
	Profile string `json:"profile,omitempty"`
	// Replaces identifies the certificate that this one replaces, so that the
	// CA can tell a renewal (RFC 9773, section 5).
	// +optional
	Replaces string `json:"replaces,omitempty"`
}

// OrderStatus is how far an order is.
type OrderStatus struct {
	// URL of the order. Once set it cannot be changed.
	// +optional
	URL string `json:"url,omitempty"`
	// FinalizeURL is where the certificate signing request goes once all names
	// are proven. Once set it cannot be changed.
	// +optional
	FinalizeURL string `json:"finalizeURL,omitempty"`
	// Authorizations are the proofs that the CA wants, one for each name. Once
	// they are complete they cannot be changed.
	// +optional
	// +listType=atomic
	Authorizations []ACMEAuthorization `json:"authorizations,omitempty"`
	// Certificate is the signed certificate in PEM, followed by the
	// certificates of its issuers, in base64 as all bytes are. Once set it
	// cannot be changed.
	// +optional
	Certificate []byte `json:"certificate,omitempty"`
	// State of the order. Empty means that it is not known yet; valid, invalid,
	// expired and errored are final.
	// +optional
	State State `json:"state,omitempty"`
	// Reason says in words why the order is in its state.
	// +optional
	Reason string `json:"reason,omitempty"`
	// FailureTime is when the order failed for good. It is not set if it did
	// not.
	// +optional
	FailureTime *metav1.Time `json:"failureTime,omitempty"`
}

// ACMEAuthorization is a proof that the CA wants for a name (RFC 8555, section
// 7.1.4).
type ACMEAuthorization struct {
	// URL of the authorization.
	URL string `json:"url"`
	// Identifier is the DNS name, without a leading *., or the IP address to
	// prove control of.
	// +optional
	Identifier string `json:"identifier,omitempty"`
	// Wildcard tells whether the proof is for *. before the identifier.
	// +optional
	Wildcard *bool `json:"wildcard,omitempty"`
	// InitialState is the state of the authorization when it was first seen.
	// One that was valid then needs no challenge.
	// +optional
	InitialState State `json:"initialState,omitempty"`
	// Challenges are the ways to prove control of the name that the CA offers.
	// One of them is enough.
	// +optional
	// +listType=atomic
	Challenges []ACMEChallenge `json:"challenges,omitempty"`
}

// ACMEChallenge is a way to prove control of a name (RFC 8555, section 7.1.5).
type ACMEChallenge struct {
	// URL of the challenge.
	URL string `json:"url"`
	// Token of the challenge. It is empty for types that have none.
	Token string `json:"token"`
	// Type of the challenge as the CA names it, such as http-01 or dns-01.
	Type string `json:"type"`
}

// State is the state of an order, an authorization or a challenge. It is that
// of RFC 8555, section 7.1.6, and errored for failures that the CA gives no
// state for.
//
// +kubebuilder:validation:Enum=valid;ready;pending;processing;invalid;expired;errored
type State string

const (
	// Unknown means that the state is not known yet.
	Unknown State = ""
	// Valid means that it succeeded. It is final.
	Valid State = "valid"
	// Ready means that an order may be finalized.
	Ready State = "ready"
	// Pending means that something is still to be done.
	Pending State = "pending"
	// Processing means that the CA is at work.
	Processing State = "processing"
	// Invalid means that the CA refused it. It is final.
	Invalid State = "invalid"
	// Expired means that it took too long. It is final.
	Expired State = "expired"
	// Errored means that the CA cannot be asked for it. It is final.
	Errored State = "errored"
)

// Failed tells whether the state is one of failure: invalid, expired or
// errored.
func (s State) Failed() bool {
	return s == Invalid || s == Expired || s == Errored
}

// Final tells whether the state never changes again: valid or one of failure.
func (s State) Final() bool {
	return s == Valid || s.Failed()
}
