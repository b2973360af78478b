package validation

import (
	"net"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// dns01Provider is a field of a DNS-01 solver.
type dns01Provider struct {
	name  string
	there func(*acmev1.ACMEChallengeSolverDNS01) bool
	check func(*field.Path, *acmev1.ACMEChallengeSolverDNS01) field.ErrorList
	// lenient providers are accepted beside those before them.
	lenient bool
}

// dns01Providers are in the order in which the webhook looks at them.
var dns01Providers = []dns01Provider{
	{"akamai", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.Akamai != nil }, Akamai, true},
	{"azureDNS", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.AzureDNS != nil }, AzureDNS, false},
	{"cloudDNS", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.CloudDNS != nil }, CloudDNS, false},
	{"cloudflare", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.Cloudflare != nil }, Cloudflare, false},
	{"route53", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.Route53 != nil }, Route53, false},
	{"acmeDNS", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.AcmeDNS != nil }, AcmeDNS, true},
	{"digitalocean", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.DigitalOcean != nil }, DigitalOcean, false},
	{"rfc2136", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.RFC2136 != nil }, RFC2136, false},
	{"webhook", func(s *acmev1.ACMEChallengeSolverDNS01) bool { return s.Webhook != nil }, Webhook, false},
}

// DNS01 checks the dns01 field of a solver.
func DNS01(path *field.Path, solver *acmev1.ACMEChallengeSolverDNS01) Result {
	var r Result
	switch solver.CNAMEStrategy {
	case "", acmev1.NoneStrategy, acmev1.FollowStrategy:
	default:
		r.add(field.Invalid(path.Child("cnameStrategy"), solver.CNAMEStrategy, `must be one of "None" or "Follow"`))
	}
	r.nameservers(path.Child("nameservers"), solver.Nameservers)
	var found bool
	for _, provider := range dns01Providers {
		switch {
		case !provider.there(solver):
		case found && !provider.lenient:
			r.add(field.Forbidden(path.Child(provider.name), "may not specify more than one provider type"))
		default:
			found = true
			r.add(provider.check(path, solver)...)
		}
	}
	if !found {
		r.add(field.Required(path, "no DNS01 provider configured"))
	}
	return r
}

// Akamai checks the field akamai of a solver, whose dns01 field is at path.
func Akamai(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	spec, path := s.Akamai, path.Child("akamai")
	// The paths are not the names of the fields.
	errs := selector(path.Child("accessToken"), spec.AccessToken)
	errs = append(errs, selector(path.Child("clientSecret"), spec.ClientSecret)...)
	errs = append(errs, selector(path.Child("clientToken"), spec.ClientToken)...)
	return append(errs, required(path.Child("serviceConsumerDomain"), spec.ServiceConsumerDomain, "serviceConsumerDomain is required")...)
}

// AzureDNS checks the field azureDNS of a solver, whose dns01 field is at path.
func AzureDNS(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	var errs field.ErrorList
	spec, path := s.AzureDNS, path.Child("azureDNS")
	must := func(name, value string) {
		errs = append(errs, required(path.Child(name), value, name+" is required")...)
	}
	identity := path.Child("managedIdentity")
	if spec.ClientID != "" || spec.TenantID != "" || spec.ClientSecret != nil {
		must("clientID", spec.ClientID)
		if ref := path.Child("clientSecretSecretRef"); spec.ClientSecret == nil {
			errs = append(errs, field.Required(ref, "clientSecretSecretRef is required"))
		} else {
			errs = append(errs, selector(ref, *spec.ClientSecret)...)
		}
		must("tenantID", spec.TenantID)
		if spec.ManagedIdentity != nil {
			errs = append(errs, field.Forbidden(identity, "managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID"))
		}
	}
	if m := spec.ManagedIdentity; m != nil {
		if m.ClientID != "" && m.ResourceID != "" {
			errs = append(errs, field.Forbidden(identity, "managedIdentityClientID and managedIdentityResourceID cannot both be specified"))
		}
		if m.TenantID != "" && m.ResourceID != "" {
			errs = append(errs, field.Forbidden(identity, "managedIdentityTenantID and managedIdentityResourceID cannot both be specified"))
		}
		if m.TenantID != "" && m.ClientID == "" {
			errs = append(errs, field.Required(identity, "managedIdentityClientID is required when using managedIdentityTenantID"))
		}
	}
	must("subscriptionID", spec.SubscriptionID)
	must("resourceGroupName", spec.ResourceGroupName)
	switch spec.Environment {
	case "", acmev1.AzurePublicCloud, acmev1.AzureChinaCloud, acmev1.AzureGermanCloud, acmev1.AzureUSGovernmentCloud:
	default:
		errs = append(errs, field.Invalid(path.Child("environment"), spec.Environment,
			"must be either empty or one of AzurePublicCloud, AzureChinaCloud, AzureGermanCloud, or AzureUSGovernmentCloud"))
	}
	return errs
}

