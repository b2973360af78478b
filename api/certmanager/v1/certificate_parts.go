package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// X509Subject holds parts of a distinguished name (RFC 5280, section 4.1.2.6).
type X509Subject struct {
	// Organizations (O) of the subject.
	// +optional
	// +listType=atomic
	Organizations []string `json:"organizations,omitempty"`
	// Countries (C) of the subject, as two-letter codes.
	// +optional
	// +listType=atomic
	Countries []string `json:"countries,omitempty"`
	// OrganizationalUnits (OU) of the subject.
	// +optional
	// +listType=atomic
	OrganizationalUnits []string `json:"organizationalUnits,omitempty"`
	// Localities (L) of the subject: cities.
	// +optional
	// +listType=atomic
	Localities []string `json:"localities,omitempty"`
	// Provinces (ST) of the subject: states or provinces.
	// +optional
	// +listType=atomic
	Provinces []string `json:"provinces,omitempty"`
	// StreetAddresses (STREET) of the subject.
	// +optional
	// +listType=atomic
	StreetAddresses []string `json:"streetAddresses,omitempty"`
	// PostalCodes of the subject.
	// +optional
	// +listType=atomic
	PostalCodes []string `json:"postalCodes,omitempty"`
	// SerialNumber (SERIALNUMBER) of the subject: that of a device or a
	// person, not of the certificate.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
}

// OtherName is an alternative name of the type otherName whose value is a UTF-8
// string (RFC 5280, section 4.2.1.6).
type OtherName struct {
	// OID is the object identifier of the kind of name, dotted, such as
	// 1.3.6.1.4.1.311.20.2.3 for a user principal name. It must be set.
	// +optional
	OID string `json:"oid,omitempty"`
	// UTF8Value is the name. It must be set.
	// +optional
	UTF8Value string `json:"utf8Value,omitempty"`
}

// CertificateRenewal says whether and when a certificate may be renewed.
type CertificateRenewal struct {
	// Policy is RenewBefore to renew before the certificate expires, as
	// renewBefore or renewBeforePercentage say, or Disabled to let it expire.
	// A change of the spec leads to a new certificate in any case.
	// +optional
	Policy CertificateRenewalPolicy `json:"policy,omitempty"`
	// Windows are the times at which the certificate may be renewed: in the
	// first window at or after the time at which it would be renewed
	// otherwise. If there are none, it is renewed at that time. They cannot be
	// combined with policy Disabled.
	// +optional
	// +listType=atomic
	Windows []CertificateRenewalWindow `json:"windows,omitempty"`
}

// CertificateRenewalPolicy says whether a certificate is renewed.
//
// +kubebuilder:validation:Enum=RenewBefore;Disabled
type CertificateRenewalPolicy string

const (
	// RenewalPolicyRenewBefore renews before the certificate expires.
	RenewalPolicyRenewBefore CertificateRenewalPolicy = "RenewBefore"
	// RenewalPolicyDisabled lets the certificate expire.
	RenewalPolicyDisabled CertificateRenewalPolicy = "Disabled"
)

// CertificateRenewalWindow is a recurring span of time.
type CertificateRenewalWindow struct {
	// Cron says when the window opens, in the five fields minute, hour, day of
	// the month, month and day of the week, or as a word such as @daily.
	// +kubebuilder:validation:MinLength=1
	Cron string `json:"cron"`
	// WindowDuration is how long the window stays open, as a Go duration in
	// hours, minutes and seconds such as 4h30m. It must be longer than 0.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	WindowDuration metav1.Duration `json:"windowDuration"`
	// Timezone in which cron is read, by its name in the IANA database such as
	// Europe/Lisbon. If it is not set, it is UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Timezone string `json:"timezone,omitempty"`
}

