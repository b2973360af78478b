package v1

import cmmeta "github.com/everleaf/everleaf/api/meta/v1"

// VaultIssuer asks the PKI engine of a HashiCorp Vault or OpenBao.
type VaultIssuer struct {
	// Auth is how to log in.
	Auth VaultAuth `json:"auth"`
	// Server is the address of the server, such as
	// https://vault.example.com:8200.
	Server string `json:"server"`
	// ServerName is the name to expect in the server's certificate, if it is
	// not the host name in server.
	// +optional
	ServerName string `json:"serverName,omitempty"`
	// Path of the PKI engine's sign endpoint, such as
	// my_pki_mount/sign/my-role-name. Segments that are .. are not allowed.
	Path string `json:"path"`
	// Namespace in the server, such as ns1 or ns1/ns2, for servers that have
	// namespaces.
	// +optional
	Namespace string `json:"namespace,omitempty"`
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
	// ClientCertSecretRef names the entry of a Secret that holds the
	// certificate in PEM to show to the server, for servers that want one
	// below the log-in. If the key is not set, it is tls.crt. It must be
	// combined with clientKeySecretRef.
	// +optional
	ClientCertSecretRef *cmmeta.SecretKeySelector `json:"clientCertSecretRef,omitempty"`
	// ClientKeySecretRef names the entry of a Secret that holds the private
	// key in PEM of that certificate. If the key is not set, it is tls.key.
	// +optional
	ClientKeySecretRef *cmmeta.SecretKeySelector `json:"clientKeySecretRef,omitempty"`
}

// VaultAuth is how to log in to a Vault. Exactly one way must be set.
type VaultAuth struct {
	// TokenSecretRef names the entry of a Secret that holds a token. If the
	// key is not set, it is token.
	// +optional
	TokenSecretRef *cmmeta.SecretKeySelector `json:"tokenSecretRef,omitempty"`
	// AppRole logs in with the id of a role and a secret.
	// +optional
	AppRole *VaultAppRole `json:"appRole,omitempty"`
	// ClientCertificate logs in with a TLS client certificate.
	// +optional
	ClientCertificate *VaultClientCertificateAuth `json:"clientCertificate,omitempty"`
	// Kubernetes logs in with the token of a service account.
	// +optional
	Kubernetes *VaultKubernetesAuth `json:"kubernetes,omitempty"`
	// AWS logs in with an AWS identity.
	// +optional
	AWS *VaultAWSAuth `json:"aws,omitempty"`
}

// VaultAppRole logs in with the id of a role and a secret.
type VaultAppRole struct {
	// Path at which the AppRole method is mounted, such as approle. Segments
	// that are .. are not allowed.
	Path string `json:"path"`
	// RoleId is the id of the role.
	RoleId string `json:"roleId"` // the name that users of this API know
	// SecretRef names the entry of a Secret that holds the secret id. Its key
	// must be set.
	SecretRef cmmeta.SecretKeySelector `json:"secretRef"`
}

// VaultClientCertificateAuth logs in with a TLS client certificate.
type VaultClientCertificateAuth struct {
	// Path at which the method is mounted. If it is not set, it is
	// /v1/auth/cert. Segments that are .. are not allowed.
	// +optional
	Path string `json:"mountPath,omitempty"`
	// SecretName is the Secret that holds the certificate (tls.crt) and its
	// private key (tls.key). If it is not set, clientCertSecretRef and
	// clientKeySecretRef of the issuer are used.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// Name of the certificate role to log in to. If it is not set, the server
	// chooses one that fits.
	// +optional
	Name string `json:"name,omitempty"`
}

// VaultKubernetesAuth logs in with the token of a service account. Exactly one
// of secretRef and serviceAccountRef must be set.
type VaultKubernetesAuth struct {
	// Path at which the method is mounted. If it is not set, it is
	// /v1/auth/kubernetes. Segments that are .. are not allowed.
	// +optional
	Path string `json:"mountPath,omitempty"`
	// SecretRef names the entry of a Secret that holds a token of a service
	// account. If the key is not set, it is token.
	// +optional
	SecretRef cmmeta.SecretKeySelector `json:"secretRef,omitzero"`
	// ServiceAccountRef names a service account for which a short-lived token
	// is asked of Kubernetes. The controller needs the permission to create
	// tokens for it.
	// +optional
	ServiceAccountRef *ServiceAccountRef `json:"serviceAccountRef,omitempty"`
	// Role to log in to.
	Role string `json:"role"`
}

// VaultAWSAuth logs in with an AWS identity, by a signed request for
// GetCallerIdentity.
type VaultAWSAuth struct {
	// Role to log in to.
	// +kubebuilder:validation:MinLength=1
	Role string `json:"role"`
	// Path at which the method is mounted. If it is not set, it is
	// /v1/auth/aws. Segments that are .. are not allowed.
	// +optional
	Path string `json:"mountPath,omitempty"`
	// IAMRoleARN is the AWS role to take on first, for which a serviceAccountRef
	// must be set as well. If it is not set, the AWS identity of the
	// controller is used.
	// +optional
	IAMRoleARN string `json:"iamRoleArn,omitempty"`
	// Region whose AWS STS endpoint is used. If it is not set, it is
	// us-east-1.
	// +optional
	Region string `json:"region,omitempty"`
	// VaultHeaderValue is the value of the header X-Vault-AWS-IAM-Server-ID,
	// for servers that want one.
	// +optional
	VaultHeaderValue string `json:"vaultHeaderValue,omitempty"`
	// ServiceAccountRef names a service account whose token is given to AWS
	// STS to take on the role in iamRoleArn.
	// +optional
	ServiceAccountRef *ServiceAccountRef `json:"serviceAccountRef,omitempty"`
}

// ServiceAccountRef names a service account for which a token is asked of
// Kubernetes.
type ServiceAccountRef struct {
	// Name of the service account, in the namespace of the Issuer, or for a
	// ClusterIssuer in the cluster resource namespace.
	Name string `json:"name"`
	// TokenAudiences are further audiences of the token, beside the address of
	// the server and the one that names this issuer, which is
	// vault://namespace/name, or vault://name for a ClusterIssuer.
	// +optional
	// +listType=atomic
	TokenAudiences []string `json:"audiences,omitempty"`
}
