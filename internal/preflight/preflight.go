// Package preflight checks by a real record whether an issuer can solve DNS-01
// challenges for a domain: it writes a TXT record with the issuer's solver, looks for it
// at every name server and at the resolvers, and deletes it. It asks no CA for anything.
//
// The steps are those of a Challenge, by the same code: the solver is selected as for an
// Order, and a dns01.Session does the work.
package preflight

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// cleanUpTime bounds the deletion of the record, also after an interruption.
	cleanUpTime = 30 * time.Second
	// goneTime bounds the wait until no server has the record.
	goneTime = 30 * time.Second
	// retry is the time between two looks, where nothing else says when the next is due.
	retry = time.Second
)

// Check is what to check. All fields without a default are required.
type Check struct {
	Issuer cmv1.GenericIssuer
	// SecretNamespace is where the issuer's Secrets are. OtherNamespaces are where they
	// may be too, if nobody said where the controllers look for them.
	SecretNamespace string
	OtherNamespaces []string
	// Domain is a name as in a Certificate's dnsNames. Labels are those of the
	// Certificate, for selectors.
	Domain string
	Labels map[string]string

	Providers dns01.Registry
	Secrets   dns01.Secrets
	// SecretHint is what to do about a Secret that is missing; may be empty.
	SecretHint string
	// Cluster is nil if there is none.
	Cluster dns01.Cluster
	// Ambient reports whether the credentials of the environment may be used.
	Ambient bool

	// Resolver and Mode say which servers are asked, NewResolver makes the Resolver of
	// a solver with nameservers of its own.
	Resolver    dns01.Resolver
	Mode        propagation.Mode
	NewResolver func(servers []string) (dns01.Resolver, error)

	// Patience is how long the record may take to be on every server.
	Patience time.Duration
	Clock    clock.Clock
	// Progress is called when a step begins to wait, and when it has ended; may be nil.
	Progress func(Step)
}

// run is one Check in progress.
type run struct {
	Check
	report Report
	began  time.Time // of the step

	solver    *dns01.Solver
	challenge solver.Challenge
	// resolver and mode are those of the solver.
	resolver dns01.Resolver
	mode     propagation.Mode
	// before is how many values the name had, -1 if that is not known.
	before int
	// said is what a step waited for last.
	said string
}

// Run does the steps until one fails. A record that was written is deleted in any case,
// also if ctx ends.
func (c Check) Run(ctx context.Context) Report {
	if c.Progress == nil {
		c.Progress = func(Step) {}
	}
	r := &run{Check: c, before: -1, report: Report{Issuer: Name(c.Issuer), Domain: c.Domain}}
	_ = r.begin() && r.choose() && r.readSecrets(ctx) && r.locate(ctx) && r.present(ctx)
	r.report.Interrupted = ctx.Err() != nil
	r.report.OK = !slices.ContainsFunc(r.report.Steps, func(s Step) bool { return s.State == Failed })
	return r.report
}

// Name names an issuer in messages.
func Name(i cmv1.GenericIssuer) string {
	if i.GetNamespace() == "" {
		return fmt.Sprintf("%s %q", kindOf(i), i.GetName())
	}
	return fmt.Sprintf("%s \"%s/%s\"", kindOf(i), i.GetNamespace(), i.GetName())
}

func kindOf(i cmv1.GenericIssuer) string {
	if _, cluster := i.(*cmv1.ClusterIssuer); cluster {
		return cmv1.ClusterIssuerKind
	}
	return cmv1.IssuerKind
}

func (r *run) start() { r.began = r.Clock.Now() }

// end ends a step, and reports whether the next one can be done.
func (r *run) end(s Step) bool {
	s.Seconds = seconds(r.Clock.Since(r.began))
	r.report.Steps = append(r.report.Steps, s)
	r.Progress(s)
	return s.State != Failed
}

func (r *run) done(step, format string, args ...any) bool {
	return r.end(Step{Name: step, State: OK, Message: fmt.Sprintf(format, args...)})
}

func (r *run) failed(step string, err error) bool {
	return r.end(Step{Name: step, State: Failed, Message: fault.Of(err).Message})
}

