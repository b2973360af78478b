package operator

import (
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller/certificatesigningrequest"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// gateSigningRequests has CertificateSigningRequests of Kubernetes signed.
const gateSigningRequests featuregate.Feature = "ExperimentalCertificateSigningRequestControllers"

// signingController names the controller of cert-manager that has issuers of a type sign
// CertificateSigningRequests.
func signingController(t facts.IssuerType) string { return core.Controller(t) }

// signingControllers are cert-manager's controllers of CertificateSigningRequests.
func signingControllers() []string {
	var names []string
	for _, t := range signed {
		names = append(names, signingController(t))
	}
	return names
}

// noSigningRequests says why CertificateSigningRequests are left alone; it is "" if they
// are not. They have no namespace.
func (o *Options) noSigningRequests() string {
	switch {
	case !o.SigningRequests && (o.features == nil || !o.features.Enabled(gateSigningRequests)):
		return "the feature gate " + string(gateSigningRequests) + " is off"
	case o.Namespace != "":
		return "--namespace is set"
	default:
		return ""
	}
}

// readSigningRequests makes the cache of CertificateSigningRequests, if they are not left
// alone.
func (s *system) readSigningRequests(informer toolscache.SharedIndexInformer) error {
	if informer == nil {
		s.manager.GetLogger().Info("CertificateSigningRequests of Kubernetes are left alone: " + s.options.noSigningRequests())
		return nil
	}
	var err error
	s.signing, err = cluster.NewSigningRequests(informer, cluster.SigningRequestsConfig{
		Issuers: s.issuers, References: cluster.NewReferences(s.core, s.clock), Live: s.manager.GetAPIReader(), Copied: s.copied,
	})
	return err
}

// copied reports whether annotations of a key are copied from Certificates and
// CertificateSigningRequests to what is made for them.
func (s *system) copied(key string) bool {
	return facts.Copied(s.options.CopiedAnnotationPrefixes, key)
}

func (s *system) newSigningRequests() (registrable, error) {
	return certificatesigningrequest.New(certificatesigningrequest.Deps{
		Requests: s.signing, Orders: s.orders, Answers: s.answers, Issuers: s.issuers, Signers: s.signers, Server: s.server, Clock: s.clock,
	}, certificatesigningrequest.Config{
		Leave: s.options.left(signingController), Copied: s.copied, Limits: s.options.Limits,
	}, s.metrics.Failed(certificatesigningrequest.Name))
}

// left are the types of issuers whose requests are left to others: the controllers that
// name names them are excluded.
func (o *Options) left(name func(facts.IssuerType) string) []facts.IssuerType {
	on := o.enabled()
	var left []facts.IssuerType
	for _, t := range signed {
		if !on[name(t)] {
			left = append(left, t)
		}
	}
	return left
}
