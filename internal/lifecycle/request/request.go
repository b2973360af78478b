// Package request decides what a CertificateRequest needs next.
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
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	componentApprover = "cert-manager-certificaterequests-approver"
	messageApproved   = "Certificate request has been approved by cert-manager.io"
	messageIssued     = "Certificate fetched from issuer successfully"
	messageDenied     = "The CertificateRequest was denied by an approval controller"
)

// maxReplacedOrders bounds how often an order that went away at the server is
// replaced for one request before the request fails.
const maxReplacedOrders = 3

// Step is what a CertificateRequest needs next.
type Step string

// The steps of a CertificateRequest.
const (
	Wait         Step = ""
	Sign         Step = "sign"
	CreateOrder  Step = "create the Order"
	ReplaceOrder Step = "replace the Order"
)

// State is everything that decides what a CertificateRequest needs next.
type State struct {
	// Object is the request; it is not to be changed.
	Object *cmv1.CertificateRequest
	// Issuer is nil if the one that the request names does not exist.
	Issuer *facts.Issuer
	// MayApprove says that this process approves requests for the issuer.
	MayApprove bool
	// Orders are those that the request controls.
	Orders []*acmev1.Order
	// Limits bound the signing request.
	Limits pki.Limits
}

// Plan is what a CertificateRequest needs next.
type Plan struct {
	Step    Step
	Status  cmv1.CertificateRequestStatus
	Persist plan.Persist
	// Order is the one to create; Gone the one to delete before that.
	Order, Gone *acmev1.Order
	Events      []plan.Event
}

// Outcome is a signed certificate.
type Outcome struct {
	// Chain is PEM: the leaf first, then its issuers, without a self-signed root.
	Chain []byte
	// CA is the PEM of the topmost issuer that the type knows, or nil.
	CA []byte
	// Warning is a sentence for a Warning event and the end of the Ready
	// message, or empty: the request was met, but not to the letter.
	Warning string
	// WarningReason is the event's reason.
	WarningReason string
}

// Next decides what a CertificateRequest needs next.
func Next(r State, now time.Time) Plan {
	p := Plan{Status: *r.Object.Status.DeepCopy()}
	if r.Object.DeletionTimestamp != nil || ended(&p.Status) {
		return p
	}
	own := facts.OwnIssuer(r.Object.Spec.IssuerRef)
	if condition.Status(p.Status.Conditions, cmv1.CertificateRequestConditionDenied) == cmmeta.ConditionTrue {
		if own {
			p.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonDenied, messageDenied, now)
			p.Status.FailureTime = &metav1.Time{Time: now}
		}
		return p
	}
	if condition.Status(p.Status.Conditions, cmv1.CertificateRequestConditionApproved) != cmmeta.ConditionTrue {
		if !r.MayApprove {
			return p
		}
		p.set(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "cert-manager.io", messageApproved, now)
		p.Events = append(p.Events, plan.Event{Reason: "cert-manager.io", Message: messageApproved, Component: componentApprover, Verbose: true})
	}
	if !own {
		return p
	}
	return p.sign(r, now)
}

