package v1

import cmmeta "github.com/everleaf/everleaf/api/meta/v1"

// ACMEIssuer asks a CA that speaks ACME (RFC 8555).
type ACMEIssuer struct {
	// Email is the address that the CA may write to about the account and its
	// certificates. A change is passed on to the CA.
	// +optional
	Email string `json:"email,omitempty"`
	// Server is the URL of the CA's ACME directory, such as
	// https://acme-v02.api.letsencrypt.org/directory.
	Server string `json:"server"`
	// PreferredChain is the common name of an issuer: if the CA offers several
	// chains, the first with a certificate that this issuer signed is taken,
	// else the CA's default.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PreferredChain string `json:"preferredChain,omitempty"`
	// CABundle holds the certificates in PEM, in base64 as all bytes are, that
	// are trusted to have signed the certificate of the ACME server. It cannot
	// be combined with skipTLSVerify. If it is not set, the certificates that
	// the controller's image trusts are.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// SkipTLSVerify turns off the check of the ACME server's certificate, so
	// that anyone on the way can answer in its place. Prefer caBundle.
	// +optional
	SkipTLSVerify bool `json:"skipTLSVerify,omitempty"`
	// ExternalAccountBinding ties the ACME account to an account that exists
	// at the CA (RFC 8555, section 7.3.4).
	// +optional
	ExternalAccountBinding *ACMEExternalAccountBinding `json:"externalAccountBinding,omitempty"`
	// PrivateKey names the entry of a Secret that holds the private key of the
	// ACME account. It is made if it does not exist, unless
	// disableAccountKeyGeneration is set. If the key is not set, it is
	// tls.key.
	PrivateKey cmmeta.SecretKeySelector `json:"privateKeySecretRef"`
	// Solvers are the ways to prove control of names. For each name, the one
	// whose selector fits it best is used.
	// +optional
	// +listType=atomic
	Solvers []ACMEChallengeSolver `json:"solvers,omitempty"`
	// DisableAccountKeyGeneration keeps the controller from making an account
	// key: the Secret must exist.
	// +optional
	DisableAccountKeyGeneration bool `json:"disableAccountKeyGeneration,omitempty"`
	// EnableDurationFeature passes the duration of a Certificate on to the CA
	// as notAfter of the order. Not all CAs accept that; Let's Encrypt does
	// not.
	// +optional
	EnableDurationFeature bool `json:"enableDurationFeature,omitempty"`
	// Profile is the name of the CA's certificate profile to ask for. If it is
	// not set, the CA chooses.
	// +optional
	Profile string `json:"profile,omitempty"`
	// RenewalInformationSource is ARI to renew when the CA advises it (RFC
	// 9773), or None to follow only the Certificate's own renewal time.
	// +optional
	// +kubebuilder:default=ARI
	RenewalInformationSource ACMERenewalInformationSource `json:"renewalInformationSource,omitempty"`
}

// ACMERenewalInformationSource says who advises when to renew.
//
// +kubebuilder:validation:Enum=ARI;None
type ACMERenewalInformationSource string

const (
	// RenewalInformationSourceARI asks the CA (RFC 9773). It is also what an
	// empty source means.
	RenewalInformationSourceARI ACMERenewalInformationSource = "ARI"
	// RenewalInformationSourceNone asks nobody.
	RenewalInformationSourceNone ACMERenewalInformationSource = "None"
)

// ACMEExternalAccountBinding ties an ACME account to an account that exists at
// the CA.
type ACMEExternalAccountBinding struct {
	// KeyID is the id that the CA gave out.
	KeyID string `json:"keyID"`
	// Key names the entry of a Secret that holds the symmetric key that the CA
	// gave out, as base64url without padding. Its key must be set.
	Key cmmeta.SecretKeySelector `json:"keySecretRef"`
	// KeyAlgorithm is ignored: HS256 is always used.
	// +optional
	KeyAlgorithm HMACKeyAlgorithm `json:"keyAlgorithm,omitempty"`
}

// HMACKeyAlgorithm is the JWS algorithm of an external account binding.
//
// +kubebuilder:validation:Enum=HS256;HS384;HS512
type HMACKeyAlgorithm string

// The JWS algorithms. Only HS256 is used.
const (
	HS256 HMACKeyAlgorithm = "HS256"
	HS384 HMACKeyAlgorithm = "HS384"
	HS512 HMACKeyAlgorithm = "HS512"
)

// ACMEIssuerStatus is the account at the ACME server.
type ACMEIssuerStatus struct {
	// URI of the account.
	// +optional
	URI string `json:"uri,omitempty"`
	// LastRegisteredEmail is the address that the CA was last told.
	// +optional
	LastRegisteredEmail string `json:"lastRegisteredEmail,omitempty"`
	// LastPrivateKeyHash identifies the account key that was last used: SHA-256
	// over its DER form (PKCS#1), in base64.
	// +optional
	LastPrivateKeyHash string `json:"lastPrivateKeyHash,omitempty"`
}
