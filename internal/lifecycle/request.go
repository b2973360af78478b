package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
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

// OrderReplacesAnnotation counts, on an Order, the orders that it replaces.
const OrderReplacesAnnotation = "everleaf.io/replaced-orders"

// IssuerType is what kind of issuer a spec configures.
type IssuerType string

// The issuer types of the API.
const (
	IssuerUnset      IssuerType = ""
	IssuerACME       IssuerType = "acme"
	IssuerCA         IssuerType = "ca"
	IssuerSelfSigned IssuerType = "selfsigned"
	IssuerVault      IssuerType = "vault"
	IssuerVenafi     IssuerType = "venafi"
)

// TypeOf returns the one type that an issuer's spec configures.
func TypeOf(spec *cmv1.IssuerSpec) IssuerType {
	switch {
	case spec.ACME != nil:
		return IssuerACME
	case spec.CA != nil:
		return IssuerCA
	case spec.SelfSigned != nil:
		return IssuerSelfSigned
	case spec.Vault != nil:
		return IssuerVault
	case spec.Venafi != nil:
		return IssuerVenafi
	default:
		return IssuerUnset
	}
}

// Issuer is what a request needs to know of the issuer that it names.
type Issuer struct {
	Spec  *cmv1.IssuerSpec
	Ready bool
	// Message is that of the Ready condition, empty if there is none yet.
	Message string
}

// RequestStep is what a CertificateRequest needs next.
type RequestStep string

// The steps of a CertificateRequest.
const (
	RequestWait         RequestStep = ""
	RequestSign         RequestStep = "sign"
	RequestCreateOrder  RequestStep = "create the Order"
	RequestReplaceOrder RequestStep = "replace the Order"
)

// Request is everything that decides what a CertificateRequest needs next.
type Request struct {
	// Object is the request; it is not to be changed.
	Object *cmv1.CertificateRequest
	// Issuer is nil if the one that the request names does not exist.
	Issuer *Issuer
	// MayApprove says that this process approves requests for the issuer.
	MayApprove bool
	// Orders are those that the request controls.
	Orders []*acmev1.Order
}

// RequestPlan is what a CertificateRequest needs next.
type RequestPlan struct {
	Step    RequestStep
	Status  cmv1.CertificateRequestStatus
	Persist Persist
	// Order is the one to create; Gone the one to delete before that.
	Order, Gone *acmev1.Order
	Events      []Event
}

// RequestApproved reports whether a request may be signed.
func RequestApproved(r *cmv1.CertificateRequest) bool {
	return requestCondition(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == cmmeta.ConditionTrue &&
		requestCondition(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) != cmmeta.ConditionTrue
}

func requestCondition(conditions []cmv1.CertificateRequestCondition, kind cmv1.CertificateRequestConditionType) cmmeta.ConditionStatus {
	if c := findRequestCondition(conditions, kind); c != nil {
		return c.Status
	}
	return ""
}

func findRequestCondition(conditions []cmv1.CertificateRequestCondition, kind cmv1.CertificateRequestConditionType) *cmv1.CertificateRequestCondition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

// requestEnded reports whether a request will not be signed any more.
func requestEnded(s *cmv1.CertificateRequestStatus) bool {
	if requestCondition(s.Conditions, cmv1.CertificateRequestConditionInvalidRequest) == cmmeta.ConditionTrue {
		return true
	}
	ready := findRequestCondition(s.Conditions, cmv1.CertificateRequestConditionReady)
	return ready != nil && (ready.Status == cmmeta.ConditionTrue ||
		ready.Reason == cmv1.CertificateRequestReasonFailed || ready.Reason == cmv1.CertificateRequestReasonDenied)
}

// NextRequest decides what a CertificateRequest needs next.
func NextRequest(r Request, now time.Time) RequestPlan {
	plan := RequestPlan{Status: *r.Object.Status.DeepCopy()}
	if r.Object.DeletionTimestamp != nil || requestEnded(&plan.Status) {
		return plan
	}
	own := OwnIssuer(r.Object.Spec.IssuerRef)
	if requestCondition(plan.Status.Conditions, cmv1.CertificateRequestConditionDenied) == cmmeta.ConditionTrue {
		if own {
			plan.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonDenied, messageDenied, now)
			plan.Status.FailureTime = &metav1.Time{Time: now}
		}
		return plan
	}
	if requestCondition(plan.Status.Conditions, cmv1.CertificateRequestConditionApproved) != cmmeta.ConditionTrue {
		if !r.MayApprove {
			return plan
		}
		plan.set(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "cert-manager.io", messageApproved, now)
		plan.Events = append(plan.Events, Event{Reason: "cert-manager.io", Message: messageApproved, Component: componentApprover, Detail: true})
	}
	if !own {
		return plan
	}
	return plan.sign(r, now)
}

