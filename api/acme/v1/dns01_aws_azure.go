package v1

import cmmeta "github.com/everleaf/everleaf/api/meta/v1"

// ACMEIssuerDNS01ProviderRoute53 is AWS Route 53. If no credentials are given,
// the identity of the controller is used, if its options allow that.
type ACMEIssuerDNS01ProviderRoute53 struct {
	// Auth is how to log in, other than by an access key.
	// +optional
	Auth *Route53Auth `json:"auth,omitempty"`
	// AccessKeyID is the id of an access key. It must be combined with
	// secretAccessKeySecretRef, and cannot be with accessKeyIDSecretRef.
	// +optional
	AccessKeyID string `json:"accessKeyID,omitempty"`
	// SecretAccessKeyID names the entry of a Secret that holds what
	// accessKeyID would.
	// +optional
	SecretAccessKeyID *cmmeta.SecretKeySelector `json:"accessKeyIDSecretRef,omitempty"`
	// SecretAccessKey names the entry of a Secret that holds the secret of the
	// access key.
	// +optional
	SecretAccessKey cmmeta.SecretKeySelector `json:"secretAccessKeySecretRef,omitzero"`
	// Role is the ARN of an AWS role to take on.
	// +optional
	Role string `json:"role,omitempty"`
	// HostedZoneID is the id of the hosted zone. If it is not set, the zone is
	// looked for by its DNS name.
	// +optional
	HostedZoneID string `json:"hostedZoneID,omitempty"`
	// Region of the AWS endpoints. If it is not set, it is that of the
	// controller's environment; Route 53 itself is the same in all regions.
	// +optional
	Region string `json:"region,omitempty"`
}

// Route53Auth is how to log in to AWS, other than by an access key.
type Route53Auth struct {
	// Kubernetes takes on the role by the token of a service account
	// (AssumeRoleWithWebIdentity).
	Kubernetes *Route53KubernetesAuth `json:"kubernetes"`
}

// Route53KubernetesAuth takes on a role by the token of a service account.
type Route53KubernetesAuth struct {
	// ServiceAccountRef names the service account. The controller needs the
	// permission to create tokens for it.
	ServiceAccountRef *ServiceAccountRef `json:"serviceAccountRef"`
}

// ServiceAccountRef names a service account for which a token is asked of
// Kubernetes.
type ServiceAccountRef struct {
	// Name of the service account, in the namespace of the Issuer, or for a
	// ClusterIssuer in the cluster resource namespace.
	Name string `json:"name"`
	// TokenAudiences are the audiences of the token. If there are none, it is
	// sts.amazonaws.com.
	// +optional
	// +listType=atomic
	TokenAudiences []string `json:"audiences,omitempty"`
}

// ACMEIssuerDNS01ProviderAzureDNS is Azure DNS or Azure Private DNS. It is used
// as a service principal (clientID, clientSecretSecretRef and tenantID), or as
// the controller's identity, if its options allow that.
type ACMEIssuerDNS01ProviderAzureDNS struct {
	// ClientID of the service principal.
	// +optional
	ClientID string `json:"clientID,omitempty"`
	// ClientSecret names the entry of a Secret that holds the secret of the
	// service principal.
	// +optional
	ClientSecret *cmmeta.SecretKeySelector `json:"clientSecretSecretRef,omitempty"`
	// SubscriptionID of the zone.
	SubscriptionID string `json:"subscriptionID"`
	// TenantID of the service principal.
	// +optional
	TenantID string `json:"tenantID,omitempty"`
	// ResourceGroupName of the zone.
	ResourceGroupName string `json:"resourceGroupName"`
	// HostedZoneName is the name of the zone. If it is not set, the zone is
	// found through DNS.
	// +optional
	HostedZoneName string `json:"hostedZoneName,omitempty"`
	// Environment is the Azure cloud. If it is not set, it is
	// AzurePublicCloud.
	// +optional
	Environment AzureDNSEnvironment `json:"environment,omitempty"`
	// ManagedIdentity says which identity of the controller to use. It cannot
	// be combined with a service principal.
	// +optional
	ManagedIdentity *AzureManagedIdentity `json:"managedIdentity,omitempty"`
	// ZoneType is AzurePublicZone for a zone of Azure DNS or AzurePrivateZone
	// for one of Azure Private DNS. If it is not set, it is AzurePublicZone.
	// +optional
	ZoneType AzureZoneType `json:"zoneType,omitempty"`
}

// AzureManagedIdentity is an identity of the controller in Azure. At most one
// of clientID and resourceID may be set.
type AzureManagedIdentity struct {
	// ClientID of the identity.
	// +optional
	ClientID string `json:"clientID,omitempty"`
	// ResourceID of the identity. It cannot be used with workload identity.
	// +optional
	ResourceID string `json:"resourceID,omitempty"`
	// TenantID of the identity, for workload identity. It must be combined
	// with clientID.
	// +optional
	TenantID string `json:"tenantID,omitempty"`
}

// AzureDNSEnvironment is an Azure cloud.
//
// +kubebuilder:validation:Enum=AzurePublicCloud;AzureChinaCloud;AzureGermanCloud;AzureUSGovernmentCloud
type AzureDNSEnvironment string

// The Azure clouds. AzureGermanCloud no longer exists.
const (
	AzurePublicCloud       AzureDNSEnvironment = "AzurePublicCloud"
	AzureChinaCloud        AzureDNSEnvironment = "AzureChinaCloud"
	AzureGermanCloud       AzureDNSEnvironment = "AzureGermanCloud"
	AzureUSGovernmentCloud AzureDNSEnvironment = "AzureUSGovernmentCloud"
)

// AzureZoneType is the kind of an Azure zone.
//
// +kubebuilder:validation:Enum=AzurePublicZone;AzurePrivateZone
type AzureZoneType string

const (
	// AzurePublicZone is a zone of Azure DNS. It is also what an empty type
	// means.
	AzurePublicZone AzureZoneType = "AzurePublicZone"
	// AzurePrivateZone is a zone of Azure Private DNS.
	AzurePrivateZone AzureZoneType = "AzurePrivateZone"
)