func (p Plan) sign(r State, now time.Time) Plan {
	ref := r.Object.Spec.IssuerRef
	if r.Issuer == nil {
		return p.pending("IssuerNotFound", fmt.Sprintf("Referenced %q not found: %s.%s %q not found",
			facts.IssuerKind(ref), strings.ToLower(facts.IssuerKind(ref)), facts.IssuerGroup(ref), ref.Name), componentOf(facts.IssuerUnset), now)
	}
	kind := facts.TypeOf(r.Issuer.Spec)
	component := componentOf(kind)
	switch {
	case kind == facts.IssuerUnset:
		return p.pending("IssuerTypeMissing", "Missing issuer type: the issuer's spec configures none", component, now)
	case kind == facts.IssuerVault || kind == facts.IssuerVenafi:
		return p.pending("IssuerNotReady", fmt.Sprintf("This version of everleaf cannot sign with issuers of type %s yet", kind), component, now)
	case !r.Issuer.Ready:
		return p.pending("IssuerNotReady", notReady(r.Issuer), component, now)
	case kind == facts.IssuerACME:
		return p.order(r, now)
	default:
		p.Step = Sign
		return p
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

// order decides by the state of the request's Order.
func (p Plan) order(r State, now time.Time) Plan {
	component := componentOf(facts.IssuerACME)
	current, replaced := currentOrder(r)
	if current == nil || replaced {
		wanted, err := order.Build(r.Object, r.Issuer.Spec.ACME, r.Limits)
		if err != nil {
			return p.fail(err.Reason, err.Message, component, now)
		}
		if !replaced {
			p.Step, p.Order, p.Persist = CreateOrder, wanted, plan.Before
			// The approval must be stored before the Order that it allows, and
			// the same write can tell what comes next.
			return p.waiting(wanted, now)
		}
		if order.ReplacedBefore(current) >= maxReplacedOrders {
			return p.fail("OrderFailed", fmt.Sprintf("%s (replaced %d times)", orderFailedMessage(current), maxReplacedOrders), component, now)
		}
		p.Step, p.Order, p.Gone = ReplaceOrder, order.Replacement(wanted, current), current
		return p
	}
	switch {
	case order.Failed(current.Status.State):
		return p.fail("OrderFailed", orderFailedMessage(current), component, now)
	case current.Status.State != acmev1.Valid:
		return p.waiting(current, now)
	case len(current.Status.Certificate) == 0:
		return p.pending("OrderPending", fmt.Sprintf("Waiting for order-controller to add certificate data to Order %s/%s", current.Namespace, current.Name), component, now)
	}
	return p.issued(Outcome{Chain: current.Status.Certificate}, component, now)
}

// currentOrder is the request's Order, and whether it has ended in a way that
// calls for another one rather than for the failure of the request: it went
// away at the server, is being deleted, or holds what is no certificate for the
// request's key.
func currentOrder(r State) (*acmev1.Order, bool) {
	var current *acmev1.Order
	for _, o := range r.Orders {
		if current == nil || o.CreationTimestamp.After(current.CreationTimestamp.Time) {
			current = o
		}
	}
	if current == nil {
		return nil, false
	}
	useless := current.Status.State == acmev1.Valid && len(current.Status.Certificate) > 0 &&
		!answers(current.Status.Certificate, r.Object.Spec.Request)
	return current, useless || current.Status.State == acmev1.Expired || current.DeletionTimestamp != nil
}

// answers reports whether a chain's leaf is for the key of a signing request.
func answers(chain, request []byte) bool {
	leaf, err := pki.ParseCertificate(chain, pki.Limits{})
	if err != nil {
		return false
	}
	csr, err := pki.ParseRequest(request, pki.Limits{})
	return err == nil && pki.PublicKeysEqual(leaf.PublicKey, csr.PublicKey)
}

// waiting is Pending on an Order, with the Order's own reason if it has one.
func (p Plan) waiting(o *acmev1.Order, now time.Time) Plan {
	state := o.Status.State
	if state == "" {
		state = acmev1.Pending
	}
	message := fmt.Sprintf("Waiting on certificate issuance from order %s/%s: %q", o.Namespace, o.Name, state)
	if o.Status.Reason != "" {
		message += ": " + o.Status.Reason
	}
	return p.pending("OrderPending", message, componentOf(facts.IssuerACME), now)
}

func orderFailedMessage(o *acmev1.Order) string {
	return fmt.Sprintf("Failed to wait for order resource %q to become ready: order is in %q state: %s", o.Name, o.Status.State, o.Status.Reason)
}

// Signed is the plan after a signer has answered.
func Signed(p Plan, kind facts.IssuerType, outcome Outcome, err error, now time.Time) Plan {
	p.Step, p.Persist = Wait, plan.AtEnd
	component := componentOf(kind)
	if err != nil {
		f := fault.Of(err)
		if f.Class == fault.Permanent {
			return p.fail(f.Reason, f.Message, component, now)
		}
		return p.pending(f.Reason, f.Message, component, now)
	}
	return p.issued(outcome, component, now)
}

func (p Plan) issued(outcome Outcome, component string, now time.Time) Plan {
	message := messageIssued
	if outcome.Warning != "" {
		message += ". " + outcome.Warning
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: outcome.WarningReason, Message: outcome.Warning, Component: component})
	}
	p.Status.Certificate, p.Status.CA = outcome.Chain, outcome.CA
	p.setReady(cmmeta.ConditionTrue, cmv1.CertificateRequestReasonIssued, message, now)
	p.Events = append(p.Events, plan.Event{Reason: "CertificateIssued", Message: messageIssued, Component: component, Verbose: true})
	return p
}

func (p Plan) fail(reason, message, component string, now time.Time) Plan {
	p.Step = Wait
	p.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonFailed, message, now)
	p.Status.FailureTime = &metav1.Time{Time: now}
	p.Events = append(p.Events, plan.Event{Warning: true, Reason: reason, Message: message, Component: component})
	return p
}

func (p Plan) pending(reason, message, component string, now time.Time) Plan {
	before := condition.Find(p.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if before == nil || before.Reason != cmv1.CertificateRequestReasonPending {
		p.Events = append(p.Events, plan.Event{Reason: reason, Message: message, Component: component, Verbose: true})
	}
	p.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonPending, message, now)
	return p
}

func (p *Plan) setReady(status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	p.set(cmv1.CertificateRequestConditionReady, status, reason, message, now)
}

func (p *Plan) set(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	at := metav1.NewTime(now)
	p.Status.Conditions = condition.Set(p.Status.Conditions, cmv1.CertificateRequestCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: &at,
	})
}

// componentOf is the event source that users know for an issuer type.
func componentOf(kind facts.IssuerType) string {
	if kind == facts.IssuerUnset {
		return "cert-manager-certificaterequests-issuer"
	}
	return "cert-manager-certificaterequests-issuer-" + string(kind)
}
