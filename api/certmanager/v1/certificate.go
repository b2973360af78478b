package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// A Certificate asks for an X.509 certificate that is kept valid: it is issued
// by the named issuer, stored with its private key in a Secret, and issued
// again before it expires or when this spec changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName={cert,certs},categories=cert-manager
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].status`
// +kubebuilder:printcolumn:name="Secret",type="string",JSONPath=`.spec.secretName`
// +kubebuilder:printcolumn:name="Issuer",type="string",JSONPath=`.spec.issuerRef.name`,priority=1
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=`.status.conditions[?(@.type == "Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Expiration",type="string",JSONPath=`.status.notAfter`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.group`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.issuerRef.name`
type Certificate struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is asked for.
	// +optional
	Spec CertificateSpec `json:"spec,omitzero"`
	// Status is what is there. Controllers write it.
	// +optional
	Status CertificateStatus `json:"status,omitzero"`
}

// CertificateList is a list of Certificates.
//
// +kubebuilder:object:root=true
type CertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Certificate `json:"items"`
}

// CertificateSpec is what is asked for. At least one identity must be given:
// a common name (here or in the literal subject), a DNS name, an IP address,
// a URI, an e-mail address or another name.
type CertificateSpec struct {
	// Subject holds the parts of the subject's distinguished name beside the
	// common name. It cannot be combined with literalSubject.
	// +optional
	Subject *X509Subject `json:"subject,omitempty"`
	// LiteralSubject is the whole distinguished name of the subject as text in
	// the form of RFC 4514, most specific part first, for names whose order or
	// attributes matter. Known attributes are C, O, OU, CN, SERIALNUMBER, L,
	// ST, STREET, DC, UID and dotted object identifiers. It cannot be combined
	// with subject or commonName.
	// +optional
	LiteralSubject string `json:"literalSubject,omitempty"`
	// CommonName is the common name of the subject, at most 64 bytes. TLS
	// clients ignore it where there are DNS names; an ACME issuer wants it
	// listed in dnsNames or ipAddresses as well.
	// +optional
	CommonName string `json:"commonName,omitempty"`

	// Duration is the lifetime to ask for, as a Go duration such as 2160h, at
	// least 1h. Issuers may grant another one. If it is not set, 2160h (90
	// days) are asked for.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
	// RenewBefore is how long before its expiry the certificate is renewed, as
	// a Go duration such as 360h. It is at least 5m and shorter than the
	// duration. If neither this nor renewBeforePercentage is set, or if this
	// is longer than the certificate actually lives, the certificate is
	// renewed when a third of its actual lifetime is left.
	// +optional
	RenewBefore *metav1.Duration `json:"renewBefore,omitempty"`
	// RenewBeforePercentage is renewBefore as a share of the certificate's
	// actual lifetime, in percent from 1 to 99: with 25, a certificate that
	// lives 60 minutes is renewed 15 minutes before it expires. It cannot be
	// combined with renewBefore.
	// +optional
	RenewBeforePercentage *int32 `json:"renewBeforePercentage,omitempty"`
	// Renewal says whether and at which times of the day or week the
	// certificate may be renewed. If it is not set, it is renewed at any time.
	// +optional
	Renewal *CertificateRenewal `json:"renewal,omitempty"`

	// DNSNames are the DNS names that the certificate is for. A wildcard such
	// as *.example.com covers one label.
	// +optional
	// +listType=atomic
	DNSNames []string `json:"dnsNames,omitempty"`
	// IPAddresses are the IPv4 and IPv6 addresses that the certificate is for.
	// +optional
	// +listType=atomic
	IPAddresses []string `json:"ipAddresses,omitempty"`
	// URIs are the URIs that the certificate is for, such as SPIFFE
	// identities.
	// +optional
	// +listType=atomic
	URIs []string `json:"uris,omitempty"`
	// OtherNames are further alternative names of the type otherName (RFC
	// 5280, section 4.2.1.6), for example user principal names.
	// +optional
	// +listType=atomic
	OtherNames []OtherName `json:"otherNames,omitempty"`
	// EmailAddresses are the e-mail addresses that the certificate is for,
	// without a display name.
	// +optional
	// +listType=atomic
	EmailAddresses []string `json:"emailAddresses,omitempty"`

	// SecretName is the Secret in this namespace that receives the private key
	// (tls.key), the certificate with its chain (tls.crt) and, if the issuer
	// gives one, the CA's certificate (ca.crt). It is made if it does not
	// exist. No two Certificates should share a Secret.
	SecretName string `json:"secretName"`
	// SecretTemplate holds annotations and labels to put on the Secret.
	// +optional
	SecretTemplate *CertificateSecretTemplate `json:"secretTemplate,omitempty"`
	// Keystores adds Java or PKCS#12 keystores to the Secret.
	// +optional
	Keystores *CertificateKeystores `json:"keystores,omitempty"`
	// IssuerRef names the issuer. An Issuer is looked for in the namespace of
	// this Certificate; a ClusterIssuer serves all namespaces.
	IssuerRef cmmeta.IssuerReference `json:"issuerRef"`

	// IsCA asks for a certificate that may sign others. Usage "cert sign" is
	// then added to the usages.
	// +optional
	IsCA bool `json:"isCA,omitempty"`
	// Usages are the key usages and extended key usages to ask for. If there
	// are none, they are "digital signature" and "key encipherment".
	// +optional
	// +listType=atomic
	Usages []KeyUsage `json:"usages,omitempty"`
	// PrivateKey says what private key to make and when to make a new one.
	// +optional
	PrivateKey *CertificatePrivateKey `json:"privateKey,omitempty"`
	// SignatureAlgorithm signs the certificate signing request, and for a
	// self-signed certificate the certificate. It must fit the algorithm of
	// the private key. If it is not set, one that fits the key is chosen.
	// +optional
	SignatureAlgorithm SignatureAlgorithm `json:"signatureAlgorithm,omitempty"`
	// EncodeUsagesInRequest says whether the certificate signing request
	// carries the usages as extensions. If it is not set, it does.
	// +optional
	EncodeUsagesInRequest *bool `json:"encodeUsagesInRequest,omitempty"`
	// RevisionHistoryLimit is how many CertificateRequests of past issuances
	// are kept, at least 1. If it is not set, 1 is kept.
	// +optional
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
	// AdditionalOutputFormats adds further entries to the Secret that hold the
	// key or the certificate in other formats. Each may be listed once.
	// +optional
	// +listType=atomic
	AdditionalOutputFormats []CertificateAdditionalOutputFormat `json:"additionalOutputFormats,omitempty"`
	// NameConstraints limits the names for which a CA certificate may sign
	// (RFC 5280, section 4.2.1.10). Only for a Certificate with isCA.
	// +optional
	NameConstraints *NameConstraints `json:"nameConstraints,omitempty"`
}

