package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

// present writes the record, looks for it, and deletes it.
func (r *run) present(ctx context.Context) bool {
	r.count(ctx)
	session := r.solver.Begin(r.challenge)
	r.start()
	if err := session.Present(ctx); err != nil {
		return r.notWritten(ctx, session, err)
	}
	r.report.Target = session.String()
	r.done(StepWrite, "wrote TXT %q at %s", r.challenge.Key, session)
	seen := r.seen(ctx, session)
	return r.cleanUp(ctx, session, "is left behind: delete it") && seen
}

// notWritten ends a check whose record could not be written. After a definite refusal
// there is nothing to delete, and a deletion would be refused too.
func (r *run) notWritten(ctx context.Context, session solver.Session, err error) bool {
	r.failed(StepWrite, err)
	switch {
	case !session.Presented():
	case refused(fault.Of(err)):
		r.start()
		r.end(Step{Name: StepDelete, State: Skipped, Message: "the record was refused: nothing was written"})
	default:
		r.cleanUp(ctx, session, "may be left behind: delete it if it is there")
	}
	return false
}

// refused reports whether a failure to write is an answer which says that nothing was
// written. After a time-out, and if a solver webhook says that it has failed, that is not
// known.
func refused(f *fault.Error) bool {
	switch f.Reason {
	case "UnsignedAnswer":
		// It may not be the server's.
		return false
	case "UpdateRefused", "BadTime":
		return true
	}
	switch f.Class {
	case fault.User, fault.Permanent:
		return true
	case fault.Later:
		return f.Reason != "ServerError"
	default:
		return false
	}
}

// count counts the values that the name has. No resolver is asked: it would keep in its
// cache that the record does not exist.
func (r *run) count(ctx context.Context) {
	if r.mode != propagation.Authoritative {
		return
	}
	if report, err := r.resolver.Probe(ctx, r.report.Name, r.challenge.Key, r.mode, ""); err == nil {
		r.before = values(report)
	}
}

// seen waits until the record is where everleaf wants it before it asks the CA.
func (r *run) seen(ctx context.Context, session solver.Session) bool {
	r.start()
	deadline := r.began.Add(r.Patience)
	for r.said = ""; ; {
		evidence, err := session.Check(ctx)
		now := r.Clock.Now()
		switch {
		case ctx.Err() != nil:
			return r.failed(StepServers, errors.New(r.interrupted()))
		case err != nil && !now.Before(deadline):
			return r.failed(StepServers, err)
		}
		message, until := "", now.Add(retry)
		var report propagation.Report
		if err != nil {
			message = fault.Of(err).Message
		} else {
			verdict := evidence.Verdict(now)
			if o, ok := evidence.(propagation.Observation); ok {
				report = o.Report
			}
			message, until = verdict.Message, verdict.Until
			if verdict.State == propagation.Accept {
				return r.end(r.visible(report)) && r.askResolvers(ctx)
			}
		}
		if target := r.unfollowed(report); target != "" {
			return r.end(Step{Name: StepServers, State: Failed, Message: fmt.Sprintf(
				"%s is an alias of %s, which the solver does not follow: the CA does, and does not see what is written beside it; set cnameStrategy: Follow in the solver, or remove the CNAME record", report.Name, target), Details: lines(report)})
		}
		if !now.Before(deadline) {
			message = fmt.Sprintf("not everywhere within %s: %s", r.Patience, message)
			if fix := advice(report, r.report.Zone); fix != "" && (report.Final == report.Name || r.follows()) {
				message += "; " + fix
			}
			return r.end(Step{Name: StepServers, State: Failed, Message: message, Details: lines(report)})
		}
		if message != "" && message != r.said {
			r.said = message
			r.Progress(Step{Name: StepServers, State: Waiting, Message: message, Seconds: seconds(now.Sub(r.began))})
		}
		r.wait(ctx, earliest(until, deadline).Sub(now))
	}
}

// interrupted says what an interrupted check waited for.
func (r *run) interrupted() string {
	if r.said == "" {
		return "interrupted"
	}
	return "interrupted; the last reason to wait was: " + r.said
}

// unfollowed is the end of the alias at the challenge name if the solver writes beside it,
// and no server will ever show the record; else it is empty. acme-dns and solver webhooks
// can write to the end of an alias by themselves.
func (r *run) unfollowed(report propagation.Report) string {
	if spec := r.challenge.Solver.DNS01; r.follows() || spec.Webhook != nil || spec.AcmeDNS != nil || !aliased(report) {
		return ""
	}
	return report.Final
}

func (r *run) follows() bool {
	return r.challenge.Solver.DNS01.CNAMEStrategy == acmev1.FollowStrategy
}

// visible is the step for a record that everleaf would take to be visible.
func (r *run) visible(report propagation.Report) Step {
	with, without := having(report)
	s := Step{Name: StepServers, State: OK, Message: "every name server has it", Details: lines(report)}
	if r.mode == propagation.RecursiveOnly {
		s.Message = "every resolver has it; the name servers are not asked"
	}
	if without > 0 {
		s.State = Warning
		s.Message = fmt.Sprintf("%d of %d addresses have it; everleaf does not wait for the others, which give no usable answer: %s", with, with+without, advice(report, r.report.Zone))
	}
	return s
}

// askResolvers asks the resolvers, once the name servers have the record.
func (r *run) askResolvers(ctx context.Context) bool {
	if r.mode == propagation.RecursiveOnly {
		return true
	}
	r.start()
	report, err := r.resolver.Probe(ctx, r.report.Name, r.challenge.Key, propagation.RecursiveOnly, "")
	if err != nil {
		return r.failed(StepResolvers, err)
	}
	return r.end(resolvers(report))
}

// cleanUp deletes the record, also if ctx has ended, and sees that it is gone unless ctx
// ends. left says what becomes of the record if it cannot be deleted.
func (r *run) cleanUp(ctx context.Context, session solver.Session, left string) bool {
	r.start()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if err := session.CleanUp(bounded); err != nil {
		f := *fault.Of(err)
		f.Message += fmt.Sprintf("; the TXT record %q at %s %s", r.challenge.Key, session, left)
		return r.failed(StepDelete, &f)
	}
	r.done(StepDelete, "deleted it")
	r.start()
	switch {
	case ctx.Err() != nil:
		return r.end(Step{Name: StepGone, State: Skipped, Message: "interrupted"})
	case r.mode == propagation.RecursiveOnly:
		return r.end(Step{Name: StepGone, State: Skipped, Message: "only resolvers are asked, which keep the record in their caches for a while"})
	}
	return r.gone(ctx)
}

// gone waits until no name server has the record.
func (r *run) gone(ctx context.Context) bool {
	deadline := r.began.Add(goneTime)
	for {
		report, err := r.resolver.Probe(ctx, r.report.Name, r.challenge.Key, propagation.Authoritative, "")
		switch {
		case ctx.Err() != nil:
			return r.end(Step{Name: StepGone, State: Skipped, Message: "interrupted"})
		case err != nil:
			return r.failed(StepGone, err)
		}
		step, over := gone(report, r.before)
		if over || !r.Clock.Now().Before(deadline) {
			return r.end(step)
		}
		r.wait(ctx, retry)
	}
}

// wait waits for a time, or until ctx ends.
func (r *run) wait(ctx context.Context, d time.Duration) {
	timer := r.Clock.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
