// Package clouddns writes dns-01 challenge records into managed zones of Google Cloud
// DNS. All values of a name are one record set, which is replaced as a whole: a change
// names the set that it replaces, and Cloud DNS refuses it if that is not the set any
// more.
package clouddns

import (
	"context"
	"net/http"
	"regexp"
	"sync"

	dns "google.golang.org/api/dns/v1"
	"google.golang.org/api/option"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Config is an issuer's cloudDNS stanza with its Secret looked up.
type Config struct {
	// Project is the id of the project that has the zones.
	Project string
	// HostedZoneName is the name of the managed zone. If it is empty, the zone is looked
	// for by its DNS name.
	HostedZoneName string
	// ServiceAccount is the JSON key of a service account. If it is empty, the
	// credentials of the environment are used, if Ambient allows that.
	ServiceAccount []byte
	// SecretName is what messages call the place of ServiceAccount.
	SecretName string
	Ambient    bool

	// HTTP sends the requests.
	HTTP http.RoundTripper
	// Clock is nil for the system's.
	Clock clock.PassiveClock
	// Walk finds a name's zone in DNS; may be nil.
	Walk func(ctx context.Context, fqdn string) (string, error)
	// Tokens keeps access tokens for Configs with equal credentials; nil for this one
	// only.
	Tokens *lru.Cache
}

// Provider writes to the managed zones of one project.
type Provider struct {
	project, zoneName string
	account           *account
	service           *dns.Service
	clock             clock.PassiveClock
	walk              func(ctx context.Context, fqdn string) (string, error)

	// zones has the managed zone of each name that has been looked up.
	zones dns01.Zones[zone]

	mu sync.Mutex
	// changes has the change that wrote each record.
	changes map[dns01.Record]change
}

// change is a change of a managed zone.
type change struct{ zone, id string }

var (
	_ dns01.Provider = (*Provider)(nil)
	_ dns01.Settler  = (*Provider)(nil)
)

// projectID and zoneID are what the names may contain: they become parts of URLs.
var (
	projectID = regexp.MustCompile(`^[a-z0-9.:-]+$`)
	zoneID    = regexp.MustCompile(`^[a-z0-9-]*$`)
)

// New returns the Provider of a Config, or a fault that says what is wrong with
// the Config.
func New(ctx context.Context, c Config) (*Provider, error) {
	switch {
	case !projectID.MatchString(c.Project):
		return nil, invalid("project %q is not the id of a project", c.Project)
	case !zoneID.MatchString(c.HostedZoneName):
		return nil, invalid("hostedZoneName %q is not the name of a managed zone, such as example-com; it is not the zone's DNS name", c.HostedZoneName)
	case len(c.ServiceAccount) == 0 && !c.Ambient:
		return nil, invalid("empty credentials; perhaps you meant to enable ambient credentials? The issuer may not use those of the environment: " +
			"set serviceAccountSecretRef, or the option --issuer-ambient-credentials for Issuers, --cluster-issuer-ambient-credentials for ClusterIssuers")
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	account, err := c.signedIn()
	if err != nil {
		return nil, err
	}
	service, err := dns.NewService(ctx, option.WithHTTPClient(vendorapi.Client(bearer{c.HTTP, account})))
	if err != nil {
		return nil, invalid("the environment's configuration of Google Cloud cannot be used").Because(err)
	}
	service.UserAgent = "everleaf"
	return &Provider{
		project: c.Project, zoneName: c.HostedZoneName,
		account: account, service: service, clock: c.Clock, walk: c.Walk,
		changes: map[dns01.Record]change{},
	}, nil
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.User, "InvalidConfig", "error instantiating google clouddns challenge solver: unable to construct clouddns provider: "+format, args...)
}
