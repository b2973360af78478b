package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// ACMEChallengeSolverDNS01 puts a TXT record beside the name. Exactly one
// provider must be set.
type ACMEChallengeSolverDNS01 struct {
	// CNAMEStrategy is Follow to put the record where a CNAME record at
	// _acme-challenge of the name points to, or None to put it there itself.
	// If it is not set, it is None.
	// +optional
	CNAMEStrategy CNAMEStrategy `json:"cnameStrategy,omitempty"`
	// Nameservers are the recursive resolvers through which this solver finds
	// zones and sees whether the record has spread, as host:port, or as
	// https:// URLs for DNS over HTTPS (RFC 8484). If there are none, they are
	// as the options of the controller say.
	// +optional
	// +listType=atomic
	Nameservers []string `json:"nameservers,omitempty"`

	// Akamai is Akamai Edge DNS.
	// +optional
	Akamai *ACMEIssuerDNS01ProviderAkamai `json:"akamai,omitempty"`
	// CloudDNS is Google Cloud DNS.
	// +optional
	CloudDNS *ACMEIssuerDNS01ProviderCloudDNS `json:"cloudDNS,omitempty"`
	// Cloudflare is Cloudflare DNS.
	// +optional
	Cloudflare *ACMEIssuerDNS01ProviderCloudflare `json:"cloudflare,omitempty"`
	// Route53 is AWS Route 53.
	// +optional
	Route53 *ACMEIssuerDNS01ProviderRoute53 `json:"route53,omitempty"`
	// AzureDNS is Azure DNS or Azure Private DNS.
	// +optional
	AzureDNS *ACMEIssuerDNS01ProviderAzureDNS `json:"azureDNS,omitempty"`
	// DigitalOcean is DigitalOcean DNS.
	// +optional
	DigitalOcean *ACMEIssuerDNS01ProviderDigitalOcean `json:"digitalocean,omitempty"`
	// AcmeDNS is a server of the acme-dns project.
	// +optional
	AcmeDNS *ACMEIssuerDNS01ProviderAcmeDNS `json:"acmeDNS,omitempty"`
	// RFC2136 is any name server that takes dynamic updates, such as BIND,
	// Knot, PowerDNS or Windows DNS.
	// +optional
	RFC2136 *ACMEIssuerDNS01ProviderRFC2136 `json:"rfc2136,omitempty"`
	// Webhook is a solver that runs beside the controller as an API server.
	// +optional
	Webhook *ACMEIssuerDNS01ProviderWebhook `json:"webhook,omitempty"`
}

// CNAMEStrategy says what to do about CNAME records.
//
// +kubebuilder:validation:Enum=None;Follow
type CNAMEStrategy string

const (
	// NoneStrategy ignores CNAME records. It is also what an empty strategy
	// means.
	NoneStrategy CNAMEStrategy = "None"
	// FollowStrategy follows CNAME records.
	FollowStrategy CNAMEStrategy = "Follow"
)

// ACMEIssuerDNS01ProviderAkamai is Akamai Edge DNS.
type ACMEIssuerDNS01ProviderAkamai struct {
	// ServiceConsumerDomain is the host of the API client, such as
	// akab-xxxx.luna.akamaiapis.net.
	ServiceConsumerDomain string `json:"serviceConsumerDomain"`
	// ClientToken names the entry of a Secret that holds the client token.
	ClientToken cmmeta.SecretKeySelector `json:"clientTokenSecretRef"`
	// ClientSecret names the entry of a Secret that holds the client secret.
	ClientSecret cmmeta.SecretKeySelector `json:"clientSecretSecretRef"`
	// AccessToken names the entry of a Secret that holds the access token.
	AccessToken cmmeta.SecretKeySelector `json:"accessTokenSecretRef"`
}

// ACMEIssuerDNS01ProviderCloudDNS is Google Cloud DNS.
type ACMEIssuerDNS01ProviderCloudDNS struct {
	// ServiceAccount names the entry of a Secret that holds the JSON key of a
	// Google service account. If it is not set, the identity of the controller
	// is used, if its options allow that.
	// +optional
	ServiceAccount *cmmeta.SecretKeySelector `json:"serviceAccountSecretRef,omitempty"`
	// Project is the id of the Google Cloud project of the zone.
	Project string `json:"project"`
	// HostedZoneName is the name of the managed zone in Google Cloud. If it is
	// not set, the zone is looked for by its DNS name.
	// +optional
	HostedZoneName string `json:"hostedZoneName,omitempty"`
}

