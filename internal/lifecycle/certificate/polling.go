package certificate

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// usualCheck is when a CA is asked again that does not say when; minCheck and
	// maxCheck bound what those say that do.
	usualCheck = 6 * time.Hour
	minCheck   = time.Hour
	maxCheck   = 7 * 24 * time.Hour
	// checkSpread is the part by which a check comes earlier or later.
	checkSpread = 0.1
	// issuerRecheck is when an issuer is looked at again whose CA cannot be asked.
	issuerRecheck = 10 * time.Minute
)

// Polling is everything that decides when a CA is asked for its advice on a
// certificate (RFC 9773), and what its answer does to the status.
type Polling struct {
	// State has what decides when the certificate is renewed: the Certificate, its
	// Secret and its requests, and since when this process looks at Certificates.
	State State
	// Advising reports that the issuer is one of ACME, or ours and not there.
	Advising bool
	// Takes reports that advice is taken from the issuer's CA, Ready that the CA can be
	// asked.
	Takes, Ready bool
	// Asked is what this process knows of the last question, nil if there was none.
	Asked *Asked
}

// Asked is what a process knows of the last question about a certificate.
type Asked struct {
	// CertID is the certificate's.
	CertID string
	// At is when the question was answered, or has failed.
	At time.Time
	// Told reports that the status says so; then the rest does not matter.
	Told bool
	// Info is the answer.
	Info acme.RenewalInfo
	// None reports that the CA has no renewal information for any certificate.
	None bool
	// Err is why there is no answer, or nil.
	Err error
}

// AskCA asks the CA when to renew the certificate.
type AskCA struct{ CertID string }

func (AskCA) String() string { return "ask for renewal information" }

// Settled reports whether a Certificate is in a state in which its CA is asked: nothing
// is being issued, and the status is about the present spec.
func Settled(crt *cmv1.Certificate) bool {
	ready := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionReady)
	return crt.DeletionTimestamp == nil && !issuing(crt.Status) && ready != nil &&
		ready.ObservedGeneration == crt.Generation && crt.Status.NotAfter != nil
}

// Next decides whether the CA is asked now.
func (c Polling) Next(now time.Time) Plan {
	p := Plan{Status: *c.State.Object.Status.DeepCopy(), Manager: ManagerReadiness}
	switch {
	case !Settled(c.State.Object), !c.Advising:
		return p
	case !c.Takes:
		p.Until = now.Add(issuerRecheck)
		return p
	case !c.certain():
		// A repair of the Secret does not wake: it changes nothing in the Certificate.
		p.Until = now.Add(issuerRecheck)
		return p
	case !now.Before(c.State.Secret.Leaf.NotAfter):
		return p
	case !c.State.Secret.IssuedBy(c.State.Object.Spec.IssuerRef):
		return c.drop(p)
	}
	if a := c.asked(now); a != nil && !a.Told && !c.says(*a, now) {
		return c.tell(p, *a)
	}
	if due := c.due(now); due.After(now) {
		p.Until = due
		return p
	}
	if !c.Ready {
		p.Until = now.Add(issuerRecheck)
		return p
	}
	p.Do = AskCA{CertID: c.State.Secret.Leaf.CertID}
	return p
}

// Failed says why there is no answer.
func (c Polling) Failed(f plan.Failure, now time.Time) Plan {
	p := Plan{Status: *c.State.Object.Status.DeepCopy(), Manager: ManagerReadiness}
	if unclassified, ok := plan.Unclassified(f, p.Status, now); ok {
		return unclassified
	}
	return c.tell(p, Asked{At: now, Err: f.Err})
}

// certain reports whether it is known which certificate the CA is asked about: the
// Secret has the one that the status describes.
func (c Polling) certain() bool {
	s := c.State.Secret
	return s != nil && s.Leaf != nil && !s.Leaf.Temporary && s.Leaf.CertID != "" &&
		s.Leaf.NotAfter.Equal(c.State.Object.Status.NotAfter.Time)
}

// drop drops the advice of one CA on the certificate of another.
func (c Polling) drop(p Plan) Plan {
	if p.Status.ACME == nil {
		return p
	}
	p.Status.ACME = nil
	c.schedule(&p)
	p.Events = []plan.Event{ariError(fmt.Sprintf("Secret %[1]s/%[2]s does not have matching issuer annotations for Certificate %[1]s/%[3]s: its ACME Renewal Information is dropped",
		c.State.Object.Namespace, c.State.Object.Spec.SecretName, c.State.Object.Name))}
	return p
}

// asked is what is known of the last question about the present certificate, nil if
// there was none. One in the future was asked by a clock that was wrong.
func (c Polling) asked(now time.Time) *Asked {
	if c.Asked == nil || c.Asked.CertID != c.State.Secret.Leaf.CertID || c.Asked.At.After(now) {
		return nil
	}
	return c.Asked
}

// says reports whether the status says what is known of a question: a write may have
// succeeded although its answer was lost.
func (c Polling) says(a Asked, now time.Time) bool {
	if a.None {
		return c.State.Object.Status.ACME == nil
	}
	ari := c.current()
	return ari != nil && !ari.LastChecked.After(now) && !ari.LastChecked.Time.Before(a.At.Truncate(time.Second))
}

