package challenge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// stepTimeout bounds one step at a name server or the ACME server.
const stepTimeout = time.Minute

const (
	// shortestRetry and longestRetry bound the wait after a failed step,
	// doubled from one to the next.
	shortestRetry = 5 * time.Second
	longestRetry  = 30 * time.Minute
)

// carryOut takes the plan's step. stop says that there is nothing more to do
// until the time, or until an event.
func (w *work) carryOut(ctx context.Context, plan core.Plan) (stop bool, until time.Time, err error) {
	switch plan.Step {
	case core.AddFinalizer:
		return false, time.Time{}, w.addFinalizer(ctx)
	case core.Release:
		return true, time.Time{}, w.dropFinalizer(ctx, plan.Abandoned)
	}
	began := w.Clock.Now()
	asking, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	err = w.ask(asking, plan.Step)
	if err == nil {
		w.session.tries, w.session.RetryAt = 0, time.Time{}
		if plan.Step != core.Present {
			return false, time.Time{}, nil
		}
		_, err = w.storeStatus(ctx, core.Presented(w.state, w.Clock.Now()))
		return false, time.Time{}, err
	}
	if ctx.Err() != nil {
		return true, time.Time{}, ctx.Err()
	}
	return w.stepFailed(ctx, plan.Step, err, began)
}

// ask takes a step at a foreign server.
func (w *work) ask(ctx context.Context, step core.Step) error {
	switch step {
	case core.Present:
		return w.present(ctx)
	case core.Probe:
		return w.probe(ctx)
	case core.Accept:
		return w.accept(ctx)
	case core.Check:
		return w.check(ctx)
	case core.CleanUp:
		return w.cleanUp(ctx)
	default:
		return fmt.Errorf("unknown step %q", step)
	}
}

// stepFailed tells in the status what went wrong, and when to try again.
func (w *work) stepFailed(ctx context.Context, step core.Step, cause error, began time.Time) (bool, time.Time, error) {
	logr.FromContextOrDiscard(ctx).V(2).Info("Step failed", "step", step, "dnsName", w.state.Object.Spec.DNSName, "error", cause.Error(), "cause", causeOf(step, cause))
	plan := core.StepFailed(w.state, step, cause, w.Clock.Now())
	if acme.IsAccountProblem(cause) && w.issuer != nil {
		if again := w.Accounts.Suspect(w.issuer.GetUID(), began, w.Clock.Now()); !again.IsZero() {
			w.WakeIssuer(w.issuer, again)
		}
	}
	changed, err := w.storeStatus(ctx, plan)
	if err != nil {
		return true, time.Time{}, err
	}
	if !changed {
		// The status says it already; the repeated event counts up.
		w.Events.Send(w.state.Object, plan.Events...)
	}
	if order.ChallengeFinal(w.state.Object) && step != core.CleanUp {
		return false, time.Time{}, nil
	}
	until := plan.Until
	if until.IsZero() {
		until = w.Clock.Now().Add(min(shortestRetry<<min(w.session.tries, 20), longestRetry))
	}
	w.session.tries++
	w.session.RetryAt = until
	w.release(w.owner.NamespacedName)
	return true, until, nil
}

// present writes the record where the CA will look for it.
func (w *work) present(ctx context.Context) error {
	solver := w.solver()
	provider, err := w.Providers.For(ctx, w.Issuers.SecretNamespace(w.issuer), solver)
	if err != nil {
		return err
	}
	if w.session.record.FQDN == "" {
		if err := w.locate(ctx, solver); err != nil {
			return err
		}
	}
	// From here on the record may be there, whatever the answer.
	w.session.provider, w.session.Presented, w.session.ca = provider, true, w.ca()
	if err := provider.Present(ctx, w.session.record); err != nil {
		return err
	}
	// With the zone, the probe need not ask resolvers about names below it.
	if zone, err := provider.Zone(ctx, w.session.record.FQDN); err == nil {
		w.session.zone = zone
	}
	return nil
}

// solver is the DNS-01 part of the solver that the issuer has for this
// Challenge; the Challenge's own copy has been checked against it.
func (w *work) solver() *acmev1.ACMEChallengeSolverDNS01 { return w.state.Object.Spec.Solver.DNS01 }

// locate finds the name to write at.
func (w *work) locate(ctx context.Context, solver *acmev1.ACMEChallengeSolverDNS01) error {
	fqdn := challengeFQDN(w.state.Object)
	if solver.CNAMEStrategy == acmev1.FollowStrategy {
		resolver, mode, err := w.Propagation.For(solver)
		if err != nil {
			return err
		}
		if mode == propagation.RecursiveOnly {
			fqdn, err = resolver.FollowCNAME(ctx, fqdn)
		} else {
			fqdn, _, err = resolver.Locate(ctx, fqdn, true)
		}
		if err != nil {
			return err
		}
	}
	w.session.record = dns01.Record{FQDN: fqdn, Value: w.state.Object.Spec.Key}
	return nil
}

