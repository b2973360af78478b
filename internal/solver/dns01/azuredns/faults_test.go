package azuredns

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
)

const (
	asPrincipal = "the service principal with client id " + client + " of tenant " + tenant
	asWorkload  = "workload identity with client id " + client + " of tenant " + tenant
	entra       = "Microsoft Entra ID (login.microsoftonline.com)"
	theToken    = "; the token of the service account has issuer https://oidc.example.com/cluster/, subject system:serviceaccount:everleaf:everleaf and audience api://AzureADTokenExchange"
)

// wants fails unless Present fails twice with the message.
func wants(t *testing.T, p *Provider, class fault.Class, message string) {
	t.Helper()
	for range 2 {
		f := fault.Of(p.Present(t.Context(), record(first)))
		if f == nil {
			t.Fatal("no error")
		}
		if f.Class != class {
			t.Errorf("class %s, want %s", f.Class, class)
		}
		if diff := cmp.Diff(message, f.Message); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestRefusedServicePrincipal(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*server, *Config)
		class   fault.Class
		message string
	}{
		"secret": {
			func(_ *server, c *Config) { c.ClientSecret = "wrong" }, fault.User,
			entra + " answered HTTP 401 (invalid_client: AADSTS7000215) to getting a token for " + asPrincipal +
				": the client secret is wrong; store the value of a client secret, not its id, in the Secret of clientSecretSecretRef",
		},
		"client": {
			func(s *server, _ *Config) { s.Identities = nil }, fault.User,
			entra + " answered HTTP 400 (unauthorized_client: AADSTS700016) to getting a token for " + asPrincipal +
				": the tenant has no application or managed identity with this client id; check clientID and tenantID",
		},
		"tenant": {
			func(_ *server, c *Config) { c.TenantID = "other.example.com" }, fault.User,
			entra + " answered HTTP 400 (invalid_tenant: AADSTS90002) to getting a token for the service principal with client id " + client + " of tenant other.example.com" +
				": the tenant does not exist in this cloud; check tenantID, and set environment to the cloud of the tenant; it is AzurePublicCloud",
		},
		"a code that is not known": {
			func(s *server, _ *Config) {
				a := azurednstest.EntraError(400, "invalid_request", 1234567, "Something.")
				s.Entra = &a
			}, fault.User,
			entra + " answered HTTP 400 (invalid_request: AADSTS1234567) to getting a token for " + asPrincipal + "; check clientID and tenantID, and that the identity is enabled",
		},
		"not a document": {
			func(s *server, _ *Config) { s.Entra = &azurednstest.Answer{Status: 403, Body: "<html>proxy</html>"} }, fault.User,
			entra + " answered HTTP 403 to getting a token for " + asPrincipal + "; check clientID and tenantID, and that the identity is enabled",
		},
		"unavailable": {
			func(s *server, _ *Config) {
				a := azurednstest.EntraError(503, "temporarily_unavailable", 90033, "A transient error.")
				s.Entra = &a
			}, fault.Transient,
			entra + " answered HTTP 503 (temporarily_unavailable: AADSTS90033) to getting a token for " + asPrincipal,
		},
		"rate limit": {
			func(s *server, _ *Config) {
				s.Entra = &azurednstest.Answer{Status: 429, Header: http.Header{"Retry-After": {"20"}}}
			}, fault.Later, entra + " answered HTTP 429 to getting a token for " + asPrincipal,
		},
		"success that is none": {
			func(s *server, _ *Config) { s.Entra = &azurednstest.Answer{Status: 200, Body: "hello"} }, fault.Transient,
			entra + " sent an answer that it does not document to getting a token for " + asPrincipal,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, publicCloud)
			c := s.principal()
			test.change(s, &c)
			wants(t, provider(t, c), test.class, test.message)
		})
	}
}

