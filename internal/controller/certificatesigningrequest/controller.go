// Package certificatesigningrequest reconciles CertificateSigningRequests of Kubernetes:
// it loads what decides, has package lifecycle/signingrequest decide, and carries the
// actions out.
package certificatesigningrequest

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

type status = certificatesv1.CertificateSigningRequestStatus

// Config is how CertificateSigningRequests are treated.
type Config struct {
	// Leave are the types of issuers whose requests are left to others.
	Leave []facts.IssuerType
	// Copied reports whether annotations of a key are copied to Orders.
	Copied func(key string) bool
	Limits pki.Limits
}

// Deps is what the controller needs.
type Deps struct {
	Requests *cluster.SigningRequests
	Orders   *cluster.Orders
	Answers  *cluster.Answers
	Issuers  *cluster.Issuers
	Signers  *controller.Signers
	Server   *cluster.Server
	Clock    clock.WithTicker
}

// Controller answers CertificateSigningRequests.
type Controller struct {
	Deps
	config Config
	driver *controller.Driver[*core.Object, status]
	memory controller.Memory[memory]
}

// memory is what this process knows of a request and does not store.
type memory struct {
	answered controller.Answered
	// replaced is core.State.Replaced, announced core.State.Announced.
	replaced  int
	announced core.Wait
}

// New returns a Controller. All of d is needed; failed counts failures.
func New(d Deps, config Config, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, config: config}
	c.driver = controller.NewDriver(c, controller.Settings[*core.Object, status]{
		Kind: core.Kind, Manager: core.ManagerOf(nil),
		New:    func() *core.Object { return &core.Object{} },
		Status: func(o *core.Object) *status { return &o.Status },
		API:    d.Server, Clock: d.Clock, Failed: failed, EndWithObject: true,
	})
	return c, nil
}

// Get implements controller.Kind.
func (c *Controller) Get(_ context.Context, key types.NamespacedName) (*core.Object, bool, error) {
	return c.Requests.Get(key)
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) { c.memory.Drop(key) }

// work is one reconcile of one request.
type work struct {
	*Controller
	core.State
	subject plan.Ref
	// issuer is nil if the one that the request is for does not exist.
	issuer cmv1.GenericIssuer
}

// Object implements controller.Work.
func (w *work) Object() *core.Object { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object *core.Object) { w.State.Object = object }

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *core.Object) (controller.Work[*core.Object, status], error) {
	signer, _ := core.SignerOf(object.Spec.SignerName)
	w := &work{
		Controller: c, subject: plan.Ref{Kind: core.Kind, NamespacedName: client.ObjectKeyFromObject(object)},
		State: core.State{
			Object: object, Signer: signer, Namespace: c.Requests.SecretNamespace(signer), Copied: c.config.Copied, Limits: c.config.Limits,
		},
	}
	var err error
	if w.issuer, err = c.Issuers.Get(ctx, signer.Namespace, signer.Ref()); err != nil {
		return nil, err
	}
	if w.issuer != nil {
		w.Issuer = controller.IssuerFacts(w.issuer, c.Signers.Types, c.config.Leave)
		if core.Approved(object) {
			if w.MayReference, err = c.Requests.MayReference(ctx, object, signer); err != nil {
				return nil, err
			}
		}
		if w.issuer.GetSpec().ACME != nil {
			w.State.Orders = c.Orders.ControlledBy(&metav1.ObjectMeta{Namespace: w.Namespace, UID: object.UID})
		}
	}
	w.recall()
	return w, nil
}

// recall brings the state's view of the memory up to date.
func (w *work) recall() {
	m := w.memory.Find(w.subject.NamespacedName, w.State.Object.UID)
	if m == nil {
		return
	}
	w.Replaced, w.Announced = m.replaced, m.announced
	if outcome, notBefore, ok := m.answered.Of(w.issuer); ok {
		w.Outcome, w.SignNotBefore = outcome, notBefore
	}
}

// remember is the memory of the request.
func (w *work) remember() *memory {
	return w.memory.Of(w.subject.NamespacedName, w.State.Object.UID, nil)
}
