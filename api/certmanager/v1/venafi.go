package v1

import cmmeta "github.com/everleaf/everleaf/api/meta/v1"

// VenafiIssuer asks CyberArk Certificate Manager, formerly Venafi. Exactly one
// of tpp, cloud and ngts must be set.
//
// +kubebuilder:validation:XValidation:rule="(has(self.tpp) ? 1 : 0) + (has(self.cloud) ? 1 : 0) + (has(self.ngts) ? 1 : 0) == 1",message="exactly one of tpp, cloud, or ngts must be configured"
type VenafiIssuer struct {
	// Zone is the policy that requests fall under: the path of a policy folder
	// (self-hosted), or application and issuing template (SaaS).
	Zone string `json:"zone"`
	// TPP is Certificate Manager, Self-Hosted, formerly Trust Protection
	// Platform.
	// +optional
	TPP *VenafiTPP `json:"tpp,omitempty"`
	// Cloud is Certificate Manager, SaaS, formerly Venafi Cloud.
	// +optional
	Cloud *VenafiCloud `json:"cloud,omitempty"`
	// NGTS is Next-Gen Trust Security.
	// +optional
	NGTS *VenafiNGTS `json:"ngts,omitempty"`
}

// VenafiTPP is Certificate Manager, Self-Hosted.
type VenafiTPP struct {
	// URL of the server's API, such as https://tpp.example.com/vedsdk.
	URL string `json:"url"`
	// CredentialsRef names the Secret that holds an access-token, or a
	// username and a password.
	CredentialsRef cmmeta.LocalObjectReference `json:"credentialsRef"`
	// CABundle holds the certificates in PEM, in base64 as all bytes are, that
	// are trusted to have signed the server's certificate. It cannot be
	// combined with caBundleSecretRef. If neither is set, the certificates
	// that the controller's image trusts are.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// CABundleSecretRef names the entry of a Secret that holds what caBundle
	// would. If the key is not set, it is ca.crt.
	// +optional
	CABundleSecretRef *cmmeta.SecretKeySelector `json:"caBundleSecretRef,omitempty"`
}

// VenafiCloud is Certificate Manager, SaaS.
type VenafiCloud struct {
	// URL of the service. If it is not set, it is https://api.venafi.cloud/.
	// +optional
	URL string `json:"url,omitempty"`
	// APITokenSecretRef names the entry of a Secret that holds the API key.
	APITokenSecretRef cmmeta.SecretKeySelector `json:"apiTokenSecretRef"`
}

// VenafiNGTS is Next-Gen Trust Security.
type VenafiNGTS struct {
	// URL of the service. If it is not set, it is the service's public one.
	// +optional
	URL string `json:"url,omitempty"`
	// TokenEndpoint is the URL at which an OAuth token is asked for. If it is
	// not set, it is the service's public one.
	// +optional
	TokenEndpoint string `json:"tokenEndpoint,omitempty"`
	// CredentialsRef names the Secret that holds the client's id and secret.
	CredentialsRef cmmeta.LocalObjectReference `json:"credentialsRef"`
	// TSGID is the id of the tenant service group.
	TSGID string `json:"tsgID"`
}
