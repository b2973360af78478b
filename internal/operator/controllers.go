package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/certificate"
	"github.com/everleaf/everleaf/internal/controller/certificaterequest"
	"github.com/everleaf/everleaf/internal/controller/challenge"
	"github.com/everleaf/everleaf/internal/controller/issuer"
	"github.com/everleaf/everleaf/internal/controller/order"
	"github.com/everleaf/everleaf/internal/controller/podcertificate"
	"github.com/everleaf/everleaf/internal/controller/renewalinformation"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// approver is cert-manager's controller that approves requests.
const approver = "certificaterequests-approver"

// signer names the controller of cert-manager that has issuers of a type sign requests.
func signer(t facts.IssuerType) string { return "certificaterequests-issuer-" + string(t) }

var signed = []facts.IssuerType{facts.IssuerACME, facts.IssuerCA, facts.IssuerSelfSigned, facts.IssuerVault, facts.IssuerVenafi}

// requests are cert-manager's controllers of CertificateRequests.
func requests() []string {
	names := []string{approver}
	for _, t := range signed {
		names = append(names, signer(t))
	}
	return names
}

// renewalInformation is cert-manager's controller that asks CAs when to renew. It is also one
// of those whose work the Certificates' controller does.
const renewalInformation = "certificates-readiness"

// idle are cert-manager's controllers that this program has nothing to do for.
var idle = []string{"certificates-metrics"}

// entry is a controller of this program: the names of cert-manager's controllers
// whose work it does, and how it is made. It runs if --controllers has all of them,
// or, where it can do a part of the work, one.
type entry struct {
	names []string
	parts bool
	make  func(*system) (registrable, error)
}

// missing are the names of an entry that are not enabled.
func (e entry) missing(on map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(e.names), func(name string) bool { return on[name] })
}

type registrable interface {
	Registration() controller.Registration
}

// controllers are all controllers.
func controllers() []entry {
	return []entry{
		{[]string{"issuers"}, false, func(s *system) (registrable, error) { return s.newIssuers(cmv1.IssuerKind, "issuers") }},
		{[]string{"clusterissuers"}, false, func(s *system) (registrable, error) {
			return s.newIssuers(cmv1.ClusterIssuerKind, "clusterissuers")
		}},
		{[]string{
			"certificates-issuing", "certificates-key-manager", "certificates-readiness",
			"certificates-request-manager", "certificates-revision-manager", "certificates-trigger",
		}, false, (*system).newCertificates},
		{[]string{renewalInformation}, false, (*system).newRenewalInformation},
		{requests(), true, (*system).newRequests},
		{signingControllers(), true, (*system).newSigningRequests},
		{[]string{podcertificate.Name}, false, (*system).newPodCertificates},
		{[]string{"orders"}, false, (*system).newOrders},
		{[]string{"challenges"}, false, (*system).newChallenges},
		{[]string{ingressShim}, false, (*system).newIngresses},
		{[]string{gatewayShim}, false, (*system).newGateways},
		{[]string{listenerSetShim}, false, (*system).newListenerSets},
		{[]string{httpRouteShim}, false, (*system).newHTTPRoutes},
	}
}

