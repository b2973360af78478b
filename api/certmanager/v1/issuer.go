package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	cmacme "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// An Issuer signs certificates for the namespace that it is in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=iss,categories=cert-manager
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].status`
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Issuer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is how the issuer signs.
	Spec IssuerSpec `json:"spec"`
	// Status tells whether the issuer works. Controllers write it.
	// +optional
	Status IssuerStatus `json:"status,omitzero"`
}

// IssuerList is a list of Issuers.
//
// +kubebuilder:object:root=true
type IssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Issuer `json:"items"`
}

// A ClusterIssuer signs certificates for all namespaces. The Secrets that it
// refers to are in the cluster resource namespace, which is an option of the
// controller.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=ciss,categories=cert-manager
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].status`
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type ClusterIssuer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is how the issuer signs.
	Spec IssuerSpec `json:"spec"`
	// Status tells whether the issuer works. Controllers write it.
	// +optional
	Status IssuerStatus `json:"status,omitzero"`
}

// ClusterIssuerList is a list of ClusterIssuers.
//
// +kubebuilder:object:root=true
type ClusterIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterIssuer `json:"items"`
}

// GenericIssuer is an Issuer or a ClusterIssuer.
//
// +kubebuilder:object:generate=false
type GenericIssuer interface {
	runtime.Object
	metav1.Object

	// GetSpec returns the spec itself, not a copy.
	GetSpec() *IssuerSpec
	// GetStatus returns the status itself, not a copy.
	GetStatus() *IssuerStatus
}

var (
	_ GenericIssuer = (*Issuer)(nil)
	_ GenericIssuer = (*ClusterIssuer)(nil)
)

// GetSpec returns the spec itself, not a copy.
func (i *Issuer) GetSpec() *IssuerSpec { return &i.Spec }

// GetStatus returns the status itself, not a copy.
func (i *Issuer) GetStatus() *IssuerStatus { return &i.Status }

// GetSpec returns the spec itself, not a copy.
func (i *ClusterIssuer) GetSpec() *IssuerSpec { return &i.Spec }

// GetStatus returns the status itself, not a copy.
func (i *ClusterIssuer) GetStatus() *IssuerStatus { return &i.Status }

// IssuerSpec is how an issuer signs. Exactly one type of issuer must be
// configured.
type IssuerSpec struct {
	IssuerConfig `json:",inline"`
}

// IssuerConfig holds the configuration of one type of issuer.
type IssuerConfig struct {
	// ACME asks a CA that speaks ACME (RFC 8555), such as Let's Encrypt.
	// +optional
	ACME *cmacme.ACMEIssuer `json:"acme,omitempty"`
	// CA signs with the key of a CA that is in a Secret.
	// +optional
	CA *CAIssuer `json:"ca,omitempty"`
	// Vault asks the PKI engine of a HashiCorp Vault or OpenBao.
	// +optional
	Vault *VaultIssuer `json:"vault,omitempty"`
	// SelfSigned signs each certificate with its own private key.
	// +optional
	SelfSigned *SelfSignedIssuer `json:"selfSigned,omitempty"`
	// Venafi asks CyberArk Certificate Manager, formerly Venafi.
	// +optional
	Venafi *VenafiIssuer `json:"venafi,omitempty"`
}

// SelfSignedIssuer signs each certificate with its own private key.
type SelfSignedIssuer struct {
	// CRLDistributionPoints are the URLs of certificate revocation lists to
	// write into each certificate (RFC 5280, section 4.2.1.13).
	// +optional
	// +listType=atomic
	CRLDistributionPoints []string `json:"crlDistributionPoints,omitempty"`
}

// CAIssuer signs with the key of a CA.
type CAIssuer struct {
	// SecretName is the Secret that holds the CA's certificate with its chain
	// (tls.crt) and its private key (tls.key).
	SecretName string `json:"secretName"`
	// CRLDistributionPoints are the URLs of certificate revocation lists to
	// write into each certificate (RFC 5280, section 4.2.1.13).
	// +optional
	// +listType=atomic
	CRLDistributionPoints []string `json:"crlDistributionPoints,omitempty"`
	// OCSPServers are the URLs of OCSP responders to write into each
	// certificate (RFC 5280, section 4.2.2.1).
	// +optional
	// +listType=atomic
	OCSPServers []string `json:"ocspServers,omitempty"`
	// IssuingCertificateURLs are URLs of the CA's certificate to write into
	// each certificate (RFC 5280, section 4.2.2.1).
	// +optional
	// +listType=atomic
	IssuingCertificateURLs []string `json:"issuingCertificateURLs,omitempty"`
}

// IssuerStatus tells whether an issuer works.
type IssuerStatus struct {
	// Conditions of the issuer. Ready tells whether it can sign, and if not
	// why.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []IssuerCondition `json:"conditions,omitempty"`
	// ACME is the account at the ACME server.
	// +optional
	ACME *cmacme.ACMEIssuerStatus `json:"acme,omitempty"`
}

// IssuerCondition is a condition of an issuer.
type IssuerCondition struct {
	// Type of the condition: Ready. Others may add their own.
	Type IssuerConditionType `json:"type"`
	// Status of the condition: True, False or Unknown.
	Status cmmeta.ConditionStatus `json:"status"`
	// LastTransitionTime is when status last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// Reason is one word for why the condition is as it is.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says in words why the condition is as it is.
	// +optional
	Message string `json:"message,omitempty"`
	// ObservedGeneration is the metadata.generation for which the condition
	// was set. If it is smaller than the present one, the condition is out of
	// date.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// IssuerConditionType is a type of condition of an issuer.
type IssuerConditionType string

// IssuerConditionReady is True if the issuer can sign.
const IssuerConditionReady IssuerConditionType = "Ready"
