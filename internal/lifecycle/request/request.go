package request

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	messageApproved = "Certificate request has been approved by cert-manager.io"
	messageIssued   = "Certificate fetched from issuer successfully"
	messageDenied   = "The CertificateRequest was denied by an approval controller"
)

// maxReplacedOrders bounds how often an order that went away at the server is
// replaced for one request before the request fails.
const maxReplacedOrders = 3

// Next decides what a CertificateRequest needs next.
func (s State) Next(now time.Time) Plan {
	d := s.draft(now)
	if d.approve() {
		d.answer()
	}
	return d.Plan
}

// Failed decides what the failure of an action means. A signer's errors are
// faults, and an error without a class is worth another try.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	d := s.draft(now)
	if _, signing := f.Action.(Sign); !signing {
		// The request itself is not at fault.
		if why := plan.Obstacle(f, nil); why != "" && d.approve() {
			why = undone(f.Action) + ": " + why
			d.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonPending, why)
			d.event(plan.Event{Warning: true, Reason: "WriteFailed", Message: why})
		}
		if d.Until = plan.Retry(f.Err, f.Attempts, plan.APIServer, now); d.Until.IsZero() {
			d.Until = now.Add(fault.UserRetry)
		}
		return d.Plan
	}
	if !d.approve() {
		return d.Plan
	}
	failure := fault.Of(f.Err)
	if failure.Class == fault.Permanent {
		d.fail(failure.Reason, failure.Message)
		return d.Plan
	}
	d.pending(failure.Reason, plan.WithNextTry(failure.Message, f.Err, plan.Remote, now))
	d.Until = plan.Retry(f.Err, f.Attempts, plan.Remote, now)
	// A Secret that is written each second must not have the issuer asked each second.
	d.Hold = failure.Class == fault.Transient
	return d.Plan
}

// draft is a plan in the making.
type draft struct {
	Plan
	state State
	now   time.Time
}

func (s State) draft(now time.Time) *draft {
	return &draft{state: s, now: now, Plan: Plan{Status: *s.Object.Status.DeepCopy()}}
}

// approve decides about the approval, and reports whether the issuer may answer.
func (d *draft) approve() bool {
	object := d.state.Object
	if object.DeletionTimestamp != nil || ended(d.Status.Conditions) {
		return false
	}
	if d.state.Issuer.Unserved() {
		d.leave()
		return false
	}
	own := facts.OwnIssuer(object.Spec.IssuerRef) && (d.state.Issuer == nil || !d.state.Issuer.Left)
	if condition.True(d.Status.Conditions, cmv1.CertificateRequestConditionDenied) {
		if own {
			d.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonDenied, messageDenied)
			d.Status.FailureTime = &metav1.Time{Time: d.now}
		}
		return false
	}
	if condition.True(d.Status.Conditions, cmv1.CertificateRequestConditionApproved) {
		return own
	}
	if !d.state.MayApprove {
		if d.state.NoPermission {
			d.Until = d.now.Add(ApprovalRecheck)
		}
		if own && d.state.Unannounced {
			d.Do = AnnounceWait{}
			d.event(plan.Event{Reason: "WaitingForApproval", Message: "Not signing CertificateRequest until it is Approved", Verbose: true})
		}
		return false
	}
	d.set(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, cmv1.CertificateRequestReasonApproved, messageApproved)
	d.Events = append(d.Events, plan.Event{Reason: cmv1.CertificateRequestReasonApproved, Message: messageApproved, Component: Manager, Verbose: true})
	return own
}

// leave leaves a request to the version, or the cert-manager, that has issuers of its
// type: it writes nothing, and an event says so once per process.
func (d *draft) leave() {
	if d.state.Unannounced {
		d.Do = AnnounceWait{}
		d.event(plan.Event{
			Warning: true, Reason: cmv1.EventReasonIssuerNotReady,
			Message: facts.WithoutType(facts.TypeOf(d.state.Issuer.Spec)) + ": the request is left alone",
		})
	}
}

