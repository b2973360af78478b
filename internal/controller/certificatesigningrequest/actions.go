package certificatesigningrequest

import (
	"context"
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	core "github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/plan"
)

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case core.Sign:
		return w.sign(ctx)
	case core.KeepState:
		return w.keepState(ctx, a.Annotations)
	case core.Announce:
		w.remember().announced = a.Wait
		w.recall()
		return nil
	case core.CreateOrder:
		return w.createOrder(ctx, a.Order)
	case core.ReplaceOrder:
		return w.replaceOrder(ctx, a)
	case core.TakeCertificate:
		return w.takeCertificate(ctx, a.Order)
	default:
		return fmt.Errorf("a %s has no action %T", core.Kind, action)
	}
}

// sign asks the issuer, and remembers its answer: a status that cannot be stored
// costs no second certificate.
func (w *work) sign(ctx context.Context) error {
	now := w.Clock.Now()
	asked, err := w.request(now)
	if err != nil {
		return err
	}
	outcome, err := w.Signers.Sign(ctx, w.issuer, asked)
	w.remember().answered = controller.AnsweredBy(w.issuer, outcome, err, now)
	w.recall()
	return err
}

// request is what the issuer is asked.
func (w *work) request(now time.Time) (issuer.Request, error) {
	object := w.State.Object
	duration, err := core.Duration(object)
	if err != nil {
		return issuer.Request{}, err
	}
	return controller.Asking(issuer.Request{
		CSR: object.Spec.Request, Usages: facts.Words(core.Usages(object)), IsCA: core.IsCA(object), Duration: duration,
		Key: core.KeySecret(object, w.Namespace), KeyAnnotation: cmv1.CertificateSigningRequestPrivateKeyAnnotationKey,
		Namespace: w.Namespace, Now: now,
	}, object, core.Kind, w.issuer), nil
}

// keepState stores what the issuer must know when it is asked again.
func (w *work) keepState(ctx context.Context, annotations map[string]string) error {
	changed := w.State.Object.DeepCopy()
	if err := w.Server.UpdateAnnotations(ctx, w.subject, changed, annotations, core.ManagerOf(w.State.Issuer)); err != nil {
		return err
	}
	w.Replace(changed)
	return nil
}

func (w *work) replaceOrder(ctx context.Context, a core.ReplaceOrder) error {
	// Creating the other one may fail, and the annotation goes with this one.
	w.Replaced = a.Gone.Replaces + 1
	w.remember().replaced = w.Replaced
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

func (w *work) takeCertificate(ctx context.Context, order *facts.Order) error {
	answer, err := w.ordering().Certificate(ctx, order)
	if err != nil {
		return err
	}
	w.Outcome = &request.Outcome{Chain: answer.Chain}
	return nil
}

// ordering makes the Orders of the request.
func (w *work) ordering() controller.Ordering {
	return controller.Ordering{
		Server: w.Server, Answers: w.Answers, Owner: w.State.Object, Subject: w.subject, Manager: core.ManagerOf(w.State.Issuer),
	}
}
