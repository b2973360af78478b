// Package certificaterequest reconciles CertificateRequests: it approves those
// that are ours to approve, signs them or has an Order made for them, and tells
// how it went.
package certificaterequest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	managerApprover = "cert-manager-certificaterequests-approver"
	managerIssuer   = "cert-manager-certificaterequests-issuer-"

	maxSteps = 4
)

// Reconciler answers CertificateRequests.
type Reconciler struct {
	Cache    client.Reader
	Live     client.Reader
	Issuers  *cluster.Issuers
	Approval *cluster.Approval
	Signers  map[facts.IssuerType]issuer.Signer
	Write    *cluster.Writer
	Events   *cluster.Events
	Wait     *controller.Wait
	Clock    clock.PassiveClock
	Limits   pki.Limits
	// Approves is false when approval is left to others altogether.
	Approves bool
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	owner := cluster.Owner{Kind: cluster.CertificateRequest, NamespacedName: req.NamespacedName}
	if r.Write.Behind(owner) != "" {
		return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
	}
	object := &cmv1.CertificateRequest{}
	if err := r.Cache.Get(ctx, req.NamespacedName, object); err != nil {
		if apierrors.IsNotFound(err) {
			r.Wait.Forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	w := &work{Reconciler: r, owner: owner, state: core.State{Object: object, Limits: r.Limits}}
	err := w.load(ctx)
	if err == nil {
		err = w.run(ctx)
	}
	return r.Wait.Finish(ctx, req.NamespacedName, w.until, err)
}

// work is one reconcile of one request.
type work struct {
	*Reconciler
	owner  cluster.Owner
	state  core.State
	issuer cmv1.GenericIssuer
	until  time.Time
	// retry is an error for which the request stays pending; the queue's
	// back-off decides when to try again.
	retry error
}

func (w *work) load(ctx context.Context) error {
	object := w.state.Object
	ref := object.Spec.IssuerRef
	found, err := w.Issuers.Get(ctx, object.Namespace, ref)
	if err != nil {
		return err
	}
	if found != nil {
		w.issuer = found
		w.state.Issuer = &facts.Issuer{Spec: found.GetSpec(), Ready: cluster.IssuerReady(found), Message: cluster.IssuerMessage(found)}
	}
	orders := &acmev1.OrderList{}
	if found != nil && found.GetSpec().ACME != nil {
		if err := w.Cache.List(ctx, orders, client.InNamespace(object.Namespace), cluster.ControlledBy(object)); err != nil {
			return err
		}
	}
	for i := range orders.Items {
		w.state.Orders = append(w.state.Orders, &orders.Items[i])
	}
	if w.Approves && !core.Decided(object) {
		if w.state.MayApprove, err = w.Approval.May(ctx, object.Namespace, ref); err != nil {
			return err
		}
		if !w.state.MayApprove {
			// No event tells of a permission.
			w.until = w.Clock.Now().Add(cluster.ApprovalRecheck)
		}
	}
	return nil
}

func (w *work) run(ctx context.Context) error {
	for range maxSteps {
		if controller.Stopping(ctx) {
			return nil
		}
		now := w.Clock.Now()
		p := core.Next(w.state, now)
		if p.Step == core.Sign {
			p = w.sign(ctx, p, now)
		}
		if p.Step == core.Wait || p.Persist == plan.Before {
			if err := w.storeStatus(ctx, p); err != nil {
				return err
			}
		}
		switch p.Step {
		case core.CreateOrder, core.ReplaceOrder:
			if err := w.createOrder(ctx, p); err != nil {
				return err
			}
		default:
			return w.retry
		}
	}
	return nil
}

// sign asks the issuer's signer, and turns its answer into a plan.
func (w *work) sign(ctx context.Context, plan core.Plan, now time.Time) core.Plan {
	kind := facts.TypeOf(w.issuer.GetSpec())
	signer := w.Signers[kind]
	if signer == nil {
		err := fault.New(fault.User, "IssuerNotReady", "This version of everleaf cannot sign with issuers of type %s", kind)
		return core.Signed(plan, kind, core.Outcome{}, err, now)
	}
	outcome, err := signer.Sign(ctx, issuer.Request{
		Object: w.state.Object, Issuer: w.issuer.GetSpec(), Namespace: w.Issuers.SecretNamespace(w.issuer), Now: now,
	})
	if err != nil {
		switch f := fault.Of(err); f.Class {
		case fault.Transient:
			w.retry = err
		case fault.Later:
			w.until = f.At
		case fault.User:
			w.until = now.Add(fault.UserRetry)
		}
	}
	return core.Signed(plan, kind, outcome, err, now)
}

func (w *work) storeStatus(ctx context.Context, plan core.Plan) error {
	if equality.Semantic.DeepEqual(w.state.Object.Status, plan.Status) {
		return nil
	}
	changed := w.state.Object.DeepCopy()
	changed.Status = plan.Status
	manager := managerApprover
	if w.issuer != nil && !core.OnlyApproves(w.state.Object, plan.Status) {
		manager = managerIssuer + string(facts.TypeOf(w.issuer.GetSpec()))
	}
	if err := w.Write.UpdateStatus(ctx, w.owner, cluster.CertificateRequest, changed, manager); err != nil {
		return err
	}
	w.state.Object = changed
	w.Events.Send(changed, plan.Events...)
	return nil
}

// createOrder creates the request's Order, after a live look that there is none.
func (w *work) createOrder(ctx context.Context, plan core.Plan) error {
	live := &cmv1.CertificateRequest{}
	if err := w.Live.Get(ctx, w.owner.NamespacedName, live); err != nil {
		return err
	}
	if live.UID != w.state.Object.UID || !condition.Approved(live) {
		return cluster.ErrStale
	}
	if plan.Gone != nil {
		if err := w.Write.Delete(ctx, w.owner, cluster.Order, plan.Gone); err != nil {
			return err
		}
	}
	order := plan.Order.DeepCopy()
	err := w.Write.Create(ctx, w.owner, cluster.Order, order, managerIssuer+string(facts.IssuerACME))
	if apierrors.IsAlreadyExists(err) {
		return w.adopt(ctx, order)
	}
	if err != nil {
		return err
	}
	w.state.Orders = []*acmev1.Order{order}
	return nil
}

// adopt looks at an Order that has the name of the one to create. It is the
// request's own, which a cache does not show yet, or somebody else's.
func (w *work) adopt(ctx context.Context, order *acmev1.Order) error {
	live := &acmev1.Order{}
	if err := w.Live.Get(ctx, client.ObjectKeyFromObject(order), live); err != nil {
		return err
	}
	for _, owner := range live.OwnerReferences {
		if owner.UID == w.state.Object.UID && live.DeletionTimestamp == nil {
			return cluster.ErrStale
		}
	}
	return fmt.Errorf("found Order resource %s/%s not owned by this CertificateRequest, retrying", order.Namespace, order.Name)
}
