package azuredns

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/everleaf/everleaf/internal/fault"
)

type kind int

const (
	servicePrincipal kind = iota
	// workloadIdentity exchanges the token of a service account, which the webhook of
	// azure-workload-identity mounts.
	workloadIdentity
	// managedIdentity asks the instance metadata service (IMDS) of the node.
	managedIdentity
)

// identity is who everleaf is at Azure.
type identity struct {
	kind                         kind
	cloud                        azure
	tenantID, clientID, secret   string
	resourceID                   string // of a managed identity, instead of clientID
	tokenFile                    string // of a workload identity
	ignoredResourceID, fromEnvID bool   // for messages
}

// The variables that the webhook of azure-workload-identity sets.
// https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html
const (
	envClientID  = "AZURE_CLIENT_ID"
	envTenantID  = "AZURE_TENANT_ID"
	envTokenFile = "AZURE_FEDERATED_TOKEN_FILE"
	envAuthority = "AZURE_AUTHORITY_HOST"
)

// noAmbient begins with the words of the documentation of cert-manager, which people
// search for.
const noAmbient = "ClientID is not set but neither --cluster-issuer-ambient-credentials nor --issuer-ambient-credentials are set. " +
	"These are necessary to enable Azure Managed Identities: an Issuer needs --issuer-ambient-credentials, a ClusterIssuer " +
	"--cluster-issuer-ambient-credentials, which is on by default; or give clientID, clientSecretSecretRef and tenantID"

// identityOf returns the identity that a Config selects.
func identityOf(c Config) (identity, *fault.Error) {
	where, failed := cloudNamed(c.Environment)
	if failed != nil {
		return identity{}, failed
	}
	switch {
	case c.ClientID != "":
		id := identity{kind: servicePrincipal, cloud: where, clientID: c.ClientID, tenantID: c.TenantID, secret: c.ClientSecret}
		if id.tenantID == "" || id.secret == "" {
			return identity{}, invalid("clientID needs clientSecretSecretRef and tenantID")
		}
		return id, checkTenant(id.tenantID)
	case !c.Ambient:
		return identity{}, invalid("%s", noAmbient)
	case c.Getenv(envTokenFile) != "":
		return workload(c, where)
	default:
		return identity{kind: managedIdentity, cloud: where, clientID: c.Identity.ClientID, resourceID: c.Identity.ResourceID}, nil
	}
}

// workload returns the workload identity of the environment. The fields of the issuer
// override its variables; the webhook leaves AZURE_CLIENT_ID empty if the service
// account has no annotation.
func workload(c Config, where azure) (identity, *fault.Error) {
	id := identity{
		kind: workloadIdentity, cloud: where, tokenFile: c.Getenv(envTokenFile),
		clientID: c.Identity.ClientID, tenantID: c.Identity.TenantID, ignoredResourceID: c.Identity.ResourceID != "",
	}
	if id.clientID == "" {
		id.clientID, id.fromEnvID = c.Getenv(envClientID), true
	}
	if id.tenantID == "" {
		id.tenantID = c.Getenv(envTenantID)
	}
	switch {
	case id.clientID == "":
		return identity{}, invalid("workload identity has no client id: set managedIdentity.clientID, or the annotation azure.workload.identity/client-id of the service account of everleaf, and restart its pod")
	case id.tenantID == "":
		return identity{}, invalid("workload identity has no tenant id: set managedIdentity.tenantID, or the annotation azure.workload.identity/tenant-id of the service account of everleaf, and restart its pod")
	}
	if authority := c.Getenv(envAuthority); c.Environment == "" && authority != "" {
		var failed *fault.Error
		if id.cloud, failed = cloudOf(authority); failed != nil {
			return identity{}, failed
		}
	}
	return id, checkTenant(id.tenantID)
}

// checkTenant returns a fault for what is neither the id nor a domain of a tenant: it
// would become part of an address.
func checkTenant(tenant string) *fault.Error {
	if strings.Trim(strings.ToLower(tenant), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return invalid("tenantID %q is neither an id nor a domain", tenant)
	}
	return nil
}

// key identifies the identity, without telling the secret.
func (i identity) key() [sha256.Size]byte {
	// JSON keeps the fields apart.
	text, _ := json.Marshal([]string{
		fmt.Sprint(i.kind), i.cloud.name, i.cloud.ActiveDirectoryAuthorityHost, i.tenantID, i.clientID, i.secret, i.resourceID, i.tokenFile,
		fmt.Sprint(i.ignoredResourceID, i.fromEnvID),
	})
	return sha256.Sum256(text)
}

// String names the identity in messages.
func (i identity) String() string {
	switch {
	case i.kind == servicePrincipal:
		return fmt.Sprintf("the service principal with client id %s of tenant %s", i.clientID, i.tenantID)
	case i.kind == workloadIdentity && i.fromEnvID:
		return fmt.Sprintf("workload identity with client id %s (of %s) of tenant %s", i.clientID, envClientID, i.tenantID)
	case i.kind == workloadIdentity:
		return fmt.Sprintf("workload identity with client id %s of tenant %s", i.clientID, i.tenantID)
	case i.clientID != "":
		return fmt.Sprintf("the managed identity with client id %s", i.clientID)
	case i.resourceID != "":
		return fmt.Sprintf("the managed identity with resource id %s", i.resourceID)
	default:
		return "the managed identity of the node"
	}
}

// assertion reads the token of the service account. The kubelet replaces the file long
// before the token expires, so that it is read for each exchange.
func (i identity) assertion() (string, *fault.Error) {
	if i.kind != workloadIdentity {
		return "", nil
	}
	text, err := os.ReadFile(i.tokenFile)
	if err != nil {
		return "", fault.New(fault.Transient, "TokenFile", "the token of the service account cannot be read from the file of %s for %s", envTokenFile, i).Because(err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fault.New(fault.Transient, "TokenFile", "the file of %s is empty, so that there is no token for %s", envTokenFile, i)
	}
	return token, nil
}

// credential returns the SDK's credential for one exchange. It caches nothing that
// outlives the exchange, except for managed identities: the SDK keeps their tokens for
// the whole process, and does not look there if it is given claims.
func (i identity) credential(t transport, assertion string) (azcore.TokenCredential, error) {
	options := clientOptions(i.cloud, t)
	switch i.kind {
	case servicePrincipal:
		return azidentity.NewClientSecretCredential(i.tenantID, i.clientID, i.secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options})
	case workloadIdentity:
		return azidentity.NewClientAssertionCredential(i.tenantID, i.clientID, given(assertion), &azidentity.ClientAssertionCredentialOptions{ClientOptions: options})
	default:
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		switch {
		case i.clientID != "":
			managed.ID = azidentity.ClientID(i.clientID)
		case i.resourceID != "":
			managed.ID = azidentity.ResourceID(i.resourceID)
		}
		return azidentity.NewManagedIdentityCredential(managed)
	}
}
