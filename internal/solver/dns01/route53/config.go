// Package route53 writes dns-01 challenge records into hosted zones of Amazon
// Route 53. Each value is a record set of its own, with multivalue answer routing:
// writers of other values at the name need not know of it.
package route53

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Config is an issuer's route53 stanza with its Secrets looked up.
type Config struct {
	// AccessKeyID and SecretAccessKey are an access key. Both are empty, or none.
	AccessKeyID, SecretAccessKey string
	// KeyName is what messages call the access key, without its id if that comes
	// from a Secret.
	KeyName string
	// ServiceAccount takes on Role by a token of Kubernetes, instead of an access
	// key; nil for none.
	ServiceAccount *ServiceAccount
	// Ambient allows the credentials of the environment, if there are no others.
	Ambient bool
	// Role is the ARN of a role to take on; may be empty without ServiceAccount.
	Role string
	// Region chooses the partition of Route 53 and the endpoint of STS. If it is empty, it
	// is that of the environment, or else the global one. The environment's has
	// precedence with its credentials.
	Region string
	// HostedZoneID is the zone, with or without "/hostedzone/". If it is empty, the zone
	// is looked for by its name.
	HostedZoneID string

	// HTTP sends the requests.
	HTTP http.RoundTripper
	// Clock is nil for the system's.
	Clock clock.PassiveClock
	// Walk finds a name's zone in DNS; may be nil.
	Walk func(ctx context.Context, fqdn string) (string, error)
	// Logins keeps temporary credentials for Configs with equal credentials; nil for
	// this one only.
	Logins *lru.Cache
}

// ServiceAccount is a service account of Kubernetes whose tokens AWS accepts.
type ServiceAccount struct {
	Namespace, Name string
	Audiences       []string
	// Token returns a token for the audiences. Its errors are fault.Errors.
	Token func(context.Context) (string, error)
}

// Provider writes to the hosted zones of one set of credentials.
type Provider struct {
	login  *login
	client *route53.Client
	zoneID string // Config.HostedZoneID
	clock  clock.PassiveClock
	walk   func(ctx context.Context, fqdn string) (string, error)

	// zones has the hosted zone of each name that has been looked up.
	zones dns01.Zones[zone]

	mu sync.Mutex
	// changes has the id of the change that wrote each record.
	changes map[dns01.Record]string
}

var (
	_ dns01.Provider = (*Provider)(nil)
	_ dns01.Settler  = (*Provider)(nil)
)

// New returns the Provider of a Config, or a fault that says what is wrong with
// the Config.
func New(ctx context.Context, c Config) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	login, err := c.loggedIn(ctx)
	if err != nil {
		return nil, err
	}
	return &Provider{
		login: login, client: route53.NewFromConfig(login.config),
		zoneID: strings.TrimPrefix(c.HostedZoneID, "/hostedzone/"),
		clock:  c.Clock, walk: c.Walk,
		changes: map[dns01.Record]string{},
	}, nil
}

var regionName = regexp.MustCompile(`^[a-z0-9-]*$`)

func (c Config) check() error {
	keys := c.AccessKeyID != "" && c.SecretAccessKey != ""
	switch {
	case c.ServiceAccount != nil && c.Role == "":
		return invalid("role must be set when web identity token is set")
	case c.ServiceAccount != nil:
	case !keys && (c.AccessKeyID != "" || c.SecretAccessKey != ""):
		return invalid("only one of access and secret key was provided")
	case !keys && !c.Ambient:
		return invalid("empty credentials; perhaps you meant to enable ambient credentials? The issuer may not use those of the environment: " +
			"set accessKeyID and secretAccessKeySecretRef, or auth.kubernetes.serviceAccountRef and role, " +
			"or the option --issuer-ambient-credentials for Issuers, --cluster-issuer-ambient-credentials for ClusterIssuers")
	}
	if !regionName.MatchString(c.Region) {
		return invalid("region %q is not the name of an AWS region, such as eu-west-1", c.Region)
	}
	return nil
}

func misconfigured(format string, args ...any) *fault.Error {
	return fault.New(fault.User, "InvalidConfig", format, args...)
}

func invalid(format string, args ...any) *fault.Error {
	return misconfigured("error instantiating route53 challenge solver: unable to construct route53 provider: "+format, args...)
}

// partitions has the partitions of AWS by the prefixes of their regions.
var partitions = []struct{ prefix, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"us-isof-", "aws-iso-f"},
	{"eu-isoe-", "aws-iso-e"},
	{"eusc-", "aws-eusc"},
	{"", "aws"},
}

// checkPartition returns a fault if a role is not one of the region's partition: STS
// says only that the credentials are invalid.
func checkPartition(role, region string) error {
	arn := strings.SplitN(role, ":", 3)
	if role == "" {
		return nil
	}
	if len(arn) < 3 || arn[0] != "arn" {
		return invalid("role %q is not the ARN of a role, such as arn:aws:iam::123456789012:role/dns", role)
	}
	for _, p := range partitions {
		if !strings.HasPrefix(region, p.prefix) {
			continue
		}
		if p.name != arn[1] {
			return invalid("role %q is in the partition %q and the region %q in the partition %q: set region to one of the role's partition", role, arn[1], region, p.name)
		}
		return nil
	}
	return nil
}