// due is when the CA is asked: about a new certificate at once, later when the status
// says. What is due when the process starts is spread. Whatever becomes of the status,
// this process keeps to the shortest wait.
func (c Polling) due(now time.Time) time.Time {
	due := c.dueByStatus(now)
	switch a := c.asked(now); {
	case a == nil:
		return due
	case a.None:
		return later(due, a.At.Add(usualCheck))
	default:
		return later(due, a.At.Add(spread(minCheck, 0)))
	}
}

func (c Polling) dueByStatus(now time.Time) time.Time {
	started := c.State.Started
	first := c.turn(started)
	if ari := c.current(); ari != nil && ari.NextCheck != nil && !ari.LastChecked.After(now) {
		due := plan.Earliest(ari.NextCheck.Time, ari.LastChecked.Add(spread(maxCheck, 1)))
		if due.Before(started) {
			return first
		}
		return due
	}
	// The API server's times have no fractions of a second.
	if !c.State.issuedFrom(revision(c.State.Object.Status)).Before(started.Truncate(time.Second)) {
		return time.Time{}
	}
	return first
}

// turn is the first turn of the certificate after a start: each has its own in every six
// hours, or tenth of the remaining life, of the clock on the wall. So the questions are
// spread, and a process that starts often asks about all certificates all the same.
func (c Polling) turn(started time.Time) time.Time {
	within := min(usualCheck, max(c.State.Secret.Leaf.NotAfter.Sub(started), 0)/10)
	at := started.Truncate(within).Add(time.Duration(share("first check", string(c.State.Object.UID)) * float64(within)))
	if at.Before(started) {
		at = at.Add(within)
	}
	return at
}

// current is the advice in the status, nil if it is on an earlier certificate.
func (c Polling) current() *cmv1.ACMERenewalInfo {
	return c.State.advice(revision(c.State.Object.Status))
}

// tell has the status say what the CA has answered, or why it has not. The last good
// window stays.
func (c Polling) tell(p Plan, a Asked) Plan {
	if a.None {
		p.Status.ACME, p.Until = nil, a.At.Add(usualCheck)
		c.schedule(&p)
		return p
	}
	ari := &cmv1.ACMERenewalInfo{}
	told, last := "", c.current()
	if last != nil {
		told = last.LastError
	}
	wait := usualCheck
	if again := againAt(a); !again.IsZero() {
		wait = min(max(again.Sub(a.At), minCheck), maxCheck)
	}
	switch {
	case a.Err == nil:
		ari.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: metav1.NewTime(a.Info.Start), End: metav1.NewTime(a.Info.End)}
		ari.ExplanationURL = a.Info.ExplanationURL
	case last != nil:
		ari.SuggestedWindow, ari.ExplanationURL = last.SuggestedWindow.DeepCopy(), last.ExplanationURL
	}
	// A clock that is behind must not make the advice older than the certificate.
	checked := later(a.At, c.State.issuedFrom(revision(p.Status))).UTC().Truncate(time.Second)
	ari.LastChecked = &metav1.Time{Time: checked}
	p.Status.ACME = &cmv1.CertificateACMEStatus{ARI: ari}
	unadvised := c.schedule(&p)
	switch {
	case a.Err != nil:
		ari.LastError = "Could not fetch ACME Renewal Information: " + fault.Of(a.Err).Message
	case unadvised != "":
		wait = usualCheck
		ari.LastError = "Could not calculate renewal time using ACME Renewal Information: " + unadvised
	}
	next := checked.Add(spread(wait, share("check", string(c.State.Object.UID), checked.String())).Truncate(time.Second))
	ari.NextCheck, p.Until = &metav1.Time{Time: next}, next
	if ari.LastError != "" && ari.LastError != told {
		p.Events = []plan.Event{ariError(ari.LastError)}
	}
	return p
}

// schedule sets when the certificate is renewed, by the same rules as State does. It
// returns why the CA's advice cannot be followed, or "".
func (c Polling) schedule(p *Plan) string {
	s, object := c.State, *c.State.Object
	object.Status = p.Status
	s.Object = &object
	r := s.renewal(revision(p.Status))
	p.Status.RenewalTime = nil
	if !r.at.IsZero() {
		p.Status.RenewalTime = &metav1.Time{Time: r.at}
	}
	return r.unadvised
}

// againAt is when the CA wants to be asked again, zero if it does not say.
func againAt(a Asked) time.Time {
	if a.Err == nil {
		return a.Info.RetryAfter
	}
	if problem := acme.ProblemOf(a.Err); problem != nil {
		return problem.RetryAfter
	}
	if classified := fault.Of(a.Err); classified.Class == fault.Later {
		return classified.At
	}
	return time.Time{}
}

// spread is a wait that is up to checkSpread shorter or longer, by a share from 0 to 1.
func spread(wait time.Duration, share float64) time.Duration {
	return time.Duration((1 - checkSpread + 2*checkSpread*share) * float64(wait))
}

func ariError(message string) plan.Event {
	return plan.Event{Warning: true, Reason: cmv1.EventReasonARIError, Message: message, Component: ManagerReadiness}
}
