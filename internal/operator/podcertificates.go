package operator

import (
	"regexp"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/featuregate"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/podcertificate"
	core "github.com/everleaf/everleaf/internal/lifecycle/podcertificate"
)

// gatePodCertificates has PodCertificateRequests of Kubernetes signed. cert-manager does
// not have it.
const gatePodCertificates featuregate.Feature = "ExperimentalPodCertificateRequestControllers"

// PodCertificates say how PodCertificateRequests of Kubernetes are signed.
type PodCertificates struct {
	// Enabled is whether they are; the feature gate asks for it too.
	Enabled bool
	// TrustDomain is that of the SPIFFE IDs in the certificates.
	TrustDomain string
	// Interval is how often the API server is asked whether it has the kind; 0 is the
	// default. For tests.
	Interval time.Duration
}

const flagTrustDomain = "pod-certificate-trust-domain"

func (o *Options) addPodCertificates(fs *pflag.FlagSet) {
	fs.StringVar(&o.PodCertificates.TrustDomain, flagTrustDomain, o.PodCertificates.TrustDomain,
		"trust domain of the SPIFFE IDs in the certificates of pods; needs the feature gate "+string(gatePodCertificates))
}

// trustDomain is what the SPIFFE ID standard takes (section 2.1).
var trustDomain = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)

func (p PodCertificates) check(bad component.Complaint) {
	if !trustDomain.MatchString(p.TrustDomain) {
		bad(flagTrustDomain, "must be of lower-case letters, digits, dots, dashes and underscores, as in a SPIFFE ID, not %q", p.TrustDomain)
	}
}

// noPodCertificates says why PodCertificateRequests are left alone; it is "" if they are
// not. They are for ClusterIssuers.
func (o *Options) noPodCertificates() string {
	switch {
	case !o.PodCertificates.Enabled && (o.features == nil || !o.features.Enabled(gatePodCertificates)):
		return "the feature gate " + string(gatePodCertificates) + " is off"
	case o.Namespace != "":
		return "--namespace is set"
	default:
		return ""
	}
}

// readPodCertificates makes the cache of PodCertificateRequests, if they are not left alone.
// Only the leader has it.
func (s *system) readPodCertificates(rc *rest.Config, caches *component.Caches, stores map[string]cluster.Store) error {
	if why := s.options.noPodCertificates(); why != "" {
		s.manager.GetLogger().Info("PodCertificateRequests of Kubernetes are left alone: " + why)
		return nil
	}
	var err error
	s.podCertificates, err = cluster.NewPodCertificates(rc, cluster.PodCertificatesConfig{
		Observe: caches.Observe, Log: s.manager.GetLogger().WithName("pod-certificates"), Interval: s.options.PodCertificates.Interval,
	})
	if err != nil {
		return err
	}
	stores[core.Kind] = s.podCertificates
	return s.manager.Add(manager.RunnableFunc(s.podCertificates.Start))
}

// optional are the kinds that the API server may not have.
func (s *system) optional() []controller.Optional {
	kinds := []controller.Optional{s.gatewayAPI}
	if s.podCertificates != nil {
		kinds = append(kinds, s.podCertificates)
	}
	return kinds
}

func (s *system) newPodCertificates() (registrable, error) {
	return podcertificate.New(podcertificate.Deps{
		Requests: s.podCertificates, Issuers: s.issuers, Signers: s.signers, Server: s.server, Clock: s.clock,
	}, podcertificate.Config{TrustDomain: s.options.PodCertificates.TrustDomain, Limits: s.options.Limits}, s.metrics.Failed(podcertificate.Name))
}