// CertificateStatus is what is there.
type CertificateStatus struct {
	// Conditions of the Certificate. Ready tells whether the Secret holds a
	// valid certificate that matches the spec, Issuing whether one is being
	// issued; set Issuing to True to have it issued at once.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []CertificateCondition `json:"conditions,omitempty"`
	// LastFailureTime is when the most recent issuance failed. It is not set
	// if that succeeded. The next attempt waits for a time that doubles with
	// each failure, from 1 hour to 32 hours.
	// +optional
	LastFailureTime *metav1.Time `json:"lastFailureTime,omitempty"`
	// NotBefore is when the certificate in the Secret becomes valid.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`
	// NotAfter is when the certificate in the Secret expires.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// RenewalTime is when the certificate will be renewed. It is not set if
	// renewal is disabled.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`
	// Revision counts the issuances; the first is 1. It is that of the
	// CertificateRequest whose certificate is in the Secret, found in that
	// request's annotation cert-manager.io/certificate-revision.
	// +optional
	Revision *int `json:"revision,omitempty"`
	// NextPrivateKeySecretName is the Secret that holds the private key of the
	// issuance in progress. It is not set if there is none.
	// +optional
	NextPrivateKeySecretName *string `json:"nextPrivateKeySecretName,omitempty"`
	// FailedIssuanceAttempts counts the failures since the last success. It is
	// not set if there were none.
	// +optional
	FailedIssuanceAttempts *int `json:"failedIssuanceAttempts,omitempty"`
	// ACME is what the ACME server says about this certificate.
	// +optional
	ACME *CertificateACMEStatus `json:"acme,omitempty"`
}

// CertificateACMEStatus is what the ACME server says about a certificate.
type CertificateACMEStatus struct {
	// ARI is the server's advice on when to renew (RFC 9773).
	// +optional
	ARI *ACMERenewalInfo `json:"ari,omitempty"`
}

// ACMERenewalInfo is an ACME server's advice on when to renew a certificate
// (RFC 9773).
type ACMERenewalInfo struct {
	// SuggestedWindow is the span of time in which the server asks for the
	// renewal. An instant in it is chosen at random.
	// +optional
	SuggestedWindow *ACMERenewalWindow `json:"suggestedWindow,omitempty"`
	// ExplanationURL is a page on which the CA explains an unusual window,
	// such as one after an incident.
	// +optional
	ExplanationURL string `json:"explanationURL,omitempty"`
	// LastChecked is when the server was last asked.
	// +optional
	LastChecked *metav1.Time `json:"lastChecked,omitempty"`
	// NextCheck is when the server will be asked again.
	// +optional
	NextCheck *metav1.Time `json:"nextCheck,omitempty"`
	// LastError says why the last question was not answered. It is empty if it
	// was.
	// +optional
	LastError string `json:"lastError,omitempty"`
}

// ACMERenewalWindow is a span of time.
type ACMERenewalWindow struct {
	// Start of the window.
	Start metav1.Time `json:"start"`
	// End of the window.
	End metav1.Time `json:"end"`
}

// CertificateCondition is a condition of a Certificate.
type CertificateCondition struct {
	// Type of the condition: Ready or Issuing. Others may add their own.
	Type CertificateConditionType `json:"type"`
	// Status of the condition: True, False or Unknown.
	Status cmmeta.ConditionStatus `json:"status"`
	// LastTransitionTime is when status last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// Reason is one CamelCase word for why the condition is as it is.
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

// CertificateConditionType is a type of condition of a Certificate.
type CertificateConditionType string

const (
	// CertificateConditionReady is True if the Secret holds a certificate that
	// has not expired and matches the spec.
	CertificateConditionReady CertificateConditionType = "Ready"
	// CertificateConditionIssuing is True while a certificate is being issued.
	// Whoever sets it to True starts an issuance.
	CertificateConditionIssuing CertificateConditionType = "Issuing"
)
