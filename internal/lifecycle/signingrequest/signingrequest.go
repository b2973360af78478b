package signingrequest

import (
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// Next decides what a CertificateSigningRequest needs next.
func (s State) Next(now time.Time) Plan {
	d := s.draft(now)
	if d.answerable() {
		if s.ofType() == facts.IssuerACME {
			d.byOrder()
		} else {
			d.bySigner()
		}
	}
	return d.Plan
}

// Failed decides what the failure of an action means. A signer's errors are
// faults, and an error without a class is worth another try.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	d := s.draft(now)
	if _, signing := f.Action.(Sign); !signing {
		// The request itself is not at fault.
		if why := plan.Obstacle(f, nil); why != "" {
			d.announce(true, Wait{"WriteFailed", undone(f.Action) + ": " + why})
		}
		if d.Until = plan.Retry(f.Err, f.Attempts, plan.APIServer, now); d.Until.IsZero() {
			d.Until = now.Add(fault.UserRetry)
		}
		return d.Plan
	}
	failure := fault.Of(f.Err)
	reason, message := s.inOwnWords(failure)
	if failure.Class == fault.Permanent {
		d.fail(reason, message)
		return d.Plan
	}
	d.announce(true, Wait{reason, plan.WithNextTry(message, f.Err, plan.Remote, now)})
	d.Until = plan.Retry(f.Err, f.Attempts, plan.Remote, now)
	// A Secret that is written each second must not have the issuer asked each second.
	d.Hold = failure.Class == fault.Transient
	return d.Plan
}

// Unwritten is the event for a status that the API server refuses to store.
func (s State) Unwritten(cause string) plan.Event {
	return s.event(true, reasonUnwritten(s.ofType()), "Error updating certificate: "+cause)
}

// draft is a plan in the making.
type draft struct {
	Plan
	state State
	now   time.Time
}

func (s State) draft(now time.Time) *draft {
	return &draft{state: s, now: now, Plan: Plan{Status: *s.Object.Status.DeepCopy(), Manager: ManagerOf(s.Issuer)}}
}

// ofType is the type of the issuer.
func (s State) ofType() facts.IssuerType {
	if s.Issuer == nil {
		return facts.IssuerUnset
	}
	return facts.TypeOf(s.Issuer.Spec)
}

// answerable reports whether the issuer may answer the request, and otherwise says what
// it waits for, or fails it.
func (d *draft) answerable() bool {
	s, issuer := d.state, d.state.Issuer
	if s.Object.DeletionTimestamp != nil || Ended(s.Object) {
		return false
	}
	referenced := fmt.Sprintf("Referenced %s ", s.Signer)
	switch {
	case issuer != nil && issuer.Left:
		return false
	case !Approved(s.Object):
		d.announce(false, Wait{reasonWaitingApproval, "Waiting for the Approved condition before issuing"})
	case issuer == nil:
		d.announce(true, Wait{cmv1.EventReasonIssuerNotFound, referenced + "not found"})
	case s.ofType() == facts.IssuerUnset:
		d.announce(true, Wait{cmv1.EventReasonIssuerTypeMissing, referenced + "is missing type"})
	case s.Signer.Kind == cmv1.IssuerKind && !s.MayReference:
		d.fail(reasonDeniedReference, fmt.Sprintf("Requester may not reference Namespaced Issuer %s/%s", s.Signer.Namespace, s.Signer.Name))
	default:
		return d.inTime() && d.ready(referenced)
	}
	return false
}

// inTime reports whether the life that the certificate is to have is one that it may
// have, and otherwise fails the request.
func (d *draft) inTime() bool {
	asked, err := Duration(d.state.Object)
	switch {
	case err != nil:
		d.fail(reasonErrorParseDuration, "Failed to parse requested duration: "+err.Error())
	case asked < MinDuration:
		d.fail(reasonInvalidDuration, fmt.Sprintf("CertificateSigningRequest minimum allowed duration is %s, requested %s", MinDuration, asked))
	default:
		return true
	}
	return false
}

// ready reports whether the issuer can sign now. If not, its own words follow: the user
// need not look there.
func (d *draft) ready(referenced string) bool {
	issuer := d.state.Issuer
	message := referenced + "does not have a Ready status condition"
	switch {
	case !issuer.Supported:
		message = fmt.Sprintf("This version of everleaf cannot sign with issuers of type %s yet", d.state.ofType())
	case issuer.Ready:
		return true
	case issuer.Message != "":
		message += ": " + issuer.Message
	}
	d.announce(true, Wait{cmv1.EventReasonIssuerNotReady, message})
	return false
}

// bySigner decides by what the issuer's signer has answered.
func (d *draft) bySigner() {
	outcome := d.state.Outcome
	switch {
	case d.state.SignNotBefore.After(d.now):
		d.Until = d.state.SignNotBefore
	case outcome == nil:
		d.sign()
	case outcome.Pending == nil:
		d.issued()
	case !facts.ContainsAll(d.state.Object.Annotations, outcome.Pending.Annotations):
		d.Do = KeepState{Annotations: outcome.Pending.Annotations}
	case outcome.Pending.Until.After(d.now):
		d.announce(false, Wait{cmv1.EventReasonIssuancePending, outcome.Pending.Message})
		d.Until = outcome.Pending.Until
	default:
		d.sign()
	}
}

// sign has the issuer asked. What a cache shows is not enough to have an order made: there is
// none as long as the object does not name it.
func (d *draft) sign() {
	d.Do = Sign{}
	if outcome := d.state.Outcome; d.state.Issuer.Orders && (outcome == nil || len(outcome.Pending.Annotations) == 0) {
		d.confirm()
	}
}

// issued stores the certificate that the issuer has answered. The kind has no place for
// the CA.
func (d *draft) issued() {
	outcome := d.state.Outcome
	d.Status.Certificate = outcome.Chain
	if outcome.Warning != "" {
		d.Events = append(d.Events, d.state.event(true, outcome.WarningReason, outcome.Warning))
	}
	d.Events = append(d.Events, d.state.event(false, cmv1.EventReasonCertificateIssued, messageIssued(d.state.ofType())))
}

// fail ends the request. What a request lacks, another one can have.
func (d *draft) fail(reason, message string) {
	now := metav1.Time{Time: d.now}
	d.Do = nil
	d.Status.Conditions = append(d.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		LastUpdateTime: now, LastTransitionTime: now,
	})
	d.Events = append(d.Events, d.state.event(true, reason, message))
}

// announce reports what the request waits for, once.
func (d *draft) announce(warning bool, w Wait) {
	if w == d.state.Announced {
		return
	}
	d.Do = Announce{w}
	d.Events = []plan.Event{d.state.event(warning, w.Reason, w.Message)}
}

// event makes an event whose source is the one that users know for the issuer.
func (s State) event(warning bool, reason, message string) plan.Event {
	return plan.Event{Warning: warning, Reason: reason, Message: message, Component: ManagerOf(s.Issuer), Verbose: !warning}
}
