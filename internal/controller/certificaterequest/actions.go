package certificaterequest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
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
	outcome, err := w.Signers.Sign(ctx, w.issuer, w.request(now))
	m := w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil)
	*m = memory{answered: controller.AnsweredBy(w.issuer, outcome, err, now)}
	if err == nil {
		w.handOn(outcome)
	}
	w.recall()
	return err
}

// request is what the issuer is asked. The private key of a self-signed certificate
// is looked for in the namespace of the request, whatever the kind of the issuer.
func (w *work) request(now time.Time) issuer.Request {
	object := w.State.Object
	const annotation = cmv1.CertificateRequestPrivateKeyAnnotationKey
	r := controller.Asking(issuer.Request{
		CSR: object.Spec.Request, Usages: facts.Words(object.Spec.Usages), IsCA: object.Spec.IsCA,
		Key:           types.NamespacedName{Namespace: object.Namespace, Name: object.Annotations[annotation]},
		KeyAnnotation: annotation, Namespace: w.Issuers.SecretNamespace(w.issuer), Now: now,
	}, object, cmv1.CertificateRequestKind, w.issuer)
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
	// Creating the other one may fail, and the annotation goes with this one.
	w.Replaced = a.Gone.Replaces + 1
	w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil).replaced = w.Replaced
	if err := w.ordering().DeleteKnown(ctx, a.Gone); err != nil {
		return err
	}
	return w.createOrder(ctx, a.Order)
}

func (w *work) createOrder(ctx context.Context, wanted *acmev1.Order) error {
	order, err := w.ordering().Create(ctx, wanted)
	if err != nil {
		return err
	}
	w.State.Orders = []*facts.Order{facts.OfOrder(order, w.Limits)}
	return nil
}

// ordering makes the Orders of the request.
func (w *work) ordering() controller.Ordering {
	return controller.Ordering{
		Server: w.Server, Answers: w.Answers, Owner: w.State.Object, Subject: w.subject, Manager: core.ManagerOf(w.State.Issuer),
	}
}

// takeCertificate takes the certificate of an Order.
func (w *work) takeCertificate(ctx context.Context, order *facts.Order) error {
	answer, err := w.ordering().Certificate(ctx, order)
	if err != nil {
		return err
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
