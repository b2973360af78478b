package integration

import (
	"encoding/base64"
	"testing"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
	"github.com/everleaf/everleaf/test/harness"
)

// seed is an issuer from a document that users of cert-manager start from. The manifest
// is that of the document, with its placeholders and its ellipsis.
type seed struct {
	name     string
	manifest string
	// fill has the placeholders, each followed by its value.
	fill []string
	// secret is the name, the entry and the value of a Secret that the document has its
	// reader make in the namespace of the Issuer.
	secret [3]string
	// kind and issuer name the issuer.
	kind, issuer string
	// certificate is a Certificate's name and that of its Secret, dnsName the name that it
	// is for.
	certificate, dnsName string
	// ambient reports whether the issuer uses an identity of the environment; node are the
	// identities of the node, if it is one of them.
	ambient bool
	node    []string
	// start starts what else the document needs, and returns what looks at it in the end.
	start func(t *testing.T, w *seedWorld, ns string) (check func())
}

// The issuers of "AzureDNS", a page of cert-manager's documentation, use these values.
var azureValues = []string{
	"AZURE_SUBSCRIPTION_ID", azurednstest.Subscription,
	"AZURE_DNS_ZONE_RESOURCE_GROUP", azurednstest.Group,
	"AZURE_DNS_ZONE", "sub.domain.com",
}

// ambientOff is what "AzureDNS" says that is shown if ambient credentials are off.
const ambientOff = "error instantiating azuredns challenge solver: ClientID is not set but neither --cluster-issuer-ambient-credentials nor --issuer-ambient-credentials are set. " +
	"These are necessary to enable Azure Managed Identities"

// otherIdentity is one that an add-on of AKS has given to the node.
const otherIdentity = "22222222-3333-4444-5555-666666666666"

// seeds are all documents but "RFC-2136", which TestRFC2136Guide tests with BIND.
var seeds = []seed{
	{
		// "AzureDNS", managed identity with AAD workload identity.
		name: "workload identity", kind: "ClusterIssuer", issuer: "letsencrypt-staging",
		certificate: "workload", dnsName: "www.domain.example.com",
		ambient: true,
		fill: []string{
			"$EMAIL_ADDRESS", "admin@example.com", "$AZURE_ZONE_NAME", "domain.example.com", "$AZURE_RESOURCE_GROUP", azurednstest.Group,
			"$AZURE_SUBSCRIPTION_ID", azurednstest.Subscription, "$IDENTITY_CLIENT_ID", azurednstest.Client,
		},
		manifest: `
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: letsencrypt-staging
spec:
  acme:
    server: https://acme-staging-v02.api.letsencrypt.org/directory
    email: $EMAIL_ADDRESS
    privateKeySecretRef:
      name: letsencrypt-staging
    solvers:
    - dns01:
        azureDNS:
          hostedZoneName: $AZURE_ZONE_NAME
          resourceGroupName: $AZURE_RESOURCE_GROUP
          subscriptionID: $AZURE_SUBSCRIPTION_ID
          environment: AzurePublicCloud
          managedIdentity:
            clientID: $IDENTITY_CLIENT_ID
`,
	},
	{
		// "AzureDNS", managed identity with AAD pod identity, which answers in the place of
		// the metadata service.
		name: "pod identity", kind: "Issuer", issuer: "example-issuer",
		certificate: "pod", dnsName: "pod.sub.domain.com",
		ambient: true, node: []string{azurednstest.Client}, fill: azureValues,
		manifest: `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: example-issuer
spec:
  acme:
    ...
    solvers:
    - dns01:
        azureDNS:
          subscriptionID: AZURE_SUBSCRIPTION_ID
          resourceGroupName: AZURE_DNS_ZONE_RESOURCE_GROUP
          hostedZoneName: AZURE_DNS_ZONE
          # Azure Cloud Environment, default to AzurePublicCloud
          environment: AzurePublicCloud
`,
	},
	{
		// "AzureDNS", managed identity with the AKS kubelet's identity.
		name: "kubelet identity by client id", kind: "Issuer", issuer: "example-issuer",
		certificate: "kubelet", dnsName: "kubelet.sub.domain.com",
		ambient: true, node: []string{otherIdentity, azurednstest.Client},
		fill:     append([]string{"YOUR_MANAGED_IDENTITY_CLIENT_ID", azurednstest.Client}, azureValues...),
		manifest: kubelet,
	},
	{
		name: "kubelet identity by resource id", kind: "Issuer", issuer: "example-issuer",
		certificate: "resource", dnsName: "resource.sub.domain.com",
		ambient: true, node: []string{otherIdentity, azurednstest.Client},
		fill: append([]string{
			"clientID: YOUR_MANAGED_IDENTITY_CLIENT_ID", "# clientID: YOUR_MANAGED_IDENTITY_CLIENT_ID",
			"# resourceID: YOUR_MANAGED_IDENTITY_RESOURCE_ID", "resourceID: " + azurednstest.ResourceID,
		}, azureValues...),
		manifest: kubelet,
	},
	{
		// "AzureDNS", service principal:
		// kubectl create secret generic azuredns-config --from-literal=client-secret=$AZURE_CERT_MANAGER_SP_PASSWORD
		name: "service principal", kind: "Issuer", issuer: "example-issuer",
		certificate: "principal", dnsName: "principal.sub.domain.com",
		secret: [3]string{"azuredns-config", "client-secret", azurednstest.Secret},
		fill:   append([]string{"AZURE_CERT_MANAGER_SP_APP_ID", azurednstest.Client, "AZURE_TENANT_ID", azurednstest.Tenant}, azureValues...),
		manifest: `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: example-issuer
spec:
  acme:
    ...
    solvers:
    - dns01:
        azureDNS:
          clientID: AZURE_CERT_MANAGER_SP_APP_ID
          clientSecretSecretRef:
          # The following is the secret we created in Kubernetes. Issuer will use this to present challenge to Azure DNS.
            name: azuredns-config
            key: client-secret
          subscriptionID: AZURE_SUBSCRIPTION_ID
          tenantID: AZURE_TENANT_ID
          resourceGroupName: AZURE_DNS_ZONE_RESOURCE_GROUP
          hostedZoneName: AZURE_DNS_ZONE
          # Azure Cloud Environment, default to AzurePublicCloud
          environment: AzurePublicCloud
`,
	},
	{
		// "Automating Certificate Management in a Kubernetes Environment" of the blog of
		// NGINX, with the Certificate that its Ingress asks for.
		name: "Cloudflare", kind: "ClusterIssuer", issuer: "prod-issuer",
		certificate: "cafe-secret", dnsName: "cert.example.com",
		fill:     []string{"<API Token>", cloudflaretest.Token},
		manifest: harness.CafeCloudflareIssuer,
	},
	{
		// Not in the documents: the other credential of Cloudflare.
		name: "Cloudflare by key", kind: "Issuer", issuer: "cloudflare-key",
		certificate: "by-key", dnsName: "by-key.example.com",
		secret: [3]string{"cloudflare-api-key-secret", "api-key", cloudflaretest.Key},
		manifest: `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: cloudflare-key
spec:
  acme:
    ...
    solvers:
    - dns01:
        cloudflare:
          email: ` + cloudflaretest.Email + `
          apiKeySecretRef:
            name: cloudflare-api-key-secret
            key: api-key
`,
	},
	{
		// cert-manager-webhook-sacloud, for the DNS of Sakura Cloud, with the fields of its
		// README, there with an API version that Kubernetes no longer knows.
		name: "solver webhook", kind: "ClusterIssuer", issuer: "example-issuer",
		certificate: "example-tls", dnsName: "*.example.com",
		start: startSacloud,
		fill: []string{
			"BASE64_ENCODED_TOKEN", base64.StdEncoding.EncodeToString([]byte("token")), "BASE64_ENCODED_SECRET", base64.StdEncoding.EncodeToString([]byte("secret")),
			"BASE64_ENCODED_ZONE", base64.StdEncoding.EncodeToString([]byte("example.com")),
		},
		manifest: `
apiVersion: v1
kind: Secret
metadata:
  name: sacloud-api-secret
  namespace: cert-manager
type: Opaque
data:
  token: BASE64_ENCODED_TOKEN
  secret: BASE64_ENCODED_SECRET
  zone: BASE64_ENCODED_ZONE
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: example-issuer
  namespace: cert-manager
spec:
  acme:
    ...
    solvers:
    - dns01:
        webhook:
          groupName: snmagn.github.com
          solverName: sacloud
          config:
            apiAccessTokenRef: {name: sacloud-api-secret, key: token}
            apiAccessSecretRef: {name: sacloud-api-secret, key: secret}
            apiZoneRef: {name: sacloud-api-secret, key: zone}
`,
	},
}

