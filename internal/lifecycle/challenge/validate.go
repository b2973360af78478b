package challenge

import (
	"fmt"
	"slices"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// firstCheck is how long a server that validates at once needs for it.
	firstCheck = 100 * time.Millisecond
	// quickValidation is how long most servers need at most.
	quickValidation = 10 * time.Second
	// validationPatience is how long the server may take to validate before
	// its authorization is fetched less often.
	validationPatience = 2 * time.Minute
	// slowCheck is the shortest wait between two fetches then.
	slowCheck = 5 * time.Second
	// untold is how long the status may not say yet that the challenge is valid.
	untold = 15 * time.Second
)

// acceptAgain is how long after the server was asked it is asked again if it
// has not begun: it may have lost the request (RFC 8555 section 8.2).
var acceptAgain = [...]time.Duration{2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

// validate fetches the authorization until the server has decided.
func (s State) validate(p Plan, now time.Time) Plan {
	m := s.Memory
	if m.Skipped != "" && p.Status.State != acmev1.Processing {
		return s.noteSkipped(p)
	}
	if m.AcceptedAt.IsZero() && s.AskedAnyway() {
		// An earlier process has asked, nobody knows when.
		m.AcceptedAt = m.CheckedAt
	}
	switch {
	case m.Unanswered, m.Authorization == nil && !m.Presented:
		return s.fetchAt(p, now, now)
	case m.Authorization == nil, m.CheckedAt.Before(m.AcceptedAt):
		return s.fetchAt(p, m.AcceptedAt.Add(firstCheck), now)
	}
	switch m.Authorization.Status {
	case acme.StatusInvalid:
		return s.invalid(p)
	case acme.StatusExpired, acme.StatusDeactivated, acme.StatusRevoked:
		return end(p, acmev1.Expired, fmt.Sprintf("The authorization for %q is %s at the ACME server", s.Object.Spec.DNSName, m.Authorization.Status))
	}
	since := now.Sub(m.AcceptedAt)
	delay := order.PollDelay(m.Checks)
	switch {
	case since <= quickValidation:
		delay = min(delay, moment)
	case since > validationPatience || m.Accepts > 1:
		delay = max(s.CheckRetry, slowCheck)
	}
	if since > quickValidation {
		p.Status.Reason = "Waiting for the ACME server to validate: it was asked and has not decided yet"
	}
	next := m.CheckedAt.Add(delay)
	if again := m.Authorization.RetryAfter; again.After(now) {
		// RFC 8555 section 7.5.1: the client polls when the server says.
		if p.Until = again; next.After(again) {
			p.Until = next
		}
		if p.Until.Sub(now) > quickValidation {
			p.Status.Reason = "Waiting for the ACME server to validate: it asks for patience until " + again.UTC().Format(time.RFC3339)
		}
		return p
	}
	if BeingValidated(m.Authorization, s.Object.Spec.URL) {
		return s.fetchAt(p, next, now)
	}
	asked, anyway := max(m.Accepts, 1), s.AskedAnyway()
	if anyway {
		asked = len(acceptAgain) + 1
	}
	if again := m.AcceptedAt.Add(acceptAgain[min(asked, len(acceptAgain))-1]); !again.After(now) {
		if anyway {
			return end(p, acmev1.Expired, fmt.Sprintf("The ACME server was asked once to validate %q although the self-check had not succeeded, and has not begun; the order is given up", s.Object.Spec.DNSName))
		}
		if asked > len(acceptAgain) {
			return end(p, acmev1.Expired, fmt.Sprintf("The ACME server was asked %d times to validate %q and has not begun; the order is given up", asked, s.Object.Spec.DNSName))
		}
		p.Do = Accept{URL: s.Object.Spec.URL}
		return p
	} else if again.Before(next) {
		next = again
	}
	return s.fetchAt(p, next, now)
}

func (s State) fetchAt(p Plan, at, now time.Time) Plan {
	if at.After(now) {
		p.Until = at
	} else {
		p.Do = FetchAuthorization{URL: s.Object.Spec.AuthorizationURL}
	}
	return p
}

// validated ends a Challenge that is valid. The Order knows at once; it usually ends
// within untold and deletes the Challenge, which saves a write for each name. Others for
// the same name depend on what the resolvers of the CA have cached, which a later process
// learns from the status; a reason must not outlive what it waits for.
func (s State) validated(p Plan, now time.Time) Plan {
	if told := s.Memory.CheckedAt.Add(untold); told.After(now) && !s.Others && p.Status.Reason == "" {
		p.Until = told
		return p
	}
	return end(p, acmev1.Valid, "Successfully authorized domain")
}

// Verified is the event that the server has validated a challenge. A Challenge that
// the server has validated is usually deleted a moment later.
func Verified(c *acmev1.Challenge) plan.Event {
	return plan.Event{
		Reason: acmev1.EventReasonDomainVerified, Component: Manager, Verbose: true,
		Message: fmt.Sprintf("Domain %q verified with %q validation", c.Spec.DNSName, c.Spec.Type),
	}
}

func (s State) invalid(p Plan) Plan {
	reason := "Error accepting authorization: acme: authorization error for " + s.Object.Spec.DNSName
	if problem := challengeAt(s.Memory.Authorization, s.Object.Spec.URL).Error; problem != nil {
		reason += ": " + problem.Error()
	}
	p.Events = []plan.Event{validationFailed(reason)}
	return end(p, acmev1.Invalid, reason)
}

func validationFailed(reason string) plan.Event {
	return plan.Event{
		Warning: true, Reason: acmev1.EventReasonFailed, Component: Manager,
		Message: "Accepting challenge authorization failed: " + reason,
	}
}

// challengeAt returns the challenge with a URL, empty if there is none.
func challengeAt(a *acme.Authorization, url string) (found acme.Challenge) {
	if at := slices.IndexFunc(a.Challenges, func(c acme.Challenge) bool { return c.URL == url }); at >= 0 {
		found = a.Challenges[at]
	}
	return found
}

// BeingValidated reports whether the server works on a challenge.
func BeingValidated(a *acme.Authorization, url string) bool {
	return challengeAt(a, url).Status == acme.StatusProcessing
}

// Missed returns what the server says if the validation of a challenge failed
// because the server did not find what was presented, else "".
func Missed(a *acme.Authorization, url string) string {
	problem := challengeAt(a, url).Error
	if problem == nil || !problem.Has(acme.TypeUnauthorized) && !problem.Has(acme.TypeDNS) && !problem.Has(acme.TypeIncorrectResponse) {
		return ""
	}
	return problem.Error()
}
