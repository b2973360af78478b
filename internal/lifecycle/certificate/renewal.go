package certificate

import (
	"fmt"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// renewal is when a certificate is renewed.
type renewal struct {
	// at is status.renewalTime, zero for never.
	at time.Time
	// begins is when the renewal begins: at, or a little later, so that certificates
	// that are due at the same time are not renewed at once.
	begins time.Time
	// problem says why the spec's windows or policy cannot be followed, empty if they
	// are.
	problem string
	// unadvised says why the CA's advice cannot be followed, empty if it is, or there is
	// none.
	unadvised string
}

// renewal returns when the leaf in the Secret, of a revision, is renewed. The Secret
// must have a leaf.
func (c State) renewal(revision int) renewal {
	if r, known := c.renewals[revision]; known {
		return r
	}
	r := c.computeRenewal(revision)
	if c.renewals != nil {
		c.renewals[revision] = r
	}
	return r
}

func (c State) computeRenewal(revision int) renewal {
	plain := c.plainRenewal()
	if plain.IsZero() {
		return renewal{}
	}
	leaf := c.Secret.Leaf
	windows, problem := c.windows()
	r := c.scheduled(later(plain, c.earliest(revision, maxFloor)), windows, problem)
	advised := c.advisedRenewal(revision, r.at)
	if advised.IsZero() {
		return r
	}
	if r.unadvised = problem; problem != "" {
		return r
	}
	at, end, err := pki.WithinWindows(later(advised, c.earliest(revision, maxAdvisedFloor)), leaf.NotBefore, leaf.NotAfter, windows)
	switch {
	case err != nil:
		r.unadvised = err.Error()
		return r
	case len(windows) == 0:
		return renewal{at: at, begins: at}
	default:
		// Many instants lie before the same window.
		return renewal{at: at, begins: at.Add(c.delay(at, end))}
	}
}

// scheduled is the renewal that is wanted at a time, within the windows of the spec.
// problem says why they cannot be followed.
func (c State) scheduled(wanted time.Time, windows []pki.Window, problem string) renewal {
	if problem != "" {
		return renewal{at: wanted, begins: wanted, problem: problem}
	}
	at, end, err := pki.WithinWindows(wanted, c.Secret.Leaf.NotBefore, c.Secret.Leaf.NotAfter, windows)
	if err != nil {
		return renewal{at: wanted, begins: wanted, problem: err.Error()}
	}
	return renewal{at: at, begins: at.Add(c.delay(at, end))}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// windows are those of the spec. The string says why its policy cannot be followed,
// or is empty.
func (c State) windows() ([]pki.Window, string) {
	spec := c.Object.Spec.Renewal
	if spec == nil {
		return nil, ""
	}
	if spec.Policy != cmv1.RenewalPolicyRenewBefore {
		return nil, fmt.Sprintf("unsupported renewal policy: %.100s", spec.Policy)
	}
	windows := make([]pki.Window, len(spec.Windows))
	for i, w := range spec.Windows {
		windows[i] = pki.Window{Cron: w.Cron, TimeZone: w.Timezone, Length: w.WindowDuration.Duration}
	}
	return windows, ""
}

// outsideWindows is the event of a renewal that begins although the spec's windows
// cannot be followed.
func (c State) outsideWindows() []plan.Event {
	problem := c.renewal(revision(c.Object.Status)).problem
	if problem == "" {
		return nil
	}
	return []plan.Event{{
		Warning: true, Reason: cmv1.CertificateReasonWindowError, Component: ManagerTrigger,
		Message: "Renewing certificate without satisfying renewal windows due to " + problem,
	}}
}

const (
	// delayFraction is the part of the life before or after a renewal, of the shorter
	// one, by which it may begin later than due.
	delayFraction = 50
	// minDelay is the shortest such time that spreads anything.
	minDelay = time.Minute
)

// delay is how much later than due the renewal begins, which is another time for
// each Certificate, and the same each time. It ends before the window does, whose end
// is zero without one.
func (c State) delay(at, windowEnd time.Time) time.Duration {
	leaf := c.Secret.Leaf
	longest := min(min(at.Sub(leaf.NotBefore), leaf.NotAfter.Sub(at))/delayFraction, c.Spread)
	if !windowEnd.IsZero() {
		longest = min(longest, windowEnd.Sub(at))
	}
	if longest < minDelay {
		return 0
	}
	return time.Duration(share("renewal", string(c.Object.UID)) * float64(longest)).Truncate(time.Second)
}

const (
	// maxFloor bounds how long a certificate that lives long is not renewed.
	maxFloor = 24 * time.Hour
	// maxAdvisedFloor is maxFloor if the CA wants it renewed: it may have to revoke it
	// within a day.
	maxAdvisedFloor = 6 * time.Hour
)

// earliest is before when a certificate is not renewed, whatever the spec or the CA
// says: a tenth of its life, and a longest time at most. A renewal that is due as
// soon as the certificate is there would follow at once, without end.
func (c State) earliest(revision int, longest time.Duration) time.Time {
	leaf, start := c.Secret.Leaf, c.issuedFrom(revision)
	if !start.Before(leaf.NotAfter) {
		return time.Time{}
	}
	return start.Add(min(leaf.NotAfter.Sub(start)/10, longest)).Truncate(time.Second)
}

// issuedFrom is when the life of the certificate of a revision has begun: when it was
// requested. Some issuers return one that is older.
func (c State) issuedFrom(revision int) time.Time {
	if r := c.currentRequest(revision); r != nil && r.CreatedAt.After(c.Secret.Leaf.NotBefore) {
		return r.CreatedAt
	}
	return c.Secret.Leaf.NotBefore
}

// otherRenewal says why the certificate of a revision is not renewed when the
// spec says, or returns "".
func (c State) otherRenewal(revision int) string {
	if c.Secret == nil || c.Secret.Leaf == nil {
		return ""
	}
	plain := c.plainRenewal()
	if plain.IsZero() {
		return ""
	}
	leaf, spec := c.Secret.Leaf, &c.Object.Spec
	asked, life := pki.DefaultDuration, leaf.NotAfter.Sub(leaf.NotBefore)
	if spec.Duration != nil {
		asked = spec.Duration.Duration
	}
	issued := fmt.Sprintf("asked for %s, issued for %s", plan.InWords(asked), plan.InWords(life))
	at := later(plain, c.earliest(revision, maxFloor))
	if before := spec.RenewBefore; before != nil {
		left := "nothing"
		if before.Duration < life {
			left = plan.InWords(life - before.Duration)
		}
		issued += fmt.Sprintf("; renewBefore %s leaves %s", plan.InWords(before.Duration), left)
		if before.Duration >= life {
			return fmt.Sprintf("%s, so that it is ignored and the certificate is renewed at %s; set spec.renewBefore to less than %s",
				issued, at.UTC().Format(time.RFC3339), plan.InWords(life))
		}
	}
	if percent := spec.RenewBeforePercentage; spec.RenewBefore == nil && percent != nil && (*percent <= 0 || *percent >= 100) {
		return fmt.Sprintf("%s; renewBeforePercentage %d is not from 1 to 99, so that it is ignored and the certificate is renewed at %s; set spec.renewBeforePercentage to a number from 1 to 99",
			issued, *percent, at.UTC().Format(time.RFC3339))
	}
	if !plain.Before(at) {
		return ""
	}
	return fmt.Sprintf("%s; the certificate would be renewed at %s, and is renewed at %s, because no certificate is renewed before a tenth of its life, %s at most, has passed; set spec.renewBefore to %s or less",
		issued, plain.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339), plan.InWords(maxFloor), plan.InWords(leaf.NotAfter.Sub(at)))
}

// plainRenewal is when the leaf in the Secret is due by the spec, zero for never. If the
// leaf reaches as far as its issuer's own certificate, another one could not
// reach further, so it is not due before half its life has passed.
func (c State) plainRenewal() time.Time {
	return renewalTime(c.Object, c.Secret)
}

func renewalTime(crt *cmv1.Certificate, s *facts.Secret) time.Time {
	if crt.Spec.Renewal != nil && crt.Spec.Renewal.Policy == cmv1.RenewalPolicyDisabled {
		return time.Time{}
	}
	leaf := s.Leaf
	var before *time.Duration
	if crt.Spec.RenewBefore != nil {
		before = &crt.Spec.RenewBefore.Duration
	}
	at := pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, before, crt.Spec.RenewBeforePercentage)
	if !s.IssuerNotAfter.IsZero() && !leaf.NotAfter.Before(s.IssuerNotAfter) {
		half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2).Truncate(time.Second)
		if at.Before(half) {
			return half
		}
	}
	return at
}