const kubelet = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: example-issuer
spec:
  acme:
    ...
    solvers:
    - dns01:
        azureDNS:
          subscriptionID: AZURE_SUBSCRIPTION_ID
          resourceGroupName: AZURE_DNS_ZONE_RESOURCE_GROUP
          hostedZoneName: AZURE_DNS_ZONE
          # Azure Cloud Environment, default to AzurePublicCloud
          environment: AzurePublicCloud
          # optional, only required if node pools have more than 1 managed identity assigned
          managedIdentity:
            # client id of the node pool managed identity (can not be set at the same time as resourceID)
            clientID: YOUR_MANAGED_IDENTITY_CLIENT_ID
            # resource id of the managed identity (can not be set at the same time as clientID)
            # resourceID: YOUR_MANAGED_IDENTITY_RESOURCE_ID
`

// startSacloud installs a solver webhook of this group and name. It writes with DNS UPDATE
// instead of the API of Sakura Cloud.
func startSacloud(t *testing.T, w *seedWorld, ns string) (check func()) {
	t.Helper()
	provider, err := rfc2136.New(rfc2136.Config{
		Nameserver: w.dns.Addr(), TSIGKeyName: "solver", TSIGAlgorithm: "HMACSHA256", TSIGSecret: base64.StdEncoding.EncodeToString(seedKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	solver := newForeignSolver("snmagn.github.com", "sacloud", provider)
	port := solver.start(t)
	w.apply(t, ns, solver.service(ns, port)+"---"+solver.role(ns))
	return func() {
		solver.mu.Lock()
		defer solver.mu.Unlock()
		for _, asked := range solver.asked {
			const config = `{"apiAccessSecretRef":{"key":"secret","name":"sacloud-api-secret"},"apiAccessTokenRef":{"key":"token","name":"sacloud-api-secret"},"apiZoneRef":{"key":"zone","name":"sacloud-api-secret"}}`
			if asked.ResourceNamespace != local.Namespace || asked.ResolvedZone != "example.com." || string(asked.Config.Raw) != config {
				t.Errorf("asked for %+v with %s", asked, asked.Config.Raw)
			}
		}
		last := solver.asked[len(solver.asked)-1]
		if last.Action != v1alpha1.ChallengeActionCleanUp || !last.AllowAmbientCredentials {
			t.Errorf("the last request is %+v", last)
		}
	}
}