// CloudDNS checks the field cloudDNS of a solver, whose dns01 field is at path.
func CloudDNS(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	path = path.Child("cloudDNS")
	errs := required(path.Child("project"), s.CloudDNS.Project, "project is required")
	return append(errs, optional(path.Child("serviceAccountSecretRef"), s.CloudDNS.ServiceAccount)...)
}

// Cloudflare checks the field cloudflare of a solver, whose dns01 field is at path.
func Cloudflare(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	spec, path := s.Cloudflare, path.Child("cloudflare")
	errs := optional(path.Child("apiKeySecretRef"), spec.APIKey)
	errs = append(errs, optional(path.Child("apiTokenSecretRef"), spec.APIToken)...)
	switch {
	case spec.APIKey != nil && spec.APIToken != nil:
		errs = append(errs, field.Forbidden(path, "apiKeySecretRef and apiTokenSecretRef cannot both be specified"))
	case spec.APIKey == nil && spec.APIToken == nil:
		errs = append(errs, field.Required(path, "apiKeySecretRef or apiTokenSecretRef is required"))
	}
	if spec.APIKey != nil {
		errs = append(errs, required(path.Child("email"), spec.Email, "email is required")...)
	}
	return errs
}

// Route53 checks the field route53 of a solver, whose dns01 field is at path.
func Route53(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	var errs field.ErrorList
	spec, path := s.Route53, path.Child("route53")
	if spec.AccessKeyID != "" && spec.SecretAccessKeyID != nil {
		errs = append(errs, field.Required(path, "accessKeyID and accessKeyIDSecretRef cannot both be specified"))
	}
	return append(errs, optional(path.Child("accessKeyIDSecretRef"), spec.SecretAccessKeyID)...)
}

// AcmeDNS checks the field acmeDNS of a solver, whose dns01 field is at path.
func AcmeDNS(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	path = path.Child("acmeDNS")
	errs := selector(path.Child("accountSecretRef"), s.AcmeDNS.AccountSecret)
	return append(errs, required(path.Child("host"), s.AcmeDNS.Host, "host is required")...)
}

// DigitalOcean checks the field digitalocean of a solver, whose dns01 field is at path.
func DigitalOcean(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	path = path.Child("digitalocean")
	return selector(path.Child("tokenSecretRef"), s.DigitalOcean.Token)
}

// Webhook checks the field webhook of a solver, whose dns01 field is at path.
func Webhook(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	path = path.Child("webhook")
	return required(path.Child("solverName"), s.Webhook.SolverName, "solver name must be specified")
}

// tsigAlgorithms are the API's names of the algorithms of TSIG keys.
var tsigAlgorithms = []string{"HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"}

// RFC2136 checks the field rfc2136 of a solver, whose dns01 field is at path.
func RFC2136(path *field.Path, s *acmev1.ACMEChallengeSolverDNS01) field.ErrorList {
	spec, path := s.RFC2136, path.Child("rfc2136")
	server := path.Child("nameserver")
	errs := required(server, spec.Nameserver, "nameserver is required")
	if spec.Nameserver != "" && !updateServer.MatchString(strings.TrimSpace(spec.Nameserver)) {
		errs = append(errs, field.Invalid(server, spec.Nameserver, UpdateServerForm))
	}
	if spec.TSIGAlgorithm != "" && !slices.Contains(tsigAlgorithms, strings.ToUpper(spec.TSIGAlgorithm)) {
		errs = append(errs, field.NotSupported(path.Child("tsigAlgorithm"), spec.TSIGAlgorithm, tsigAlgorithms))
	}
	secret := selector(path.Child("tsigSecretSecretRef"), spec.TSIGSecret)
	switch {
	case spec.TSIGKeyName != "":
		errs = append(errs, secret...)
	case len(secret) == 0:
		errs = append(errs, field.Required(path.Child("tsigKeyName"), "tsigKeyName is required"))
	}
	return errs
}

// isHostPort reports whether a text is host:port. Both may be empty.
func isHostPort(text string) bool {
	_, _, err := net.SplitHostPort(text)
	return err == nil
}

// UpdateServer is a pattern of name servers for updates: a name, an IPv4 address,
// or an IPv6 address in brackets, and a port if any.
const UpdateServer = `^(\[[0-9a-fA-F:.]+(%[0-9a-zA-Z.-]+)?\]|[^:\[\]/]+)(:[0-9a-zA-Z-]*)?$`

// UpdateServerForm is the error for what is no such name server.
const UpdateServerForm = "nameserver must be set in the form host:port where host is an IPv4 address, " +
	"an enclosed IPv6 address or a hostname and port is an optional port number."

var updateServer = regexp.MustCompile(UpdateServer)
