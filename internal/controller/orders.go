package controller

import (
	"context"
	"crypto/sha256"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// Ordering makes the Orders of one object that asks for a certificate, whatever
// its kind.
type Ordering struct {
	Server  *cluster.Server
	Answers *cluster.Answers
	// Owner is the object, Subject its name.
	Owner   client.Object
	Subject plan.Ref
	// Manager is the field manager of the Orders.
	Manager string
}

// Create creates an Order and returns it as the API server has it.
func (o Ordering) Create(ctx context.Context, wanted *acmev1.Order) (*acmev1.Order, error) {
	order := wanted.DeepCopy()
	err := o.Server.Create(ctx, o.Subject, acmev1.OrderKind, order, o.Manager)
	if apierrors.IsAlreadyExists(err) {
		if err := o.taken(ctx, wanted); err != nil {
			return nil, err
		}
		order = wanted.DeepCopy()
		err = o.Server.Create(ctx, o.Subject, acmev1.OrderKind, order, o.Manager)
	}
	return order, err
}

// taken looks at an Order that has the name of the one to create: the object's
// own, which a cache does not show yet, somebody else's, or that of an object of
// the same name that is gone. The last one is deleted: garbage collection can
// take minutes.
func (o Ordering) taken(ctx context.Context, order *acmev1.Order) error {
	live := &acmev1.Order{}
	if err := o.Server.Live(ctx, client.ObjectKeyFromObject(order), live); err != nil {
		return err
	}
	if metav1.IsControlledBy(live, o.Owner) && live.DeletionTimestamp == nil {
		return cluster.ErrStale
	}
	former := metav1.GetControllerOf(live)
	if former != nil && former.Kind == o.Subject.Kind && former.Name == o.Owner.GetName() && live.DeletionTimestamp == nil {
		return o.Delete(ctx, live)
	}
	return fault.New(fault.Transient, cmv1.EventReasonOrderPending, "one of this name exists, and this %s does not control it; delete it", o.Subject.Kind)
}

// Delete deletes an Order.
func (o Ordering) Delete(ctx context.Context, order *acmev1.Order) error {
	return o.Server.Delete(ctx, o.Subject, acmev1.OrderKind, order)
}

// DeleteKnown is Delete for an Order that is known as facts.
func (o Ordering) DeleteKnown(ctx context.Context, order *facts.Order) error {
	return o.Delete(ctx, &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: order.Namespace, Name: order.Name, UID: order.UID}})
}

// Certificate returns the certificate of an Order, from the controller that has
// stored it, or from the API server.
func (o Ordering) Certificate(ctx context.Context, order *facts.Order) (cluster.Answer, error) {
	answer, ok := o.Answers.Take(order.UID)
	if ok && sha256.Sum256(answer.Chain) == order.Answer.Digest {
		return answer, nil
	}
	live := &acmev1.Order{}
	if err := o.Server.Live(ctx, types.NamespacedName{Namespace: order.Namespace, Name: order.Name}, live); err != nil {
		return cluster.Answer{}, err
	}
	if live.UID != order.UID || sha256.Sum256(live.Status.Certificate) != order.Answer.Digest {
		return cluster.Answer{}, cluster.ErrStale
	}
	return cluster.Answer{Chain: live.Status.Certificate}, nil
}