// begin checks what was asked for.
func (r *run) begin() bool {
	r.start()
	domain, err := canonicalDomain(r.Domain)
	if err != nil {
		return r.failed(StepIssuer, err)
	}
	r.Domain, r.report.Domain = domain, domain
	spec := r.Issuer.GetSpec().ACME
	if spec == nil {
		return r.failed(StepIssuer, fmt.Errorf("%s is not an ACME issuer: it needs no challenge", Name(r.Issuer)))
	}
	return r.done(StepIssuer, "%s of the ACME server %s, which is not asked", Name(r.Issuer), spec.Server)
}

// choose selects the solver, as for an Order.
func (r *run) choose() bool {
	r.start()
	spec := r.Issuer.GetSpec().ACME
	index, why := order.SolverFor(spec, Name(r.Issuer), r.Labels, r.Domain)
	if why != "" {
		return r.failed(StepSolver, errors.New(why+r.otherSolvers()))
	}
	selected := spec.Solvers[index].DeepCopy()
	path := field.NewPath("spec", "acme", "solvers").Index(index)
	if why := r.Providers.Unsupported(selected); why != "" {
		return r.failed(StepSolver, fmt.Errorf("%s %s", path, why))
	}
	if errs := r.Providers.Check(path.Child("dns01"), selected.DNS01); len(errs) > 0 {
		return r.failed(StepSolver, errs.ToAggregate())
	}
	wait := selected.WaitInsteadOfSelfCheck
	selected.WaitInsteadOfSelfCheck = nil
	r.resolver, r.mode = r.Resolver, r.Mode
	if len(selected.DNS01.Nameservers) > 0 {
		own, err := r.NewResolver(selected.DNS01.Nameservers)
		if err != nil {
			return r.failed(StepSolver, err)
		}
		r.resolver, r.mode = own, propagation.RecursiveOnly
	}
	_, isCluster := r.Issuer.(*cmv1.ClusterIssuer)
	r.challenge = solver.Challenge{
		Namespace: r.SecretNamespace, SecretNamespace: r.SecretNamespace, ClusterIssuer: isCluster, CA: spec.Server,
		Type: acmev1.ACMEChallengeTypeDNS01, DNSName: strings.TrimPrefix(r.Domain, "*."), Wildcard: strings.HasPrefix(r.Domain, "*."),
		Key: randomValue(), Solver: *selected,
	}
	r.report.Name = dnsname.Canonical(dnsname.Challenge(r.challenge.DNSName))
	var err error
	r.solver, err = dns01.New(dns01.Config{
		Providers: r.Providers, Secrets: r.Secrets, Resolver: r.Resolver, Mode: r.Mode, NewResolver: r.NewResolver,
		Ambient: dns01.Ambient{Issuers: r.Ambient, ClusterIssuers: r.Ambient}, Cluster: r.Cluster,
		Ledger: &propagation.Ledger{}, Clock: r.Clock,
	})
	if err != nil {
		return r.failed(StepSolver, err)
	}
	s := Step{Name: StepSolver, State: OK, Message: fmt.Sprintf("%s: %s, which writes to %s", path, r.Providers.Name(selected.DNS01), r.solver.Server(selected))}
	if wait != nil {
		s.State = Warning
		s.Message += fmt.Sprintf("; with waitInsteadOfSelfCheck, everleaf waits %s and looks at no name server, but this check does", wait.Duration)
	}
	return r.end(s)
}

// otherSolvers says that the issuer's solvers have selectors, if no label was given.
func (r *run) otherSolvers() string {
	labelled := slices.ContainsFunc(r.Issuer.GetSpec().ACME.Solvers, func(s acmev1.ACMEChallengeSolver) bool {
		return s.Selector != nil && len(s.Selector.MatchLabels) > 0
	})
	if labelled && len(r.Labels) == 0 {
		return "; some select Certificates by labels: give those of the Certificate with --labels"
	}
	return ""
}

// randomValue has the form of a digest in a challenge (RFC 8555 section 8.4).
func randomValue() string {
	digest := make([]byte, 32)
	_, _ = rand.Read(digest) // it does not fail
	return base64.RawURLEncoding.EncodeToString(digest)
}

// locate finds where the record is written.
func (r *run) locate(ctx context.Context) bool {
	r.start()
	name, zone, err := r.solver.Place(ctx, r.challenge)
	if err != nil {
		return r.failed(StepZone, err)
	}
	r.report.Target, r.report.Zone = name, zone
	if name != r.report.Name {
		return r.done(StepZone, "%s is an alias of %s, in the zone %s", r.report.Name, name, zone)
	}
	return r.done(StepZone, "%s is in the zone %s", name, zone)
}
