package certificaterequest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case core.Sign:
		return w.sign(ctx)
	case core.KeepState:
		return w.keepState(ctx, a.Annotations)
	case core.AnnounceWait:
		w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil).announced = true
		w.recall()
		return nil
	case core.CreateOrder:
		return w.createOrder(ctx, a.Order)
	case core.ReplaceOrder:
		return w.replaceOrder(ctx, a)
	case core.TakeCertificate:
		return w.takeCertificate(ctx, a.Order)
	default:
		return fmt.Errorf("a CertificateRequest has no action %T", action)
	}
}

// sign asks the issuer, and remembers its answer: a status that cannot be stored
// costs no second certificate.
func (w *work) sign(ctx context.Context) error {
	now := w.Clock.Now()
	outcome, err := w.Types.Sign(ctx, w.request(now))
	m := w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil)
	*m = memory{issuer: w.issuer.GetUID(), generation: w.issuer.GetGeneration()}
	if err == nil {
		m.outcome = &outcome
		w.handOn(outcome)
		if pending := outcome.Pending; pending != nil && pending.Until.Before(now.Add(core.PendingFloor)) {
			m.outcome.Pending = &core.Pending{
				Until: now.Add(core.PendingFloor), Annotations: pending.Annotations, Message: pending.Message,
			}
		}
	} else if f := fault.Of(err); f.Class == fault.Later {
		m.notBefore = f.At
	}
	w.recall()
	return err
}

// request is what the issuer is asked. The private key of a self-signed certificate
// is looked for in the namespace of the request, whatever the kind of the issuer.
func (w *work) request(now time.Time) issuer.Request {
	object := w.State.Object
	const annotation = cmv1.CertificateRequestPrivateKeyAnnotationKey
	r := issuer.Request{
		CSR: object.Spec.Request, Usages: facts.Words(object.Spec.Usages), IsCA: object.Spec.IsCA,
		Key:           types.NamespacedName{Namespace: object.Namespace, Name: object.Annotations[annotation]},
		KeyAnnotation: annotation, Annotations: object.Annotations,
		Issuer: w.issuer.GetSpec(), Namespace: w.Issuers.SecretNamespace(w.issuer), Now: now,
	}
	if object.Spec.Duration != nil {
		r.Duration = object.Spec.Duration.Duration
	}
	return r
}

// keepState stores what the issuer must know when it is asked again.
func (w *work) keepState(ctx context.Context, annotations map[string]string) error {
	changed := w.State.Object.DeepCopy()
	manager := core.ManagerOf(w.State.Issuer)
	if err := w.Server.PatchAnnotations(ctx, w.subject, changed, annotations, manager); err != nil {
		return err
	}
	w.Replace(changed)
	return nil
}

func (w *work) replaceOrder(ctx context.Context, a core.ReplaceOrder) error {
	gone := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: a.Gone.Namespace, Name: a.Gone.Name, UID: a.Gone.UID}}
	// Creating the other one may fail, and the annotation goes with this one.
	w.Replaced = a.Gone.Replaces + 1
	w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil).replaced = w.Replaced
	if err := w.Server.Delete(ctx, w.subject, acmev1.OrderKind, gone); err != nil {
		return err
	}
	return w.createOrder(ctx, a.Order)
}

func (w *work) createOrder(ctx context.Context, order *acmev1.Order) error {
	wanted := order
	order = wanted.DeepCopy()
	err := w.Server.Create(ctx, w.subject, acmev1.OrderKind, order, core.ManagerOf(w.State.Issuer))
	if apierrors.IsAlreadyExists(err) {
		if err := w.taken(ctx, wanted); err != nil {
			return err
		}
		order = wanted.DeepCopy()
		err = w.Server.Create(ctx, w.subject, acmev1.OrderKind, order, core.ManagerOf(w.State.Issuer))
	}
	if err != nil {
		return err
	}
	w.State.Orders = []*facts.Order{facts.OfOrder(order, w.Limits)}
	return nil
}

// taken looks at an Order that has the name of the one to create: the request's
// own, which a cache does not show yet, somebody else's, or that of a request of
// the same name that is gone. The last one is deleted: garbage collection can
// take minutes.
func (w *work) taken(ctx context.Context, order *acmev1.Order) error {
	live := &acmev1.Order{}
	if err := w.Server.Live(ctx, client.ObjectKeyFromObject(order), live); err != nil {
		return err
	}
	if metav1.IsControlledBy(live, w.State.Object) && live.DeletionTimestamp == nil {
		return cluster.ErrStale
	}
	former := metav1.GetControllerOf(live)
	if former != nil && former.Kind == cmv1.CertificateRequestKind && former.Name == w.State.Object.Name && live.DeletionTimestamp == nil {
		return w.Server.Delete(ctx, w.subject, acmev1.OrderKind, live)
	}
	return fault.New(fault.Transient, cmv1.EventReasonOrderPending, "one of this name exists, and this CertificateRequest does not control it; delete it")
}

// takeCertificate takes the certificate of an Order from the controller that has
// stored it, or from the API server.
func (w *work) takeCertificate(ctx context.Context, order *facts.Order) error {
	answer, ok := w.Answers.Take(order.UID)
	if !ok || sha256.Sum256(answer.Chain) != order.Answer.Digest {
		live := &acmev1.Order{}
		if err := w.Server.Live(ctx, types.NamespacedName{Namespace: order.Namespace, Name: order.Name}, live); err != nil {
			return err
		}
		if live.UID != order.UID || sha256.Sum256(live.Status.Certificate) != order.Answer.Digest {
			return cluster.ErrStale
		}
		answer = cluster.Answer{Chain: live.Status.Certificate}
	}
	w.Outcome = &core.Outcome{Chain: answer.Chain, CA: answer.CA}
	w.handOn(*w.Outcome)
	return nil
}

// handOn offers a certificate to the Certificate that takes it, before it is
// stored: that Certificate may see the status before this controller has the
// API server's answer.
func (w *work) handOn(o core.Outcome) {
	if len(o.Chain) > 0 && len(cluster.ControllerOf(w.State.Object, cmv1.CertificateKind)) > 0 {
		w.Answers.Put(w.State.Object.UID, cluster.Answer{Chain: o.Chain, CA: o.CA})
	}
}
