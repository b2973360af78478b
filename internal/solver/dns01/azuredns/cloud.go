package azuredns

import (
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	// The package fills in the addresses of the API of each cloud.
	_ "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/runtime"

	"github.com/everleaf/everleaf/internal/fault"
)

// azure is one of Azure's clouds: the host that gives tokens, the host of the API, and
// the audience of the tokens for it. They have no tenants in common.
type azure struct {
	name string // as the API's field environment spells it
	cloud.Configuration
}

var (
	publicCloud     = azure{"AzurePublicCloud", cloud.AzurePublic}
	governmentCloud = azure{"AzureUSGovernmentCloud", cloud.AzureGovernment}
	chinaCloud      = azure{"AzureChinaCloud", cloud.AzureChina}
)

// clouds has the names of clouds in lower case. Azure's tools use two for some.
var clouds = map[string]azure{
	"":                       publicCloud,
	"azurecloud":             publicCloud,
	"azurepubliccloud":       publicCloud,
	"azureusgovernment":      governmentCloud,
	"azureusgovernmentcloud": governmentCloud,
	"azurechinacloud":        chinaCloud,
}

// cloudNamed returns the cloud of the API's field environment. AzureGermanCloud, which
// the field can have, no longer exists.
func cloudNamed(name string) (azure, *fault.Error) {
	c, ok := clouds[strings.ToLower(name)]
	if !ok {
		return azure{}, invalid("unknown cloud configuration name: %s", name)
	}
	return c, nil
}

// cloudOf returns the cloud of a value of AZURE_AUTHORITY_HOST, such as
// https://login.microsoftonline.us/. A host that is in none of the clouds gives the
// tokens for the public cloud.
func cloudOf(authority string) (azure, *fault.Error) {
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return azure{}, invalid("AZURE_AUTHORITY_HOST %q is not an https address", authority)
	}
	for _, c := range []azure{publicCloud, governmentCloud, chinaCloud} {
		if strings.EqualFold(c.authority(), u.Host) {
			return c, nil
		}
	}
	c := publicCloud
	c.ActiveDirectoryAuthorityHost = authority
	return c, nil
}

// authority returns the host that gives tokens.
func (c azure) authority() string {
	return strings.Trim(strings.TrimPrefix(c.ActiveDirectoryAuthorityHost, "https://"), "/")
}
