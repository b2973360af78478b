package operator

import (
	"math"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Check is Complete, and checks the resolvers and the files.
func (o *Options) Check() error {
	if err := o.Complete(); err != nil {
		return err
	}
	if _, err := o.resolver(clock.RealClock{}); err != nil {
		return err
	}
	var bad component.Complaints
	o.MetricsTLS.CheckFiles(bad.Add)
	return bad.Err()
}

func (o *Options) resolver(clock clock.PassiveClock) (*dns.Resolver, error) {
	servers := o.RecursiveNameservers
	if len(servers) == 0 {
		servers = o.systemServers()
	}
	resolver, err := dns.NewResolver(dns.Config{Servers: servers, Clock: clock, Port: o.AuthoritativePort})
	if err != nil {
		return nil, &component.FlagError{Flag: flagResolvers, Message: err.Error()}
	}
	return resolver, nil
}

// systemServers are the resolvers of the pod or the machine.
func (o *Options) systemServers() []string {
	if len(o.SystemNameservers) > 0 {
		return o.SystemNameservers
	}
	return dns.SystemServers()
}

// Complete checks the options and derives what follows from them. The error
// names every option that is wrong.
func (o *Options) Complete() error {
	var complaints component.Complaints
	bad := complaints.Add
	switch o.events {
	case eventsBrief, eventsAll, "":
		o.AllEvents = o.AllEvents || o.events == eventsAll
	default:
		bad("events", "must be %s or %s, not %q", eventsBrief, eventsAll, o.events)
	}
	if err := checkControllers(o.Controllers); err != nil {
		bad("controllers", "%v", err)
	}
	o.checkNamespaces(bad)
	o.completeBackoff(bad)
	o.checkDNS(bad)
	o.LeaderElection.Check(bad)
	if o.LeaderTimeout <= 0 && o.LeaderElection.Enabled {
		bad(flagLeaderTimeout, "must be greater than 0, not %s", o.LeaderTimeout)
	}
	o.checkSizes(bad)
	if o.QPS < -1 || math.IsNaN(float64(o.QPS)) {
		bad("kube-api-qps", "must be -1 (no limit) or more, not %g", o.QPS)
	}
	if o.Burst < -1 {
		bad("kube-api-burst", "must be -1 or more, not %d", o.Burst)
	} else if o.QPS > 0 && float32(o.Burst) < o.QPS {
		bad("kube-api-burst", "is %d, and must not be less than --kube-api-qps, which is %g", o.Burst, o.QPS)
	}
	o.HTTP01.complete(bad)
	o.Listeners().Check(bad)
	o.MetricsTLS.Check(bad)
	o.checkShims(bad)
	o.PodCertificates.check(bad)
	return complaints.Err()
}

func (o *Options) checkNamespaces(bad component.Complaint) {
	component.CheckNamespace("namespace", o.Namespace, true, bad)
	component.CheckNamespace("cluster-resource-namespace", o.ClusterResourceNamespace, false, bad)
}

// completeBackoff takes 0 for a value that is not set, as cert-manager does. If neither
// is, what has failed decides; otherwise the back-off is cert-manager's.
func (o *Options) completeBackoff(bad component.Complaint) {
	const least, most = "certificate-request-minimum-backoff-duration", "certificate-request-maximum-backoff-duration"
	for _, b := range []struct {
		flag       string
		value      *time.Duration
		substitute time.Duration
	}{
		{least, &o.Backoff.Min, plan.DefaultIssuance.Min},
		{most, &o.Backoff.Max, plan.DefaultIssuance.Max},
	} {
		if *b.value < 0 {
			bad(b.flag, "must not be negative, but is %s", *b.value)
		} else if *b.value == 0 && o.Backoff != (plan.Backoff{}) {
			*b.value = b.substitute
		}
	}
	if o.Backoff.Min > 0 && o.Backoff.Max > 0 && o.Backoff.Max < o.Backoff.Min {
		bad(most, "is %s, and must not be less than --%s, which is %s", o.Backoff.Max, least, o.Backoff.Min)
	}
}

func (o *Options) checkDNS(bad component.Complaint) {
	if o.ACMEDNSCacheFloor < 0 || o.ACMEDNSCacheFloor > propagation.MaxFloor {
		bad("acme-dns-cache-floor", "must be between 0s and %s, not %s", propagation.MaxFloor, o.ACMEDNSCacheFloor)
	}
	if o.CheckRetryPeriod <= 0 {
		bad("dns01-check-retry-period", "must be greater than 0, not %s", o.CheckRetryPeriod)
	}
	for _, server := range o.RecursiveNameservers {
		if err := dns.CheckNameserver(server); err != nil {
			bad(flagResolvers, "%v", err)
		}
	}
}

func (o *Options) checkSizes(bad component.Complaint) {
	for _, n := range []struct {
		flag  string
		value int
	}{
		{"concurrent-workers", o.ConcurrentWorkers},
		{"max-concurrent-challenges", o.MaxConcurrentChallenges},
	} {
		if n.value < 1 {
			bad(n.flag, "must be greater than 0, not %d", n.value)
		}
	}
	component.CheckLimits(o.Limits, bad)
}