// answer decides what becomes of an approved request.
func (d *draft) answer() {
	issuer, ref := d.state.Issuer, d.state.Object.Spec.IssuerRef.WithDefaults()
	if issuer == nil {
		message := fmt.Sprintf("Referenced %q not found: %s.%s %q not found", ref.Kind, strings.ToLower(ref.Kind), ref.Group, ref.Name)
		if other := d.state.OtherKind; other != "" {
			message += fmt.Sprintf("; but there is a %s %q: to use it, set issuerRef.kind to %s", other, ref.Name, other)
		}
		d.pending(cmv1.EventReasonIssuerNotFound, message)
		return
	}
	kind := facts.TypeOf(issuer.Spec)
	switch {
	case kind == facts.IssuerUnset:
		d.pending(cmv1.EventReasonIssuerTypeMissing, "Missing issuer type: the issuer's spec configures none")
	case !issuer.Ready:
		d.pending(cmv1.EventReasonIssuerNotReady, notReady(issuer))
	case kind == facts.IssuerACME:
		d.byOrder()
	default:
		d.bySigner()
	}
}

// notReady says why, in the issuer's own words: the user need not look there.
func notReady(i *facts.Issuer) string {
	const message = "Referenced issuer does not have a Ready status condition"
	if i.Message == "" {
		return message
	}
	return message + ": " + i.Message
}

// bySigner decides by what the issuer's signer has answered.
func (d *draft) bySigner() {
	outcome := d.state.Outcome
	switch {
	case d.state.SignNotBefore.After(d.now):
		if !d.isPending() {
			d.pending(cmv1.EventReasonIssuancePending, "The issuer has asked not to be asked again before "+d.state.SignNotBefore.UTC().Format(time.RFC3339))
		}
		d.Until = d.state.SignNotBefore
	case outcome == nil:
		d.sign()
	case outcome.Pending == nil:
		d.issued(*outcome)
	case !facts.ContainsAll(d.state.Object.Annotations, outcome.Pending.Annotations):
		d.act(KeepState{Annotations: outcome.Pending.Annotations})
	case outcome.Pending.Until.After(d.now):
		d.pending(cmv1.EventReasonIssuancePending, outcome.Pending.Message)
		d.Until = outcome.Pending.Until
	default:
		d.sign()
	}
}

// sign has the issuer asked. What a cache shows is not enough to have an order made: there is
// none as long as the object does not name it.
func (d *draft) sign() {
	d.act(Sign{})
	if outcome := d.state.Outcome; d.state.Issuer.Orders && (outcome == nil || len(outcome.Pending.Annotations) == 0) {
		d.confirm()
	}
}

// byOrder decides by the state of the request's Order.
func (d *draft) byOrder() {
	current := facts.Newest(d.state.Orders)
	if current == nil || d.needsReplacement(current) {
		d.order(current)
		return
	}
	switch {
	case order.Failed(current.State):
		d.fail(cmv1.EventReasonOrderFailed, orderFailed(current))
	case current.State != acmev1.Valid:
		d.pending(cmv1.EventReasonOrderPending, WaitingOnOrder(current.Namespace, current.Name, current.State, current.Reason))
	case !current.HasCertificate():
		d.pending(cmv1.EventReasonOrderPending, fmt.Sprintf("Waiting for order-controller to add certificate data to Order %s/%s", current.Namespace, current.Name))
	case d.state.Outcome == nil:
		d.act(TakeCertificate{Order: current})
	default:
		d.issued(*d.state.Outcome)
	}
}

// order asks for an Order, in the place of one that is gone at the server, if
// there is one.
func (d *draft) order(gone *facts.Order) {
	wanted, err := order.Build(d.state.Object, d.state.Issuer.Spec.ACME, d.state.Limits)
	if err != nil {
		d.fail(err.Reason, err.Message)
		return
	}
	// It is no part of what names the Order: that must stay the same for one request.
	wanted.Spec.Replaces = d.state.Replaces
	if gone == nil {
		if d.state.Replaced > 0 {
			wanted = order.Replacement(wanted, d.state.Replaced)
		}
		// The approval must be stored before the Order that it allows, and the same
		// write can say what comes next. Why the Order was not created before stays
		// until it is.
		if !d.isPending() {
			d.pending(cmv1.EventReasonOrderPending, WaitingOnOrder(wanted.Namespace, wanted.Name, "", ""))
		}
		d.Persist, d.Do = plan.Before, CreateOrder{Order: wanted}
	} else {
		if gone.Replaces >= maxReplacedOrders {
			d.fail(cmv1.EventReasonOrderFailed, fmt.Sprintf("%s (replaced %d times)", orderFailed(gone), maxReplacedOrders))
			return
		}
		d.act(ReplaceOrder{Order: order.Replacement(wanted, gone.Replaces+1), Gone: gone})
	}
	d.confirm()
}

