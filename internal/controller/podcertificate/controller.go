// Package podcertificate reconciles PodCertificateRequests of Kubernetes: it loads what
// decides, has package lifecycle/podcertificate decide, and carries the actions out.
package podcertificate

import (
	"context"
	"fmt"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/podcertificate"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Name is the controller's in metrics and logs, and for --controllers.
const Name = "podcertificaterequests"

type status = certificatesv1beta1.PodCertificateRequestStatus

// Config is how PodCertificateRequests are treated.
type Config struct {
	// TrustDomain is that of the SPIFFE IDs in the certificates.
	TrustDomain string
	Limits      pki.Limits
}

// Deps is what the controller needs.
type Deps struct {
	Requests *cluster.PodCertificates
	Issuers  *cluster.Issuers
	Signers  *controller.Signers
	Server   *cluster.Server
	Clock    clock.WithTicker
}

// Controller answers PodCertificateRequests.
type Controller struct {
	Deps
	config Config
	driver *controller.Driver[*core.Object, status]
	memory controller.Memory[memory]
}

// memory is what this process knows of a request and does not store.
type memory struct {
	answered controller.Answered
	// announced is core.State.Announced.
	announced signingrequest.Wait
}

// New returns a Controller. All of d is needed; failed counts failures.
func New(d Deps, config Config, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, config: config}
	c.driver = controller.NewDriver(c, controller.Settings[*core.Object, status]{
		Kind: core.Kind, Manager: core.Manager,
		New:    func() *core.Object { return &core.Object{} },
		Status: func(o *core.Object) *status { return &o.Status },
		API:    cluster.PodCertificateServer{Server: d.Server, Requests: d.Requests}, Clock: d.Clock, Failed: failed, EndWithObject: true,
	})
	return c, nil
}

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: Name, Kind: core.Kind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: 1,
		Indexes: []controller.Index{
			{Kind: cmv1.ClusterIssuerKind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Signers.Types.Secrets)},
		},
		Watches: []controller.Watch{
			{Kind: plan.KindSecret, Keys: c.driver.Retrying(controller.WaitingForUsers(c.Issuers, c.Requests.OpenOf, cmv1.ClusterIssuerKind))},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.driver.Retrying(controller.Waiting(c.Requests.OpenOf))},
		},
	}
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
	key types.NamespacedName
	// issuer is nil if the one that the request is for does not exist.
	issuer cmv1.GenericIssuer
}

// Object implements controller.Work.
func (w *work) Object() *core.Object { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object *core.Object) { w.State.Object = object }

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *core.Object) (controller.Work[*core.Object, status], error) {
	signer, _ := signingrequest.SignerOf(object.Spec.SignerName)
	w := &work{
		Controller: c, key: client.ObjectKeyFromObject(object),
		State: core.State{Object: object, Signer: signer, Limits: c.config.Limits},
	}
	if signer.Kind == cmv1.ClusterIssuerKind {
		var err error
		if w.issuer, err = c.Issuers.Get(ctx, "", signer.Ref()); err != nil {
			return nil, err
		}
	}
	if w.issuer != nil {
		w.Issuer = controller.IssuerFacts(w.issuer, c.Signers.Types, nil)
		w.SignsBare = c.Signers.Types.SignsBare(w.issuer.GetSpec())
	}
	w.recall()
	return w, nil
}

// recall brings the state's view of the memory up to date.
func (w *work) recall() {
	m := w.memory.Find(w.key, w.State.Object.UID)
	if m == nil {
		return
	}
	w.Announced = m.announced
	if outcome, notBefore, ok := m.answered.Of(w.issuer); ok {
		w.Outcome, w.SignNotBefore = outcome, notBefore
	}
}

// remember is the memory of the request.
func (w *work) remember() *memory { return w.memory.Of(w.key, w.State.Object.UID, nil) }

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case core.Sign:
		return w.sign(ctx)
	case core.Announce:
		w.remember().announced = a.Wait
		w.recall()
		return nil
	default:
		return fmt.Errorf("a %s has no action %T", core.Kind, action)
	}
}

// sign asks the issuer, and remembers its answer: a status that cannot be stored
// costs no second certificate.
func (w *work) sign(ctx context.Context) error {
	object := w.State.Object
	key, err := core.PublicKey(object)
	if err != nil {
		return err
	}
	wanted := core.Wanted(object, w.config.TrustDomain, key)
	now := w.Clock.Now()
	outcome, err := w.Signers.Sign(ctx, w.issuer, controller.Asking(issuer.Request{
		CSR: core.SigningRequest(object), Bare: &issuer.Bare{Wanted: wanted, Key: key}, Usages: wanted.Usages, Duration: core.Duration(object),
		Namespace: w.Issuers.SecretNamespace(w.issuer), Now: now,
	}, object, core.Kind, w.issuer))
	w.remember().answered = controller.AnsweredBy(w.issuer, outcome, err, now)
	w.recall()
	return err
}
