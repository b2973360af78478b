// Package operator runs the controllers: flags, caches, leader election,
// metrics and health.
package operator

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller/shim"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Options are what can be set about the controllers. The flags' names and
// defaults are those of cert-manager's controller.
type Options struct {
	// ClusterResourceNamespace holds the Secrets of ClusterIssuers.
	ClusterResourceNamespace string
	// Namespace limits the controllers to one namespace; ClusterIssuers are
	// then left alone. Empty means all.
	Namespace string

	LeaderElection component.LeaderElection
	// LeaderTimeout is how long after the end of its lease a leader that has not
	// renewed it counts as alive.
	LeaderTimeout time.Duration

	// Controllers are the names of cert-manager's controllers whose work is done:
	// "*" for all, "-name" for all but one.
	Controllers []string

	// ConcurrentWorkers is the number of workers per controller of
	// cert-manager's; each of ours does the work of several.
	ConcurrentWorkers       int
	MaxConcurrentChallenges int

	EnableCertificateOwnerRef bool
	CopiedAnnotationPrefixes  []string
	Backoff                   plan.Backoff
	Limits                    pki.Limits

	// RecursiveNameservers are in the forms of dns.CheckNameserver; none means the
	// system's.
	RecursiveNameservers     []string
	RecursiveNameserversOnly bool
	CheckRetryPeriod         time.Duration
	// ACMEDNSCacheFloor is how long the resolvers of CAs keep an answer at least.
	ACMEDNSCacheFloor time.Duration

	// Ambient says whose solvers, and whose log-ins at Vault, may use the credentials of the environment.
	Ambient dns01.Ambient
	// SystemNameservers take the place of those in /etc/resolv.conf. For tests.
	SystemNameservers []string
	// VendorHTTP asks the APIs of DNS vendors, AWS for those who log in at Vault, and the
	// services of Venafi; nil is the network.
	VendorHTTP http.RoundTripper

	// AuthoritativePort is where authoritative name servers listen; 0 is 53.
	AuthoritativePort int

	HTTP01 HTTP01Options

	// AllEvents also sends the Normal events about single steps.
	AllEvents bool

	// SigningRequests is whether CertificateSigningRequests of Kubernetes are signed; the
	// feature gate asks for it too.
	SigningRequests bool
	PodCertificates PodCertificates

	GatewayAPI GatewayAPI
	// Shims are how Certificates are made for Ingresses and Gateways.
	Shims shim.Config

	// QPS and Burst limit the requests to an API server that has no API Priority
	// and Fairness; -1 is no limit.
	QPS   float32
	Burst int

	MetricsListenAddress string
	MetricsTLS           component.TLS
	// Registerer takes the metrics; nil is the one whose metrics are served.
	// Systems that run at the same time in one process each need their own.
	Registerer prometheus.Registerer
	// Clock is the time by which certificates live; nil is that of the machine. Leases
	// are kept by the machine's.
	Clock                clock.WithTicker
	HealthzListenAddress string
	Profiles             component.Profiles

	events   string
	features featuregate.FeatureGate
}

// Events of --events.
const (
	eventsBrief = "brief"
	eventsAll   = "all"
)

// Defaults are the options without any flag.
func Defaults() Options {
	return Options{
		ClusterResourceNamespace: "kube-system",
		LeaderElection:           component.DefaultLeaderElection(),
		LeaderTimeout:            20 * time.Second,
		Controllers:              []string{"*"},
		ConcurrentWorkers:        5,
		MaxConcurrentChallenges:  60,
		CopiedAnnotationPrefixes: []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
		Ambient:                  dns01.Ambient{ClusterIssuers: true},
		Limits:                   pki.DefaultLimits,
		CheckRetryPeriod:         propagation.DefaultRetry,
		PodCertificates:          PodCertificates{TrustDomain: "cluster.local"},
		Shims:                    defaultShims(),
		HTTP01:                   defaultHTTP01(),
		QPS:                      20,
		Burst:                    50,
		MetricsListenAddress:     "0.0.0.0:9402",
		MetricsTLS:               component.NewTLS("metrics-", "metrics", "cert-manager"),
		HealthzListenAddress:     "0.0.0.0:9403",
		Profiles:                 component.DefaultProfiles(),
		events:                   eventsBrief,
	}
}