func TestRefusedWorkloadIdentity(t *testing.T) {
	s := newServer(t, publicCloud)
	explained := map[int]string{
		70021:  "the identity has no federated credential for the token of the service account",
		700211: "the identity has no federated credential with the issuer of the token of the service account",
		700212: "the identity has no federated credential with the audience of the token of the service account",
		700213: "the identity has no federated credential with the subject of the token of the service account",
	}
	for code, what := range explained {
		a := azurednstest.EntraError(401, "invalid_client", code, "No matching federated identity record found for presented assertion.")
		s.Do(func() { s.Entra = &a })
		said := entra + " answered HTTP 401 (invalid_client: " + entraCode(a) + ") to getting a token for "
		wants(t, provider(t, s.ambient(s.Environment(), Identity{ClientID: client})), fault.User,
			said+asWorkload+": "+what+"; "+federate+theToken)
		wants(t, provider(t, s.ambient(s.Environment(), Identity{ResourceID: resourceID})), fault.User,
			said+"workload identity with client id "+client+" (of AZURE_CLIENT_ID) of tenant "+tenant+": "+what+"; "+federate+theToken+
				"; managedIdentity.resourceID is not used, because the pod has a workload identity")
	}
	s.Do(func() { s.Entra = nil })
	if err := os.WriteFile(s.TokenFile, []byte("no token"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := provider(t, s.ambient(s.Environment(), Identity{ClientID: client}))
	s.Do(func() { a := azurednstest.EntraError(401, "invalid_client", 700027, ""); s.Entra = &a })
	if m := p.Present(t.Context(), record(first)).Error(); !strings.HasSuffix(m, "the file of AZURE_FEDERATED_TOKEN_FILE has no JSON Web Token") {
		t.Error(m)
	}
	if err := os.Remove(s.TokenFile); err != nil {
		t.Fatal(err)
	}
	wants(t, p, fault.Transient, "the token of the service account cannot be read from the file of AZURE_FEDERATED_TOKEN_FILE for "+asWorkload)
}

// entraCode is Entra's code in an answer.
func entraCode(a azurednstest.Answer) string { return tokenError([]byte(a.Body)).code() }

func TestRefusedManagedIdentity(t *testing.T) {
	const (
		imds  = "the instance metadata service at 169.254.169.254"
		other = "22222222-3333-4444-5555-666666666666"
	)
	for name, test := range map[string]struct {
		change  func(*server)
		id      Identity
		class   fault.Class
		message string
	}{
		"several": {
			func(s *server) { s.Identities = []string{client, other} },
			Identity{},
			fault.User,
			imds + " answered HTTP 400 (invalid_request) to getting a token for the managed identity of the node: the node has several; set managedIdentity.clientID, " +
				"for the identity of the kubelet to what az aks show --query identityProfile.kubeletidentity.clientId prints",
		},
		"another client id": {
			func(*server) {},
			Identity{ClientID: other},
			fault.User,
			imds + " answered HTTP 400 (invalid_request) to getting a token for the managed identity with client id " + other +
				": it is not assigned to this node; assign it to the scale set of the node pool, or correct managedIdentity",
		},
		"another resource id": {
			func(*server) {},
			Identity{ResourceID: "/x"},
			fault.User,
			imds + " answered HTTP 400 (invalid_request) to getting a token for the managed identity with resource id /x" +
				": it is not assigned to this node; assign it to the scale set of the node pool, or correct managedIdentity",
		},
		"none": {
			func(s *server) {
				s.IMDS = &azurednstest.Answer{Status: 400, Body: `{"error":"invalid_request","error_description":"There is no default identity is assigned to this resource"}`}
			},
			Identity{},
			fault.User,
			imds + " answered HTTP 400 (invalid_request) to getting a token for the managed identity of the node: the node has no system-assigned identity; set managedIdentity.clientID to an identity that is assigned to it",
		},
		"a proxy": {
			func(s *server) {
				s.IMDS = &azurednstest.Answer{Status: 403, Body: "A socket operation was attempted to an unreachable network"}
			},
			Identity{},
			fault.User,
			imds + " answered HTTP 403 to getting a token for the managed identity of the node, but not as that of Azure does: no Azure identity here; on Azure, check what else listens at that address, such as a proxy; " +
				"outside, give clientID, clientSecretSecretRef and tenantID",
		},
		"starting": {
			func(s *server) { s.IMDS = &azurednstest.Answer{Status: 410} },
			Identity{},
			fault.Transient,
			imds + " answered HTTP 410 to getting a token for the managed identity of the node",
		},
		"silent": {
			func(s *server) { s.Silent = make(chan struct{}) },
			Identity{},
			fault.Transient,
			`no Azure identity here: AZURE_FEDERATED_TOKEN_FILE is not set (is the label azure.workload.identity/use: "true" missing at the pod, or is it older than the label?), ` +
				imdsUnreachable + " for the managed identity of the node: no answer in time; outside Azure, give clientID, clientSecretSecretRef and tenantID",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, publicCloud)
			test.change(s)
			wants(t, provider(t, s.ambient(nil, test.id)), test.class, test.message)
		})
	}
}

const imdsUnreachable = "and the instance metadata service at 169.254.169.254 cannot be reached"