// CertificateSecretTemplate holds metadata for the Secret.
type CertificateSecretTemplate struct {
	// Annotations to put on the Secret. Keys that begin with cert-manager.io/
	// are not allowed, except cert-manager.io/allow-direct-injection.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Labels to put on the Secret.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// CertificateKeystores says which keystores to add to the Secret.
type CertificateKeystores struct {
	// JKS is a Java keystore, in the entry keystore.jks. If the issuer gives
	// the CA's certificate, truststore.jks holds that.
	// +optional
	JKS *JKSKeystore `json:"jks,omitempty"`
	// PKCS12 is a PKCS#12 keystore, in the entry keystore.p12. If the issuer
	// gives the CA's certificate, truststore.p12 holds that.
	// +optional
	PKCS12 *PKCS12Keystore `json:"pkcs12,omitempty"`
}

// JKSKeystore configures a Java keystore. Exactly one of passwordSecretRef and
// password must be set.
type JKSKeystore struct {
	// Create says whether to make the keystore.
	Create bool `json:"create"`
	// Alias of the key in the keystore. If it is not set, it is certificate.
	// +optional
	Alias *string `json:"alias,omitempty"`
	// PasswordSecretRef names the entry of a Secret in this namespace that
	// holds the password of the keystore.
	// +optional
	PasswordSecretRef cmmeta.SecretKeySelector `json:"passwordSecretRef,omitzero"`
	// Password of the keystore, in the clear, for software that insists on a
	// password where none is needed.
	// +optional
	Password *string `json:"password,omitempty"`
}

// PKCS12Keystore configures a PKCS#12 keystore. Exactly one of
// passwordSecretRef and password must be set.
type PKCS12Keystore struct {
	// Create says whether to make the keystore.
	Create bool `json:"create"`
	// Profile is the set of algorithms that protect the keystore. LegacyRC2
	// and LegacyDES are for old software and protect nothing; Modern2023 needs
	// Java 8u301, OpenSSL 1.1.1 or Windows Server 2019; Modern2026 has more
	// iterations and integrity by PBMAC1 (RFC 9579), which only recent
	// software reads. If it is not set, it is LegacyRC2.
	// +optional
	Profile PKCS12Profile `json:"profile,omitempty"`
	// PasswordSecretRef names the entry of a Secret in this namespace that
	// holds the password of the keystore.
	// +optional
	PasswordSecretRef cmmeta.SecretKeySelector `json:"passwordSecretRef,omitzero"`
	// Password of the keystore, in the clear, for software that insists on a
	// password where none is needed.
	// +optional
	Password *string `json:"password,omitempty"`
}

// PKCS12Profile is a set of algorithms for a PKCS#12 keystore.
//
// +kubebuilder:validation:Enum=LegacyRC2;LegacyDES;Modern2023;Modern2026
type PKCS12Profile string

const (
	// LegacyRC2PKCS12Profile is RC2 and SHA-1. It is also what an empty
	// profile means.
	LegacyRC2PKCS12Profile PKCS12Profile = "LegacyRC2"
	// LegacyDESPKCS12Profile is triple DES and SHA-1.
	LegacyDESPKCS12Profile PKCS12Profile = "LegacyDES"
	// Modern2023PKCS12Profile is AES-256 and SHA-256.
	Modern2023PKCS12Profile PKCS12Profile = "Modern2023"
	// Modern2026PKCS12Profile is AES-256 and PBMAC1.
	Modern2026PKCS12Profile PKCS12Profile = "Modern2026"
)

// CertificatePrivateKey says what private key to make and when.
type CertificatePrivateKey struct {
	// RotationPolicy is Always to make a new private key for each issuance, or
	// Never to keep the key that is in the Secret; a certificate then cannot
	// be issued while that key does not match this spec. If it is not set, it
	// is Always.
	// +optional
	RotationPolicy PrivateKeyRotationPolicy `json:"rotationPolicy,omitempty"`
	// Encoding of the key in tls.key: PKCS1, which for ECDSA keys means SEC 1,
	// or PKCS8. Ed25519 keys are always in PKCS8. If it is not set, it is
	// PKCS1.
	// +optional
	Encoding PrivateKeyEncoding `json:"encoding,omitempty"`
	// Algorithm of the key: RSA, ECDSA or Ed25519. If it is not set, it is
	// RSA.
	// +optional
	Algorithm PrivateKeyAlgorithm `json:"algorithm,omitempty"`
	// Size of the key in bits: for RSA from 2048 to 8192, by default 2048; for
	// ECDSA 256, 384 or 521, by default 256. It is ignored for Ed25519.
	// +optional
	Size int `json:"size,omitempty"`
}

// PrivateKeyRotationPolicy says when a new private key is made.
//
// +kubebuilder:validation:Enum=Never;Always
type PrivateKeyRotationPolicy string

const (
	// RotationPolicyNever keeps the key that is in the Secret.
	RotationPolicyNever PrivateKeyRotationPolicy = "Never"
	// RotationPolicyAlways makes a new key for each issuance.
	RotationPolicyAlways PrivateKeyRotationPolicy = "Always"
)

// PrivateKeyEncoding is how a private key is written.
//
// +kubebuilder:validation:Enum=PKCS1;PKCS8
type PrivateKeyEncoding string

const (
	// PKCS1 is PKCS#1 for RSA keys and SEC 1 for ECDSA keys.
	PKCS1 PrivateKeyEncoding = "PKCS1"
	// PKCS8 is PKCS#8 for all keys.
	PKCS8 PrivateKeyEncoding = "PKCS8"
)

// PrivateKeyAlgorithm is the kind of a private key.
//
// +kubebuilder:validation:Enum=RSA;ECDSA;Ed25519
type PrivateKeyAlgorithm string

const (
	// RSAKeyAlgorithm is RSA.
	RSAKeyAlgorithm PrivateKeyAlgorithm = "RSA"
	// ECDSAKeyAlgorithm is ECDSA on a NIST curve.
	ECDSAKeyAlgorithm PrivateKeyAlgorithm = "ECDSA"
	// Ed25519KeyAlgorithm is Ed25519.
	Ed25519KeyAlgorithm PrivateKeyAlgorithm = "Ed25519"
)

// SignatureAlgorithm signs a certificate or a certificate signing request.
//
// +kubebuilder:validation:Enum=SHA256WithRSA;SHA384WithRSA;SHA512WithRSA;ECDSAWithSHA256;ECDSAWithSHA384;ECDSAWithSHA512;PureEd25519
type SignatureAlgorithm string

// The signature algorithms.
const (
	SHA256WithRSA   SignatureAlgorithm = "SHA256WithRSA"
	SHA384WithRSA   SignatureAlgorithm = "SHA384WithRSA"
	SHA512WithRSA   SignatureAlgorithm = "SHA512WithRSA"
	ECDSAWithSHA256 SignatureAlgorithm = "ECDSAWithSHA256"
	ECDSAWithSHA384 SignatureAlgorithm = "ECDSAWithSHA384"
	ECDSAWithSHA512 SignatureAlgorithm = "ECDSAWithSHA512"
	PureEd25519     SignatureAlgorithm = "PureEd25519"
)

// CertificateAdditionalOutputFormat is a further format of the key or the
// certificate in the Secret.
type CertificateAdditionalOutputFormat struct {
	// Type is DER, which writes the private key in binary DER to the entry
	// key.der, or CombinedPEM, which writes the private key and the
	// certificate chain in PEM to the entry tls-combined.pem.
	Type CertificateOutputFormatType `json:"type"`
}

// CertificateOutputFormatType is a further format in the Secret.
//
// +kubebuilder:validation:Enum=DER;CombinedPEM
type CertificateOutputFormatType string

const (
	// CertificateOutputFormatDER is the private key in DER.
	CertificateOutputFormatDER CertificateOutputFormatType = "DER"
	// CertificateOutputFormatCombinedPEM is private key and chain in PEM.
	CertificateOutputFormatCombinedPEM CertificateOutputFormatType = "CombinedPEM"
)

// NameConstraints limits the names for which a CA may sign (RFC 5280, section
// 4.2.1.10). At least one of permitted and excluded must be set.
type NameConstraints struct {
	// Critical says whether software that does not understand the constraints
	// must reject the certificate.
	// +optional
	Critical bool `json:"critical,omitempty"`
	// Permitted names: where any of a kind are listed, the CA may sign for no
	// others of this kind.
	// +optional
	Permitted *NameConstraintItem `json:"permitted,omitempty"`
	// Excluded names: the CA may not sign for these, even if they are
	// permitted.
	// +optional
	Excluded *NameConstraintItem `json:"excluded,omitempty"`
}

// NameConstraintItem holds names by their kind.
type NameConstraintItem struct {
	// DNSDomains are DNS domains; each stands for itself and all below it.
	// +optional
	// +listType=atomic
	DNSDomains []string `json:"dnsDomains,omitempty"`
	// IPRanges are address ranges such as 192.0.2.0/24.
	// +optional
	// +listType=atomic
	IPRanges []string `json:"ipRanges,omitempty"`
	// EmailAddresses are e-mail addresses, or host names or domains that stand
	// for all addresses in them.
	// +optional
	// +listType=atomic
	EmailAddresses []string `json:"emailAddresses,omitempty"`
	// URIDomains are the host names of URIs; one with a leading dot stands for
	// all hosts below it.
	// +optional
	// +listType=atomic
	URIDomains []string `json:"uriDomains,omitempty"`
}
