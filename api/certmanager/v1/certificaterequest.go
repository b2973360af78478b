package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// A CertificateRequest asks an issuer once to sign a certificate signing
// request. A Certificate makes one for each issuance; anyone else may make one
// too. It is signed after it has been approved, and its spec never changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName={cr,crs},categories=cert-manager
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Approved",type="string",JSONPath=`.status.conditions[?(@.type == "Approved")].status`
// +kubebuilder:printcolumn:name="Denied",type="string",JSONPath=`.status.conditions[?(@.type == "Denied")].status`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].status`
// +kubebuilder:printcolumn:name="Issuer",type="string",JSONPath=`.spec.issuerRef.name`
// +kubebuilder:printcolumn:name="Requester",type="string",JSONPath=`.spec.username`
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.group`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.name`
type CertificateRequest struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is asked for. It cannot be changed.
	// +optional
	Spec CertificateRequestSpec `json:"spec,omitzero"`
	// Status is the answer. Approvers and issuers write it.
	// +optional
	Status CertificateRequestStatus `json:"status,omitzero"`
}

// CertificateRequestList is a list of CertificateRequests.
//
// +kubebuilder:object:root=true
type CertificateRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []CertificateRequest `json:"items"`
}

// CertificateRequestSpec is what is asked for.
type CertificateRequestSpec struct {
	// Duration is the lifetime to ask for, as a Go duration such as 2160h.
	// Issuers may grant another one.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
	// IssuerRef names the issuer. An Issuer is looked for in the namespace of
	// this CertificateRequest; a ClusterIssuer serves all namespaces.
	IssuerRef cmmeta.IssuerReference `json:"issuerRef"`
	// Request is the certificate signing request (PKCS#10, RFC 2986) in PEM,
	// in base64 as all bytes are.
	Request []byte `json:"request"`
	// IsCA asks for a certificate that may sign others.
	// +optional
	IsCA bool `json:"isCA,omitempty"`
	// Usages are the key usages and extended key usages to ask for. If there
	// are none, they are "digital signature" and "key encipherment". Where the
	// certificate signing request carries usages, they must be the same.
	// +optional
	// +listType=atomic
	Usages []KeyUsage `json:"usages,omitempty"`

	// Username of the user who made this request. The API server fills it in;
	// what the user writes is not kept.
	// +optional
	Username string `json:"username,omitempty"`
	// UID of the user who made this request. The API server fills it in.
	// +optional
	UID string `json:"uid,omitempty"`
	// Groups of the user who made this request. The API server fills them in.
	// +optional
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`
	// Extra holds further attributes of the user who made this request. The
	// API server fills them in.
	// +optional
	Extra map[string][]string `json:"extra,omitempty"`
}

// CertificateRequestStatus is the answer to a request.
type CertificateRequestStatus struct {
	// Conditions of the request. Approved and Denied are the decision of an
	// approver, can only be set to True and never change again. Ready tells
	// whether the certificate is there, and with reason Pending, Failed or
	// Denied why it is not. InvalidRequest means that it never will be.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []CertificateRequestCondition `json:"conditions,omitempty"`
	// Certificate is the signed certificate in PEM, followed by the
	// certificates of its issuers, in base64 as all bytes are.
	// +optional
	Certificate []byte `json:"certificate,omitempty"`
	// CA is the certificate in PEM of the topmost CA that the issuer knows, in
	// base64 as all bytes are. Many issuers do not know one.
	// +optional
	CA []byte `json:"ca,omitempty"`
	// FailureTime is when the request failed for good. It is not set if it did
	// not.
	// +optional
	FailureTime *metav1.Time `json:"failureTime,omitempty"`
}

// CertificateRequestCondition is a condition of a CertificateRequest.
type CertificateRequestCondition struct {
	// Type of the condition: Approved, Denied, Ready or InvalidRequest. Others
	// may add their own.
	Type CertificateRequestConditionType `json:"type"`
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
}

// CertificateRequestConditionType is a type of condition of a
// CertificateRequest.
type CertificateRequestConditionType string

const (
	// CertificateRequestConditionReady is True if the certificate is there.
	CertificateRequestConditionReady CertificateRequestConditionType = "Ready"
	// CertificateRequestConditionInvalidRequest is True if the request can
	// never be signed as it is.
	CertificateRequestConditionInvalidRequest CertificateRequestConditionType = "InvalidRequest"
	// CertificateRequestConditionApproved is True if the request may be
	// signed.
	CertificateRequestConditionApproved CertificateRequestConditionType = "Approved"
	// CertificateRequestConditionDenied is True if the request must not be
	// signed.
	CertificateRequestConditionDenied CertificateRequestConditionType = "Denied"
)