func TestRefusedByAPI(t *testing.T) {
	const inGroup = "/subscriptions/" + subscription + "/resourceGroups/" + group
	for name, test := range map[string]struct {
		change  func(*server, *Config)
		message string
	}{
		"no role": {
			func(s *server, _ *Config) { s.Role = "none" },
			`the Azure API answered HTTP 403 (AuthorizationFailed) to listing the public zones of resource group "dns-zones"; ` + asPrincipal + " (object id " + object + ") may not do Microsoft.Network/dnsZones/read over " + inGroup +
				`: assign it the role "DNS Zone Contributor" at the zone or at resource group "dns-zones" (with the role at the zone only, set hostedZoneName); a new assignment takes some minutes`,
		},
		"no role, private": {
			func(s *server, c *Config) { s.Role, c.ZoneType, c.HostedZoneName = "none", privateZone, "example.com" },
			"the Azure API answered HTTP 403 (AuthorizationFailed) to reading the TXT record set at " + fqdn + " in zone example.com.; " + asPrincipal + " (object id " + object + ") may not do Microsoft.Network/privateDnsZones/TXT/read over " + inGroup + "/providers/Microsoft.Network/privateDnsZones/example.com/TXT/_acme-challenge.www" +
				`: assign it the role "Private DNS Zone Contributor" at the zone or at resource group "dns-zones" (with the role at the zone only, set hostedZoneName); a new assignment takes some minutes`,
		},
		"resource group": {
			func(_ *server, c *Config) { c.ResourceGroupName = "other" },
			`Zone www.example.com. not found in AzureDNS for domain ` + fqdn + `. Err: the Azure API answered HTTP 404 (ResourceGroupNotFound: Resource group 'other' could not be found.) to listing the public zones of resource group "other"`,
		},
		"zone": {
			func(_ *server, c *Config) { c.HostedZoneName = "www.example.com" },
			`Zone www.example.com. not found in AzureDNS for domain ` + fqdn + `. Err: the Azure API answered HTTP 404 (ParentResourceNotFound: Can not perform requested operation on nested resource. Parent resource 'www.example.com' not found.) to reading the TXT record set at ` + fqdn + ` in zone www.example.com.`,
		},
		"no zones": {
			func(s *server, _ *Config) { s.Zones = nil },
			`Zone www.example.com. not found in AzureDNS for domain ` + fqdn + `. Err: there are no public zones in resource group "dns-zones" of subscription ` + subscription + `; check subscriptionID, resourceGroupName and zoneType`,
		},
		"other zones": {
			func(s *server, _ *Config) {
				s.Zones = map[string][]string{"dnsZones": {"xample.com", "example.org", "Example.net"}}
			},
			`Zone www.example.com. not found in AzureDNS for domain ` + fqdn + `. Err: the name is in none of the public zones of resource group "dns-zones" of subscription ` + subscription + `, which are example.net., example.org., xample.com.`,
		},
		"another zone in the issuer": {
			func(_ *server, c *Config) { c.HostedZoneName = "example.org." },
			fqdn + " is not in the zone example.org. of hostedZoneName; leave hostedZoneName out, or give the name another solver",
		},
		"tenant of the subscription": {
			func(s *server, _ *Config) {
				s.refuse(azurednstest.ARMError(401, "InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer 'https://sts.windows.net/x/'."))
			},
			`the Azure API answered HTTP 401 (InvalidAuthenticationTokenTenant) to listing the public zones of resource group "dns-zones"; it does not accept the token of ` + asPrincipal +
				": check that subscription " + subscription + " belongs to the tenant of that identity, and that environment is the cloud of both (it is AzurePublicCloud)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, publicCloud)
			c := s.principal()
			test.change(s, &c)
			wants(t, provider(t, c), fault.User, test.message)
		})
	}
}

// TestInvalidConfig tests what is refused without a request.
func TestInvalidConfig(t *testing.T) {
	s := newServer(t, publicCloud)
	for name, test := range map[string]struct {
		change  func(*Config)
		message string
	}{
		"no ambient credentials": {
			func(c *Config) { *c = s.ambient(s.Environment(), Identity{}); c.Ambient = false },
			noAmbient,
		},
		"Germany":   {func(c *Config) { c.Environment = "AzureGermanCloud" }, "unknown cloud configuration name: AzureGermanCloud"},
		"zone type": {func(c *Config) { c.ZoneType = "Other" }, `zoneType "Other" is not supported: it is AzurePublicZone or AzurePrivateZone`},
		"no secret": {func(c *Config) { c.ClientSecret = "" }, "clientID needs clientSecretSecretRef and tenantID"},
		"tenant":    {func(c *Config) { c.TenantID = "a/b" }, `tenantID "a/b" is neither an id nor a domain`},
		"no client id in the pod": {
			func(c *Config) {
				*c = s.ambient(map[string]string{envTokenFile: "/t", envTenantID: tenant}, Identity{})
			},
			"workload identity has no client id: set managedIdentity.clientID, or the annotation azure.workload.identity/client-id of the service account of everleaf, and restart its pod",
		},
		"no tenant in the pod": {
			func(c *Config) {
				*c = s.ambient(map[string]string{envTokenFile: "/t", envClientID: client}, Identity{})
			},
			"workload identity has no tenant id: set managedIdentity.tenantID, or the annotation azure.workload.identity/tenant-id of the service account of everleaf, and restart its pod",
		},
		"authority": {
			func(c *Config) {
				env := s.Environment()
				env[envAuthority] = "http://login.example.com"
				*c = s.ambient(env, Identity{})
				c.Environment = ""
			}, `AZURE_AUTHORITY_HOST "http://login.example.com" is not an https address`,
		},
		"subscription": {func(c *Config) { c.SubscriptionID = "" }, "subscriptionID is missing"},
		"group":        {func(c *Config) { c.ResourceGroupName = "" }, "resourceGroupName is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.principal()
			test.change(&c)
			_, err := New(c)
			if err == nil || fault.Of(err).Class != fault.User {
				t.Fatalf("no User fault: %v", err)
			}
			if diff := cmp.Diff(test.message, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