func (p RequestPlan) sign(r Request, now time.Time) RequestPlan {
	ref := r.Object.Spec.IssuerRef
	if r.Issuer == nil {
		return p.pending("IssuerNotFound", fmt.Sprintf("Referenced %q not found: %s.%s %q not found",
			IssuerKind(ref), strings.ToLower(IssuerKind(ref)), IssuerGroup(ref), ref.Name), componentOf(IssuerUnset), now)
	}
	kind := TypeOf(r.Issuer.Spec)
	component := componentOf(kind)
	switch {
	case kind == IssuerUnset:
		return p.pending("IssuerTypeMissing", "Missing issuer type: the issuer's spec configures none", component, now)
	case kind == IssuerVault || kind == IssuerVenafi:
		return p.pending("IssuerNotReady", fmt.Sprintf("This version of everleaf cannot sign with issuers of type %s yet", kind), component, now)
	case !r.Issuer.Ready:
		return p.pending("IssuerNotReady", notReady(r.Issuer), component, now)
	case kind == IssuerACME:
		return p.order(r, now)
	default:
		p.Step = RequestSign
		return p
	}
}

// notReady says why, in the issuer's own words: the user need not look there.
func notReady(i *Issuer) string {
	const message = "Referenced issuer does not have a Ready status condition"
	if i.Message == "" {
		return message
	}
	return message + ": " + i.Message
}

// order decides by the state of the request's Order.
func (p RequestPlan) order(r Request, now time.Time) RequestPlan {
	component := componentOf(IssuerACME)
	current, replaced := currentOrder(r)
	if current == nil || replaced {
		wanted, err := BuildOrder(r.Object, r.Issuer.Spec.ACME)
		if err != nil {
			return p.fail(err.Reason, err.Message, component, now)
		}
		if !replaced {
			p.Step, p.Order, p.Persist = RequestCreateOrder, wanted, Before
			// The approval must be stored before the Order that it allows, and
			// the same write can tell what comes next.
			return p.waiting(wanted, now)
		}
		if replacedBefore(current) >= maxReplacedOrders {
			return p.fail("OrderFailed", fmt.Sprintf("%s (replaced %d times)", orderFailedMessage(current), maxReplacedOrders), component, now)
		}
		p.Step, p.Order, p.Gone = RequestReplaceOrder, Replacement(wanted, current), current
		return p
	}
	switch {
	case OrderFailed(current.Status.State):
		return p.fail("OrderFailed", orderFailedMessage(current), component, now)
	case current.Status.State != acmev1.Valid:
		return p.waiting(current, now)
	case len(current.Status.Certificate) == 0:
		return p.pending("OrderPending", fmt.Sprintf("Waiting for order-controller to add certificate data to Order %s/%s", current.Namespace, current.Name), component, now)
	}
	return p.issued(issuer.Outcome{Chain: current.Status.Certificate}, component, now)
}