// ACMEIssuerDNS01ProviderCloudflare is Cloudflare DNS. One of apiTokenSecretRef,
// and email with apiKeySecretRef, must be set.
type ACMEIssuerDNS01ProviderCloudflare struct {
	// Email of the account, for apiKeySecretRef.
	// +optional
	Email string `json:"email,omitempty"`
	// APIKey names the entry of a Secret that holds the global API key.
	// Prefer a token, which can be limited to zones.
	// +optional
	APIKey *cmmeta.SecretKeySelector `json:"apiKeySecretRef,omitempty"`
	// APIToken names the entry of a Secret that holds an API token.
	// +optional
	APIToken *cmmeta.SecretKeySelector `json:"apiTokenSecretRef,omitempty"`
}

// ACMEIssuerDNS01ProviderDigitalOcean is DigitalOcean DNS.
type ACMEIssuerDNS01ProviderDigitalOcean struct {
	// Token names the entry of a Secret that holds a personal access token.
	Token cmmeta.SecretKeySelector `json:"tokenSecretRef"`
}

// ACMEIssuerDNS01ProviderAcmeDNS is a server of the acme-dns project.
type ACMEIssuerDNS01ProviderAcmeDNS struct {
	// Host is the URL of the server's API, such as https://auth.acme-dns.io.
	Host string `json:"host"`
	// AccountSecret names the entry of a Secret that holds a JSON object with
	// the account for each DNS name.
	AccountSecret cmmeta.SecretKeySelector `json:"accountSecretRef"`
}

// ACMEIssuerDNS01ProviderRFC2136 is a name server that takes dynamic updates
// (RFC 2136), signed by a shared key (TSIG, RFC 8945) or not.
type ACMEIssuerDNS01ProviderRFC2136 struct {
	// Nameserver that takes the updates, as host, host:port or [address]:port.
	// If there is no port, it is 53. IPv6 addresses need brackets.
	Nameserver string `json:"nameserver"`
	// TSIGSecret names the entry of a Secret that holds the key that signs
	// the updates, as the base64 text that tsig-keygen or dnssec-keygen
	// prints. It must be combined with tsigKeyName. If neither is set, updates
	// are not signed.
	// +optional
	TSIGSecret cmmeta.SecretKeySelector `json:"tsigSecretSecretRef,omitzero"`
	// TSIGKeyName is the name under which the name server knows the key.
	// +optional
	TSIGKeyName string `json:"tsigKeyName,omitempty"`
	// TSIGAlgorithm is the algorithm under which the name server knows the
	// key: HMACMD5, HMACSHA1, HMACSHA256 or HMACSHA512, in any case. If it is
	// not set, it is HMACMD5.
	// +optional
	TSIGAlgorithm string `json:"tsigAlgorithm,omitempty"`
	// Protocol of the updates: UDP or TCP. If it is not set, it is UDP.
	// +optional
	Protocol RFC2136UpdateProtocol `json:"protocol,omitempty"`
}

// RFC2136UpdateProtocol is the protocol of dynamic updates.
//
// +kubebuilder:validation:Enum=TCP;UDP
type RFC2136UpdateProtocol string

// The protocols of dynamic updates.
const (
	RFC2136UpdateProtocolTCP RFC2136UpdateProtocol = "TCP"
	RFC2136UpdateProtocolUDP RFC2136UpdateProtocol = "UDP"
)

// ACMEIssuerDNS01ProviderWebhook is a solver that runs beside the controller as
// an API server.
type ACMEIssuerDNS01ProviderWebhook struct {
	// GroupName is the API group that the solver serves.
	GroupName string `json:"groupName"`
	// SolverName is the name of the solver in its group.
	SolverName string `json:"solverName"`
	// Config is passed on to the solver. It is readable by all who can read
	// this object: put no secrets here.
	// +optional
	Config *apiextensionsv1.JSON `json:"config,omitempty"`
}