// probe asks the name servers for the record.
func (w *work) probe(ctx context.Context) error {
	resolver, mode, err := w.Propagation.For(w.solver())
	if err != nil {
		return err
	}
	if w.session.ca == "" {
		w.session.ca = w.ca()
	}
	fqdn := challengeFQDN(w.state.Object)
	report, err := resolver.Probe(ctx, fqdn, w.state.Object.Spec.Key, mode, dns.Hints{Zone: w.session.zone})
	if err != nil {
		return err
	}
	now := w.Clock.Now()
	w.session.zone = report.Zone
	w.session.Report, w.session.ProbedAt = &report, now
	w.session.Entry = w.Ledger.Observe(w.session.ca, report, now)
	log := logr.FromContextOrDiscard(ctx).V(5)
	if log.Enabled() {
		for _, a := range report.Answers {
			log.Info("Name server answered", "name", a.Name, "server", a.Server, "address", a.Addr.String(), "role", a.Role,
				"rcode", a.Rcode, "has", a.Has, "values", a.Values, "failure", a.Failure, "duration", a.Duration.String())
		}
	}
	w.share()
	w.wakeSiblings(ctx)
	return nil
}

// wakeSiblings has Challenges look again that may have waited for this one to
// be visible.
func (w *work) wakeSiblings(ctx context.Context) {
	if w.session.Entry.VisibleSince.IsZero() {
		return
	}
	for _, key := range w.siblingKeys(ctx) {
		w.Wait.Wake(key)
	}
}

// accept asks the server to validate.
func (w *work) accept(ctx context.Context) error {
	now := w.Clock.Now()
	fqdn := challengeFQDN(w.state.Object)
	w.Ledger.Accepted(w.ca(), fqdn, now)
	challenge, err := w.client.Accept(ctx, w.state.Object.Spec.URL)
	if err != nil {
		problem := acme.ProblemOf(err)
		w.session.Unanswered = problem == nil || problem.Status >= 500
		if !w.session.Unanswered {
			w.Ledger.Refused(w.ca(), fqdn, now)
		}
		return err
	}
	w.session.AcceptedAt = now
	logr.FromContextOrDiscard(ctx).V(4).Info("Asked the ACME server to validate", "dnsName", w.state.Object.Spec.DNSName, "status", challenge.Status)
	return nil
}

// check looks at the authorization.
func (w *work) check(ctx context.Context) error {
	authorization, err := w.client.Authorization(ctx, w.state.Object.Spec.AuthorizationURL)
	if err != nil {
		return err
	}
	s, now := w.session, w.Clock.Now()
	if s.Authorization != nil && s.Authorization.Status == authorization.Status {
		s.Checks++
	}
	s.Authorization, s.CheckedAt, s.Unanswered = &authorization, now, false
	fqdn := challengeFQDN(w.state.Object)
	switch authorization.Status {
	case acme.StatusPending:
		if s.AcceptedAt.IsZero() && core.BeingValidated(&authorization, w.state.Object.Spec.URL) {
			s.AcceptedAt = now
		}
	case acme.StatusInvalid:
		w.Ledger.Concluded(w.ca(), fqdn, true, now)
		w.Failures.Add(w.ca(), w.state.Object.Spec.DNSName, now)
	default:
		w.Ledger.Concluded(w.ca(), fqdn, false, now)
	}
	return nil
}

// cleanUp removes the record, by the provider that presented it, or after a
// restart by one that is made again.
func (w *work) cleanUp(ctx context.Context) error {
	s := w.session
	others, err := w.others(ctx, w.state.Object)
	if err != nil {
		return err
	}
	for _, c := range others {
		if c.Spec.Key == w.state.Object.Spec.Key && c.Status.Presented {
			// A server may give two orders one authorization: the other
			// Challenge removes the value.
			s.CleanedUp = true
			return nil
		}
	}
	if s.provider == nil {
		if w.issuer == nil {
			return errIssuerGone
		}
		provider, err := w.Providers.For(ctx, w.Issuers.SecretNamespace(w.issuer), w.solver())
		if err != nil {
			return err
		}
		s.provider = provider
	}
	if s.record.FQDN == "" {
		if err := w.locate(ctx, w.solver()); err != nil {
			return err
		}
	}
	if err := s.provider.CleanUp(ctx, s.record); err != nil {
		if w.issuer != nil {
			// The next try takes the credentials as they are then.
			if provider, again := w.Providers.For(ctx, w.Issuers.SecretNamespace(w.issuer), w.solver()); again == nil {
				s.provider = provider
			}
		}
		return err
	}
	s.CleanedUp = true
	return nil
}

func (w *work) addFinalizer(ctx context.Context) error {
	changed := w.state.Object.DeepCopy()
	changed.Finalizers = append(changed.Finalizers, acmev1.ACMEFinalizer)
	if err := w.Write.PatchFinalizers(ctx, w.owner, cluster.Challenge, w.state.Object, changed, manager); err != nil {
		return err
	}
	w.state.Object = changed
	return nil
}

func (w *work) dropFinalizer(ctx context.Context, abandoned bool) error {
	if abandoned {
		logr.FromContextOrDiscard(ctx).Info("The record of a deleted Challenge could not be removed and is left behind",
			"dnsName", w.state.Object.Spec.DNSName, "name", w.session.record.FQDN)
		w.Abandoned()
	}
	changed := w.state.Object.DeepCopy()
	changed.Finalizers = core.WithoutFinalizers(changed.Finalizers)
	if err := w.Write.PatchFinalizers(ctx, w.owner, cluster.Challenge, w.state.Object, changed, manager); err != nil {
		return err
	}
	w.state.Object = changed
	w.release(w.owner.NamespacedName)
	return nil
}

// causeOf is what lies behind a classified error, for the log. Those of the ACME
// server may quote what it sent, which is for no log.
func causeOf(step core.Step, err error) string {
	if step == core.Accept || step == core.Check {
		return ""
	}
	if cause := errors.Unwrap(fault.Of(err)); cause != nil {
		return cause.Error()
	}
	return ""
}