// AddFlags adds the flags, with o's values as defaults.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.ClusterResourceNamespace, "cluster-resource-namespace", o.ClusterResourceNamespace, "namespace of the Secrets that ClusterIssuers refer to")
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "work in this namespace only, without ClusterIssuers (default all)")
	o.LeaderElection.AddFlags(fs)
	fs.StringSliceVar(&o.Controllers, "controllers", o.Controllers, "controllers to run, by cert-manager's names; * is all, -name all but one")
	fs.IntVar(&o.ConcurrentWorkers, "concurrent-workers", o.ConcurrentWorkers, "number of workers; a Certificate's six concerns count as one controller each, as in cert-manager")
	fs.IntVar(&o.MaxConcurrentChallenges, "max-concurrent-challenges", o.MaxConcurrentChallenges, "largest number of challenges in flight for each issuer, from presenting to asking the CA")
	fs.BoolVar(&o.EnableCertificateOwnerRef, "enable-certificate-owner-ref", o.EnableCertificateOwnerRef, "delete the Secret of a Certificate together with it")
	fs.StringSliceVar(&o.CopiedAnnotationPrefixes, "copied-annotation-prefixes", o.CopiedAnnotationPrefixes, "prefixes of the annotations that are copied from Certificates to CertificateRequests; one that begins with - is not copied")
	fs.DurationVar(&o.Backoff.Min, "certificate-request-minimum-backoff-duration", o.Backoff.Min, "wait after the first failed issuance, doubled after each further one, as in cert-manager; 1h if only the maximum is set (default depends on what has failed)")
	fs.DurationVar(&o.Backoff.Max, "certificate-request-maximum-backoff-duration", o.Backoff.Max, "longest wait after a failed issuance, as in cert-manager; 32h if only the minimum is set (default depends on what has failed)")
	fs.StringSliceVar(&o.RecursiveNameservers, flagResolvers, o.RecursiveNameservers, "recursive resolvers to ask for DNS-01, each host:port, tcp://host:port, tls://host (DNS over TLS) or https://host/path (DNS over HTTPS) (default those of the system)")
	fs.BoolVar(&o.RecursiveNameserversOnly, "dns01-recursive-nameservers-only", o.RecursiveNameserversOnly, "check DNS-01 records at the recursive resolvers instead of the authoritative servers")
	fs.DurationVar(&o.CheckRetryPeriod, "dns01-check-retry-period", o.CheckRetryPeriod, "longest wait between two checks whether a DNS-01 record has spread")
	fs.DurationVar(&o.ACMEDNSCacheFloor, "acme-dns-cache-floor", o.ACMEDNSCacheFloor, "how long the resolvers of CAs keep a DNS answer at least, for CAs that raise small TTLs; the annotation everleaf.io/acme-dns-cache-floor on an issuer takes its place")
	fs.BoolVar(&o.Ambient.Issuers, "issuer-ambient-credentials", o.Ambient.Issuers, "let Issuers (DNS-01 solvers, and Vault with AWS) use the credentials of the environment in which everleaf runs")
	fs.BoolVar(&o.Ambient.ClusterIssuers, "cluster-issuer-ambient-credentials", o.Ambient.ClusterIssuers, "let ClusterIssuers (DNS-01 solvers, and Vault with AWS) use the credentials of the environment in which everleaf runs")
	o.HTTP01.addFlags(fs)
	fs.StringVar(&o.events, "events", o.events, "which events to send: brief (failures and the milestones of an issuance) or all")
	fs.Float32Var(&o.QPS, "kube-api-qps", o.QPS, "requests per second to an API server without API Priority and Fairness, -1 for no limit; with it, there is no limit here")
	fs.IntVar(&o.Burst, "kube-api-burst", o.Burst, "requests that may exceed --kube-api-qps for a moment")
	fs.StringVar(&o.MetricsListenAddress, "metrics-listen-address", o.MetricsListenAddress, "host:port of the Prometheus metrics; 0 for none")
	fs.StringVar(&o.HealthzListenAddress, "internal-healthz-listen-address", o.HealthzListenAddress, "host:port of /livez; 0 for none")
	fs.DurationVar(&o.LeaderTimeout, flagLeaderTimeout, o.LeaderTimeout, "how long beyond --leader-election-lease-duration the lease may not have been renewed, or not have been allowed to be read, before /livez fails")
	o.Profiles.AddFlags(fs)
	component.AddLimits(fs, &o.Limits)
	o.MetricsTLS.AddFlags(fs)
	o.addShims(fs)
	o.addGatewayAPI(fs)
	o.addPodCertificates(fs)
	o.addGates(fs)
}

const (
	flagResolvers     = "dns01-recursive-nameservers"
	flagLeaderTimeout = "internal-healthz-leader-election-timeout"
)

// Listeners are the addresses to listen on.
func (o *Options) Listeners() component.Listeners {
	listeners := component.Listeners{
		"metrics-listen-address":          o.MetricsListenAddress,
		"internal-healthz-listen-address": o.HealthzListenAddress,
	}
	if o.HTTP01.Responds() {
		listeners[flagResponderListen] = o.HTTP01.ListenAddress
	}
	o.Profiles.Listen(listeners)
	return listeners
}
