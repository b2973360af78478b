// Package azuredns writes dns-01 challenge records into zones of Azure DNS and of Azure
// Private DNS.
package azuredns

import (
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Config is an issuer's azureDNS stanza with its Secret looked up.
type Config struct {
	// SubscriptionID and ResourceGroupName say where the zones are.
	SubscriptionID, ResourceGroupName string
	// HostedZoneName is the zone; empty is the longest of the resource group that is a
	// suffix of a name.
	HostedZoneName string
	// Environment is AzurePublicCloud (also if empty), AzureUSGovernmentCloud or
	// AzureChinaCloud, in any case.
	Environment string
	// ZoneType is AzurePublicZone (also if empty) or AzurePrivateZone.
	ZoneType string

	// ClientID, ClientSecret and TenantID are those of a service principal. Without
	// ClientID the Provider has an identity of the environment.
	ClientID, ClientSecret, TenantID string
	// Ambient reports whether the Provider may use those.
	Ambient bool
	// Identity selects one of them.
	Identity Identity
	// Getenv returns the variables of the environment; nil is os.Getenv.
	Getenv func(string) string

	// HTTP sends all requests; nil is vendorapi.NewTransport.
	HTTP http.RoundTripper
	// Clock is for Retry-After; nil is the system's.
	Clock clock.PassiveClock
	// Tokens are the tokens that Providers share; nil shares none.
	Tokens *Tokens
}

// Identity selects an identity of the environment. At most one of ClientID and
// ResourceID is set; TenantID goes with ClientID.
type Identity struct{ ClientID, ResourceID, TenantID string }

// Provider writes to the zones of one resource group.
type Provider struct {
	dns01.Anycast

	config Config
	api    api
	source *source
	clock  clock.PassiveClock

	// found has the zone of each name that was looked up.
	found dns01.Zones[string]
}

var _ dns01.Provider = (*Provider)(nil)

// ttl is that of new record sets, in seconds: the least that Azure DNS takes.
// https://learn.microsoft.com/azure/dns/dns-zones-records#time-to-live
const ttl = 1

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config. It sends no request.
func New(c Config) (*Provider, error) {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.HTTP == nil {
		c.HTTP = vendorapi.NewTransport()
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.Tokens == nil {
		c.Tokens = NewTokens()
	}
	if c.HostedZoneName != "" {
		c.HostedZoneName = dnsname.Canonical(c.HostedZoneName)
	}
	switch {
	case c.SubscriptionID == "":
		return nil, invalid("subscriptionID is missing")
	case c.ResourceGroupName == "":
		return nil, invalid("resourceGroupName is missing")
	}
	id, failed := identityOf(c)
	if failed != nil {
		return nil, failed
	}
	p := &Provider{config: c, clock: c.Clock}
	p.source = c.Tokens.of(id, transport{vendorapi.Client(c.HTTP)}, c.Clock)
	options := &arm.ClientOptions{ClientOptions: clientOptions(id.cloud, p.source.transport), DisableRPRegistration: true}
	var err error
	switch c.ZoneType {
	case "", publicZone:
		p.api, err = newPublic(c, p.source, options)
	case privateZone:
		p.api, err = newPrivate(c, p.source, options)
	default:
		return nil, invalid("zoneType %q is not supported: it is %s or %s", c.ZoneType, publicZone, privateZone)
	}
	if err != nil {
		return nil, invalid("the client of the Azure API cannot be made").Because(err)
	}
	return p, nil
}

// clientOptions are those of all of the SDK's clients. They do not retry: the controller
// does.
func clientOptions(c azure, t transport) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     c.Configuration,
		Transport: t,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "everleaf"},
	}
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.User, "InvalidConfig", format, args...)
}