// confirm has the request compared with the API server's before what is done. An approval in
// a cache may have been followed by a denial.
func (d *draft) confirm() {
	d.Confirm = []plan.Confirm{plan.AsSeen(cmv1.CertificateRequestKind, d.state.Object)}
}

// needsReplacement reports whether an Order has ended in a way that calls for
// another one rather than for the failure of the request: it went away at the
// server, is being deleted, or holds what is no certificate for the request's
// key.
func (d *draft) needsReplacement(o *facts.Order) bool {
	useless := o.State == acmev1.Valid && o.HasCertificate() && (o.Answer.Error != "" || o.Answer.Key != d.state.Key)
	return useless || o.State == acmev1.Expired || o.Deleting
}

// act has an action carried out before the status is stored: the plan after the
// action has the same changes again, and sends their events.
func (d *draft) act(a plan.Action) {
	d.Do, d.Events = a, nil
}

func (d *draft) issued(outcome Outcome) {
	if outcome.Warning != "" {
		d.event(plan.Event{Warning: true, Reason: outcome.WarningReason, Message: outcome.Warning})
	}
	d.Status.Certificate, d.Status.CA = outcome.Chain, outcome.CA
	d.setReady(cmmeta.ConditionTrue, cmv1.CertificateRequestReasonIssued, messageIssued)
	d.event(plan.Event{Reason: cmv1.EventReasonCertificateIssued, Message: messageIssued, Verbose: true})
}

func (d *draft) fail(reason, message string) {
	d.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonFailed, message)
	d.Status.FailureTime = &metav1.Time{Time: d.now}
	d.event(plan.Event{Warning: true, Reason: reason, Message: message})
}

// isPending reports whether the status says already what the request waits for.
func (d *draft) isPending() bool {
	ready := condition.Find(d.Status.Conditions, cmv1.CertificateRequestConditionReady)
	return ready != nil && ready.Reason == cmv1.CertificateRequestReasonPending
}

func (d *draft) pending(reason, message string) {
	if !d.isPending() {
		d.event(plan.Event{Reason: reason, Message: message, Verbose: true})
	}
	d.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonPending, message)
}

// event adds an event whose source is the one that users know for the issuer.
func (d *draft) event(e plan.Event) {
	e.Component = ManagerOf(d.state.Issuer)
	d.Events = append(d.Events, e)
}

func (d *draft) setReady(status cmmeta.ConditionStatus, reason, message string) {
	d.set(cmv1.CertificateRequestConditionReady, status, reason, message)
	d.Manager = ""
	if d.state.Issuer != nil && !onlyApproves(d.state.Object, d.Status) {
		d.Manager = ManagerOf(d.state.Issuer)
	}
}

func (d *draft) set(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string) {
	d.Status.Conditions = condition.Set(d.Status.Conditions, cmv1.CertificateRequestCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: &metav1.Time{Time: d.now},
	})
}

// undone names the object of an action, and what cannot be done to it.
func undone(action plan.Action) string {
	switch a := action.(type) {
	case CreateOrder:
		return fmt.Sprintf(`Order "%s/%s" cannot be created`, a.Order.Namespace, a.Order.Name)
	case ReplaceOrder:
		return fmt.Sprintf(`Order "%s/%s" cannot be replaced`, a.Gone.Namespace, a.Gone.Name)
	case TakeCertificate:
		return fmt.Sprintf(`the certificate in Order "%s/%s" cannot be read`, a.Order.Namespace, a.Order.Name)
	default:
		return "everleaf cannot " + action.String()
	}
}