// known are the names that --controllers takes: those of cert-manager whose work
// this program does, and those that it has nothing to do for.
func known() []string {
	names := slices.Clone(idle)
	for _, e := range controllers() {
		names = append(names, e.names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// enabled returns the names that a list such as "*,-orders" selects. A list with
// nothing but exclusions implies "*".
func enabled(list []string) map[string]bool {
	all := !slices.ContainsFunc(list, func(s string) bool { return !strings.HasPrefix(s, "-") }) || slices.Contains(list, "*")
	on := map[string]bool{}
	for _, name := range known() {
		on[name] = (all || slices.Contains(list, name)) && !slices.Contains(list, "-"+name)
	}
	return on
}

// enabled are the controllers that the options select: those of --controllers, and those
// that have a flag of their own, unless --controllers excludes them.
func (o *Options) enabled() map[string]bool {
	on := enabled(o.Controllers)
	for _, name := range append(signingControllers(), podcertificate.Name, gatewayShim, listenerSetShim, httpRouteShim) {
		if o.serves(name) && !slices.Contains(o.Controllers, "-"+name) {
			on[name] = true
		}
	}
	return on
}

// checkControllers returns why a list cannot be obeyed, or nil.
func checkControllers(list []string) error {
	for _, item := range list {
		if name := strings.TrimPrefix(item, "-"); item != "*" && !slices.Contains(known(), name) {
			return fmt.Errorf("%q is not in the list of known controllers: %s", name, strings.Join(known(), ", "))
		}
	}
	on := enabled(list)
	for _, e := range controllers() {
		if missing := e.missing(on); !e.parts && len(missing) > 0 && len(missing) < len(e.names) {
			return fmt.Errorf("%s run as one controller in everleaf: enable all of them or none (disabled: %s)",
				strings.Join(e.names, ", "), strings.Join(missing, ", "))
		}
	}
	return nil
}

// register makes the controllers that --controllers enables.
func (s *system) register(ctx context.Context) error {
	on := s.options.enabled()
	for _, e := range controllers() {
		if len(e.missing(on)) == len(e.names) || !s.options.serves(e.names[0]) {
			continue
		}
		c, err := e.make(s)
		if err != nil {
			return err
		}
		if err := s.builder.Register(ctx, c.Registration()); err != nil {
			return err
		}
	}
	return nil
}

// serves reports whether other options than --controllers have work for a controller.
func (o *Options) serves(controller string) bool {
	switch {
	case controller == "clusterissuers":
		return o.Namespace == ""
	case slices.Contains(signingControllers(), controller):
		return o.noSigningRequests() == ""
	case controller == renewalInformation:
		return o.gate(gateRenewalInformation)
	case controller == podcertificate.Name:
		return o.noPodCertificates() == ""
	case controller == gatewayShim:
		return o.noGatewayAPI() == ""
	case controller == listenerSetShim:
		return o.listenerSets()
	case controller == httpRouteShim:
		return o.httpRoutes()
	default:
		return true
	}
}

func (s *system) newIssuers(kind, name string) (registrable, error) {
	return issuer.New(issuer.Deps{
		Kind: kind, Cache: s.manager.GetCache(), Issuers: s.issuers, Types: &s.types, Server: s.server,
		AccountReady: &s.accountReady, News: &s.issuerNews, Clock: s.clock,
	}, s.metrics.Failed(name))
}

func (s *system) newCertificates() (registrable, error) {
	left := s.options.left(signer)
	return certificate.New(certificate.Deps{
		Cache: s.manager.GetCache(), Secrets: s.secrets, Requests: s.requests, Orders: s.orders, Answers: s.answers,
		Issuers: s.issuers, Approval: s.approval, Identity: cluster.NewIdentity(s.core, s.clock), Server: s.server, Keys: s.keys, Clock: s.clock,
	}, certificate.Config{
		Backoff: s.options.Backoff, OwnSecrets: s.options.EnableCertificateOwnerRef,
		CopiedAnnotations: s.options.CopiedAnnotationPrefixes, Limits: s.options.Limits,
		LeaveApproval: !s.options.enabled()[approver], Spread: renewalSpread, RenewalInformation: s.options.gate(gateRenewalInformation),
		Serves: func(of facts.IssuerType) bool { return Serves(of) || slices.Contains(left, of) },
	}, s.metrics.Failed("certificates"))
}

func (s *system) newRenewalInformation() (registrable, error) {
	return renewalinformation.New(renewalinformation.Deps{
		Cache: s.manager.GetCache(), Secrets: s.secrets, Requests: s.requests, Issuers: s.issuers, Accounts: s.accounts,
		Server: s.server, Clock: s.clock,
	}, s.metrics.Failed(renewalinformation.Name))
}

func (s *system) newRequests() (registrable, error) {
	return certificaterequest.New(certificaterequest.Deps{
		Cache: s.manager.GetCache(), Secrets: s.secrets, Requests: s.requests, Orders: s.orders, Answers: s.answers, Issuers: s.issuers, Approval: s.approval,
		Signers: s.signers, Server: s.server, Clock: s.clock,
	}, certificaterequest.Config{
		LeaveApproval: !s.options.enabled()[approver], Leave: s.options.left(signer),
		RenewalInformation: s.options.gate(gateRenewalInformation), Limits: s.options.Limits,
	}, s.metrics.Failed("certificaterequests"))
}

func (s *system) newOrders() (registrable, error) {
	return order.New(order.Deps{
		Cache: s.manager.GetCache(), Orders: s.orders, Requests: s.requests, Signing: s.signing, Issuers: s.issuers, Accounts: s.accounts,
		Answers: s.answers, Server: s.server, AccountReady: &s.accountReady, Suspected: &s.issuerNews, Verified: &s.verified, Clock: s.clock,
		Limits: s.options.Limits, Failed: s.metrics.Failed("orders"),
		Copied: s.copied,
	})
}

func (s *system) newChallenges() (registrable, error) {
	solvers, err := s.solvers()
	if err != nil {
		return nil, err
	}
	challenges, err := challenge.New(challenge.Deps{
		Cache: s.manager.GetCache(), API: s.server, Orders: s.orders, Requests: s.requests, Signing: s.signing, Issuers: s.issuers,
		Accounts: s.accounts, Solvers: solvers, IssuerSecrets: s.issuers.SecretRefs(s.types.Secrets),
		AccountReady: &s.accountReady, Suspected: &s.issuerNews, Verified: &s.verified,
		MaxConcurrent: s.options.MaxConcurrentChallenges, CheckRetry: s.options.CheckRetryPeriod,
		Limits: s.options.Limits, Clock: s.clock, Log: s.manager.GetLogger().WithName("challenges"),
		Left:      &cluster.LeftRecords{Core: s.core, Namespace: s.options.ClusterResourceNamespace},
		Abandoned: s.metrics.RecordAbandoned, Failed: s.metrics.Failed("challenges"),
	})
	if err != nil {
		return nil, err
	}
	s.metrics.ObserveChallenges(challenges)
	// As the leader only.
	if err := s.manager.Add(manager.RunnableFunc(challenges.Resume)); err != nil {
		return nil, err
	}
	return challenges, nil
}

// renewalSpread is how much later than due a renewal may begin: 10,000 certificates
// that are due at the same time are then three a second.
const renewalSpread = time.Hour

// kinds are the kinds that are cached.
func (s *system) kinds() map[string]client.Object {
	kinds := map[string]client.Object{
		cmv1.CertificateKind:        &cmv1.Certificate{},
		cmv1.CertificateRequestKind: &cmv1.CertificateRequest{},
		cmv1.IssuerKind:             &cmv1.Issuer{},
		acmev1.OrderKind:            &acmev1.Order{},
		acmev1.ChallengeKind:        &acmev1.Challenge{},
	}
	if s.options.Namespace == "" {
		kinds[cmv1.ClusterIssuerKind] = &cmv1.ClusterIssuer{}
	}
	if s.options.noSigningRequests() == "" {
		kinds[signingrequest.Kind] = &signingrequest.Object{}
	}
	if s.options.enabled()[ingressShim] {
		kinds[core.KindIngress] = &networkingv1.Ingress{}
	}
	return kinds
}
