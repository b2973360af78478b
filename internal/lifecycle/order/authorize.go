package order

import (
	"fmt"
	"slices"
	"strings"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

// orderRefresh is how often an Order that waits for its challenges is compared
// with the server's: an order that has expired there must not wait for ever.
const orderRefresh = time.Hour

// maxNamed is how many names a reason lists.
const maxNamed = 10

// authorize decides what a pending order needs: authorizations, challenges, or
// to be finalized.
func (s State) authorize(now time.Time) Plan {
	p := s.wait()
	switch {
	case len(p.Status.Authorizations) == 0 || p.Status.FinalizeURL == "":
		return s.again(s.fetch(), "it has named no authorizations for the order", now)
	case !identified(p.Status.Authorizations) && s.fetchedAuthorizations():
		return s.authorized(now)
	case !identified(p.Status.Authorizations):
		p.Do = FetchAuthorizations{URLs: urlsOf(p.Status.Authorizations)}
		return p
	}
	if why := unasked(s.Object); why != "" {
		return fail(p, acmev1.Errored, why, now)
	}
	if override := s.newOverrides(); override.Do != nil {
		return override
	}
	wanted, why, annotated := wantedChallenges(s.Object, s.Account)
	if why != "" {
		why = "Failed to determine a valid solver configuration for the set of domains on the Order: " + why
		if annotated && s.Certificate != nil {
			why += "; correct the annotations of Certificate " + s.Certificate.Name + ", and the Order goes on"
		}
		p.Events = []plan.Event{{Warning: true, Reason: acmev1.EventReasonSolver, Component: Manager, Message: why}}
		if annotated && s.Certificate != nil {
			p.Status.Reason = why
			p, _ = s.lookHourly(p, now)
			return p
		}
		return fail(p, acmev1.Errored, why, now)
	}
	switch found := compareChallenges(wanted, s.Challenges); {
	case found.failed != nil:
		return s.challengeFailed(found.failed, now)
	case len(found.stale) > 0:
		return deleteChallenges(p, found.stale)
	case len(found.missing) > 0:
		p.Do = CreateChallenges{Specs: found.missing}
		return p
	case found.valid == len(wanted):
		return s.finalizeAuthorized(now)
	default:
		return s.awaitChallenges(now)
	}
}

// authorized decides by what the authorizations are at first. The Challenges are
// checked against what is stored.
func (s State) authorized(now time.Time) Plan {
	p := s.wait()
	for _, a := range s.Authorizations {
		ended := fmt.Sprintf("The authorization for %q is %s at the ACME server", a.Identifier.Value, a.Status)
		switch a.Status {
		case acme.StatusExpired, acme.StatusDeactivated, acme.StatusRevoked:
			return fail(p, acmev1.Expired, ended, now)
		case acme.StatusInvalid:
			return fail(p, acmev1.Invalid, ended, now)
		}
	}
	p.Status, p.Persist = Authorized(p.Status, s.Authorizations), plan.Before
	return p
}

// identified reports whether what is offered for each identifier is known.
func identified(authorizations []acmev1.ACMEAuthorization) bool {
	return !slices.ContainsFunc(authorizations, func(a acmev1.ACMEAuthorization) bool { return a.Identifier == "" })
}

func urlsOf(authorizations []acmev1.ACMEAuthorization) []string {
	urls := make([]string, len(authorizations))
	for i := range authorizations {
		urls[i] = authorizations[i].URL
	}
	return urls
}

// fetchedAuthorizations reports whether the authorizations in memory are those
// of the status.
func (s State) fetchedAuthorizations() bool {
	return slices.EqualFunc(s.Object.Status.Authorizations, s.Authorizations,
		func(a acmev1.ACMEAuthorization, b acme.Authorization) bool { return a.URL == b.URL })
}

// lookHourly has a plan that waits look at the order once an hour. It returns when that
// was done last.
func (s State) lookHourly(p Plan, now time.Time) (Plan, time.Time) {
	since := now
	if !s.FetchedAt.IsZero() {
		since = s.FetchedAt
	}
	if p.Until = since.Add(orderRefresh); !p.Until.After(now) {
		p.Until, p.Do, p.Events = time.Time{}, s.fetch(), nil
	}
	return p, since
}

// awaitChallenges waits for the challenges, and looks at the order once an hour.
func (s State) awaitChallenges(now time.Time) Plan {
	p := s.wait()
	p.Status.Reason = waitingFor(s.Challenges)
	p, since := s.lookHourly(p, now)
	if p.Do != nil || p.Status.Reason != "" {
		return p
	}
	if s.Loaded.After(since) {
		since = s.Loaded
	}
	return s.because(p, "Waiting for "+unfinished(s.Challenges), since, now)
}

// unfinished names the Challenges that have not ended.
func unfinished(challenges []*acmev1.Challenge) string {
	var names []string
	for _, c := range challenges {
		if !Final(c.Status.State) {
			names = append(names, fmt.Sprintf("%q", challengeDomain(c)))
		}
	}
	slices.Sort(names)
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return "the challenges of " + strings.Join(names, ", ")
}

// waitingFor says what the challenges wait for, if it takes them longer than
// usual, by identifier and in stable words.
func waitingFor(challenges []*acmev1.Challenge) string {
	var reasons []string
	for _, c := range challenges {
		if !Final(c.Status.State) && c.Status.Reason != "" {
			reasons = append(reasons, fmt.Sprintf("%q: %s", challengeDomain(c), c.Status.Reason))
		}
	}
	slices.Sort(reasons)
	return plan.NextTryOnce(slices.Compact(reasons), "; ")
}

func challengeDomain(c *acmev1.Challenge) string {
	if c.Spec.Wildcard {
		return "*." + c.Spec.DNSName
	}
	return c.Spec.DNSName
}

// comparison is how the Challenges that exist differ from those wanted.
type comparison struct {
	missing []acmev1.ChallengeSpec
	// stale are Challenges that are not wanted.
	stale []*acmev1.Challenge
	// failed is a wanted Challenge that has failed, or nil.
	failed *acmev1.Challenge
	// valid counts the wanted Challenges that are valid.
	valid int
}

func compareChallenges(wanted []acmev1.ChallengeSpec, challenges []*acmev1.Challenge) comparison {
	var found comparison
	matched := make(map[*acmev1.Challenge]bool, len(challenges))
	for i := range wanted {
		at := slices.IndexFunc(challenges, func(c *acmev1.Challenge) bool {
			// What is proved stays proved if the solver is another one by now.
			return SameChallenge(&c.Spec, &wanted[i]) || c.Status.State == acmev1.Valid && sameProof(&c.Spec, &wanted[i])
		})
		if at < 0 {
			found.missing = append(found.missing, wanted[i])
			continue
		}
		c := challenges[at]
		matched[c] = true
		switch {
		case c.Status.State == acmev1.Valid:
			found.valid++
		case Failed(c.Status.State) && (found.failed == nil || found.failed.Status.State == acmev1.Expired):
			// A failed validation says more than an expiry.
			found.failed = c
		}
	}
	for _, c := range challenges {
		if !matched[c] && c.DeletionTimestamp == nil {
			found.stale = append(found.stale, c)
		}
	}
	return found
}

// challengeFailed ends an order one of whose challenges has failed: the server
// lets no authorization recover (RFC 8555 section 7.1.6).
func (s State) challengeFailed(failed *acmev1.Challenge, now time.Time) Plan {
	if failed.Status.State == acmev1.Expired {
		reason := "An authorization has expired at the ACME server"
		if why := failures(s.Challenges); why != "" {
			reason += ": " + why
		}
		return fail(s.wait(), acmev1.Expired, reason, now)
	}
	return fail(s.wait(), failed.Status.State, s.invalidReason(), now)
}

// Obsolete returns the Challenges that an Order leaves to be deleted when it
// ends in a state. Those that have failed stay, as evidence, if the Order has.
func Obsolete(state acmev1.State, challenges []*acmev1.Challenge) []*acmev1.Challenge {
	var obsolete []*acmev1.Challenge
	for _, c := range challenges {
		evidence := Failed(state) && Failed(c.Status.State)
		if c.DeletionTimestamp == nil && !evidence {
			obsolete = append(obsolete, c)
		}
	}
	return obsolete
}

// deleteChallenges deletes Challenges, if there are any to delete.
func deleteChallenges(p Plan, challenges []*acmev1.Challenge) Plan {
	if len(challenges) > 0 {
		p.Do, p.Persist = DeleteChallenges{Challenges: challenges}, plan.Before
	}
	return p
}
