package signingrequest

import (
	"fmt"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// maxReplacedOrders bounds how often an Order is replaced for one request before the
// request fails.
const maxReplacedOrders = 3

// byOrder decides by the state of the request's Order.
func (d *draft) byOrder() {
	current := facts.Newest(d.state.Orders)
	if current == nil {
		d.create()
		return
	}
	bad := d.badCertificate(current)
	switch {
	case bad != "" || current.State == acmev1.Expired || current.Deleting:
		d.replace(current, bad)
	case order.Failed(current.State):
		d.fail(cmv1.EventReasonOrderFailed, orderFailed(current))
	case current.State != acmev1.Valid:
		d.pending(request.WaitingOnOrder(current.Namespace, current.Name, current.State, current.Reason))
	case !current.HasCertificate():
		d.pending(fmt.Sprintf("Waiting for order-controller to add certificate data to Order %s/%s", current.Namespace, current.Name))
	case d.state.Outcome == nil:
		d.Do = TakeCertificate{Order: current}
	default:
		d.issued()
	}
}

func (d *draft) pending(message string) {
	d.announce(false, Wait{cmv1.EventReasonOrderPending, message})
}

// badCertificate says why the certificate of an Order is no answer to the request, or
// returns "".
func (d *draft) badCertificate(o *facts.Order) string {
	if o.State != acmev1.Valid || !o.HasCertificate() {
		return ""
	}
	if o.Answer.Error != "" {
		return "Deleting Order with bad certificate: " + o.Answer.Error
	}
	csr, err := pki.ParseRequest(d.state.Object.Spec.Request, d.state.Limits)
	if err != nil || pki.DigestOf(csr.PublicKey) != o.Answer.Key {
		return "Deleting Order as the signed certificate's key does not match the request"
	}
	return ""
}

// create asks for the request's first Order.
func (d *draft) create() {
	wanted := d.wanted()
	if wanted == nil {
		return
	}
	if d.state.Replaced > 0 {
		wanted = order.Replacement(wanted, d.state.Replaced)
	}
	d.Do = CreateOrder{Order: wanted}
	d.Events = []plan.Event{d.state.event(false, reasonOrderCreated, fmt.Sprintf("Created Order resource %s/%s", wanted.Namespace, wanted.Name))}
	d.confirm()
}

// replace asks for an Order in the place of one that is of no use.
func (d *draft) replace(gone *facts.Order, bad string) {
	wanted := d.wanted()
	if wanted == nil {
		return
	}
	if gone.Replaces >= maxReplacedOrders {
		d.fail(cmv1.EventReasonOrderFailed, fmt.Sprintf("%s (replaced %d times)", orderFailed(gone), maxReplacedOrders))
		return
	}
	d.Do = ReplaceOrder{Order: order.Replacement(wanted, gone.Replaces+1), Gone: gone}
	if bad != "" {
		d.Events = []plan.Event{d.state.event(true, reasonOrderBadChain, bad)}
	}
	d.confirm()
}

// confirm has the approval looked at once more: what is in a cache may be older than the
// end of the request.
func (d *draft) confirm() { d.Confirm = []plan.Confirm{plan.AsSeen(Kind, d.state.Object)} }

// wanted is the Order that the request calls for. Without one, the request has failed.
// Its name depends on all of the request's spec. The issuer's profile is for
// CertificateRequests.
func (d *draft) wanted() *acmev1.Order {
	s := d.state
	wanted, err := order.Build(Equivalent(s.Object, s.Signer, s.Namespace, s.Copied), s.Issuer.Spec.ACME, s.Limits)
	if err != nil {
		d.fail(err.Reason, err.Message)
		return nil
	}
	wanted.Name, wanted.Spec.Profile = order.NameOf(s.Object.Name, s.Object.Spec), ""
	return wanted
}

// orderFailed is the message of a request whose Order has ended without a
// certificate.
func orderFailed(o *facts.Order) string {
	return fmt.Sprintf("Failed to wait for order resource %s/%s to become ready: order is in %q state: %s", o.Namespace, o.Name, o.State, o.Reason)
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