// currentOrder is the request's Order, and whether it has ended in a way that
// calls for another one rather than for the failure of the request: it went
// away at the server, is being deleted, or holds what is no certificate for the
// request's key.
func currentOrder(r Request) (*acmev1.Order, bool) {
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
func (p RequestPlan) waiting(o *acmev1.Order, now time.Time) RequestPlan {
	state := o.Status.State
	if state == "" {
		state = acmev1.Pending
	}
	message := fmt.Sprintf("Waiting on certificate issuance from order %s/%s: %q", o.Namespace, o.Name, state)
	if o.Status.Reason != "" {
		message += ": " + o.Status.Reason
	}
	return p.pending("OrderPending", message, componentOf(IssuerACME), now)
}

func orderFailedMessage(o *acmev1.Order) string {
	return fmt.Sprintf("Failed to wait for order resource %q to become ready: order is in %q state: %s", o.Name, o.Status.State, o.Status.Reason)
}

// RequestSigned is the plan after a signer has answered.
func RequestSigned(plan RequestPlan, kind IssuerType, outcome issuer.Outcome, err error, now time.Time) RequestPlan {
	plan.Step, plan.Persist = RequestWait, AtEnd
	component := componentOf(kind)
	if err != nil {
		f := fault.Of(err)
		if f.Class == fault.Permanent {
			return plan.fail(f.Reason, f.Message, component, now)
		}
		return plan.pending(f.Reason, f.Message, component, now)
	}
	return plan.issued(outcome, component, now)
}

func (p RequestPlan) issued(outcome issuer.Outcome, component string, now time.Time) RequestPlan {
	message := messageIssued
	if outcome.Warning != "" {
		message += ". " + outcome.Warning
		p.Events = append(p.Events, Event{Warning: true, Reason: outcome.WarningReason, Message: outcome.Warning, Component: component})
	}
	p.Status.Certificate, p.Status.CA = outcome.Chain, outcome.CA
	p.setReady(cmmeta.ConditionTrue, cmv1.CertificateRequestReasonIssued, message, now)
	p.Events = append(p.Events, Event{Reason: "CertificateIssued", Message: messageIssued, Component: component, Detail: true})
	return p
}

func (p RequestPlan) fail(reason, message, component string, now time.Time) RequestPlan {
	p.Step = RequestWait
	p.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonFailed, message, now)
	p.Status.FailureTime = &metav1.Time{Time: now}
	p.Events = append(p.Events, Event{Warning: true, Reason: reason, Message: message, Component: component})
	return p
}

func (p RequestPlan) pending(reason, message, component string, now time.Time) RequestPlan {
	before := findRequestCondition(p.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if before == nil || before.Reason != cmv1.CertificateRequestReasonPending {
		p.Events = append(p.Events, Event{Reason: reason, Message: message, Component: component, Detail: true})
	}
	p.setReady(cmmeta.ConditionFalse, cmv1.CertificateRequestReasonPending, message, now)
	return p
}

func (p *RequestPlan) setReady(status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	p.set(cmv1.CertificateRequestConditionReady, status, reason, message, now)
}

func (p *RequestPlan) set(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	at := metav1.NewTime(now)
	condition := cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: &at}
	for i, c := range p.Status.Conditions {
		if c.Type == kind {
			if c.Status == status {
				condition.LastTransitionTime = c.LastTransitionTime
			}
			p.Status.Conditions = slices.Clone(p.Status.Conditions)
			p.Status.Conditions[i] = condition
			return
		}
	}
	p.Status.Conditions = append(slices.Clone(p.Status.Conditions), condition)
}

// componentOf is the event source that users know for an issuer type.
func componentOf(kind IssuerType) string {
	if kind == IssuerUnset {
		return "cert-manager-certificaterequests-issuer"
	}
	return "cert-manager-certificaterequests-issuer-" + string(kind)
}

// RequestDecided reports whether a request is approved, denied or done with.
func RequestDecided(r *cmv1.CertificateRequest) bool {
	return requestEnded(&r.Status) ||
		requestCondition(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == cmmeta.ConditionTrue ||
		requestCondition(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) == cmmeta.ConditionTrue
}

// OnlyApproves reports whether a status differs from a request's by no more
// than an approval: the field manager of such a write is the approver.
func OnlyApproves(r *cmv1.CertificateRequest, s cmv1.CertificateRequestStatus) bool {
	return findRequestCondition(s.Conditions, cmv1.CertificateRequestConditionReady) == nil ||
		(requestCondition(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == "" && len(s.Certificate) == 0)
}

// RequestEnded reports whether a request will not be signed any more.
func RequestEnded(r *cmv1.CertificateRequest) bool { return requestEnded(&r.Status) }
