package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// A Challenge proves control of a name to an ACME server (RFC 8555, section
// 7.5.1). It is made for an Order, shows how far the proof is, and goes away
// when the Order is done. Users have no need to make one.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories={cert-manager,cert-manager-acme}
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="State",type="string",JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Domain",type="string",JSONPath=`.spec.dnsName`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.group`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.name`
type Challenge struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is what is to be proven and how. It cannot be changed.
	Spec ChallengeSpec `json:"spec"`
	// Status is how far the proof is. Controllers write it.
	// +optional
	Status ChallengeStatus `json:"status,omitzero"`
}

// ChallengeList is a list of Challenges.
//
// +kubebuilder:object:root=true
type ChallengeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Challenge `json:"items"`
}

// ChallengeSpec is what is to be proven and how.
type ChallengeSpec struct {
	// URL of the challenge at the ACME server.
	URL string `json:"url"`
	// AuthorizationURL is the URL of the authorization that the challenge
	// belongs to.
	AuthorizationURL string `json:"authorizationURL"`
	// DNSName is the DNS name, without a leading *., or the IP address to prove
	// control of.
	DNSName string `json:"dnsName"`
	// Wildcard tells whether the proof is for *. before the name.
	// +optional
	Wildcard bool `json:"wildcard"`
	// Type of the challenge: HTTP-01 or DNS-01.
	Type ACMEChallengeType `json:"type"`
	// Token of the challenge.
	Token string `json:"token"`
	// Key is what to present: for HTTP-01 the key authorization (RFC 8555,
	// section 8.1), for DNS-01 the value of the TXT record.
	Key string `json:"key"`
	// Solver of the issuer that is used, as it was when the Challenge was made.
	Solver ACMEChallengeSolver `json:"solver"`
	// IssuerRef names the ACME issuer.
	IssuerRef cmmeta.IssuerReference `json:"issuerRef"`
}

// ACMEChallengeType is a type of challenge.
//
// +kubebuilder:validation:Enum=HTTP-01;DNS-01
type ACMEChallengeType string

const (
	// ACMEChallengeTypeHTTP01 is RFC 8555, section 8.3.
	ACMEChallengeTypeHTTP01 ACMEChallengeType = "HTTP-01"
	// ACMEChallengeTypeDNS01 is RFC 8555, section 8.4.
	ACMEChallengeTypeDNS01 ACMEChallengeType = "DNS-01"
)

// ChallengeStatus is how far a proof is.
type ChallengeStatus struct {
	// Processing tells whether the challenge is being worked on. It is false
	// before its turn and after its end.
	// +optional
	Processing bool `json:"processing"`
	// Presented tells whether the token or the TXT record has been put in
	// place. It need not be visible to the CA yet.
	// +optional
	Presented bool `json:"presented"`
	// PresentedAt is when the token or the TXT record was first put in place.
	// +optional
	PresentedAt *metav1.Time `json:"presentedAt,omitempty"`
	// Reason says in words why the challenge is in its state and what it waits
	// for.
	// +optional
	Reason string `json:"reason,omitempty"`
	// State of the challenge. Empty means that it is not known yet; valid,
	// invalid, expired and errored are final.
	// +optional
	State State `json:"state,omitempty"`
}
