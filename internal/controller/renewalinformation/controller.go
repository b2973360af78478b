// Package renewalinformation asks ACME servers when to renew certificates (RFC 9773):
// it loads what decides, has package lifecycle/certificate decide, and asks. No worker
// of the Certificates waits for these answers.
package renewalinformation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/plan"
)

// Name is the controller's in metrics and logs.
const Name = "renewal-information"

// requestTimeout bounds a question: one request, and one for the directory.
const requestTimeout = time.Minute

// Accounts are the accounts of ACME issuers; issuer/acme.Accounts is one.
type Accounts interface {
	// Get returns an issuer's client and account, or false while the issuer is not set up.
	Get(issuer types.UID) (*acme.Client, *facts.Account, bool)
}

// Deps is what the controller needs.
type Deps struct {
	// Cache reads Certificates.
	Cache    client.Reader
	Secrets  *cluster.Secrets
	Requests *cluster.Requests
	Issuers  *cluster.Issuers
	Accounts Accounts
	Server   *cluster.Server
	Clock    clock.WithTicker
}

// Controller keeps status.acme of Certificates.
type Controller struct {
	Deps
	driver *controller.Driver[*cmv1.Certificate, cmv1.CertificateStatus]
	// memory has the last question about each certificate. It outlasts a status that
	// cannot be stored, and brakes.
	memory controller.Memory[core.Asked]
	// started is when the first Certificate was looked at.
	started func() time.Time
}

// New returns a Controller. All of d is needed; failed counts failures.
func New(d Deps, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, started: sync.OnceValue(d.Clock.Now)}
	c.driver = controller.NewDriver(c, controller.Settings[*cmv1.Certificate, cmv1.CertificateStatus]{
		Kind: cmv1.CertificateKind, Manager: core.ManagerReadiness,
		New:    func() *cmv1.Certificate { return &cmv1.Certificate{} },
		Status: func(o *cmv1.Certificate) *cmv1.CertificateStatus { return &o.Status },
		API:    d.Server, Clock: d.Clock, Failed: failed,
	})
	return c, nil
}

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{Name: Name, Kind: cmv1.CertificateKind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: 1}
}

// Get implements controller.Kind.
func (c *Controller) Get(ctx context.Context, key types.NamespacedName) (*cmv1.Certificate, bool, error) {
	object := &cmv1.Certificate{}
	if err := c.Cache.Get(ctx, key, object); err != nil {
		return nil, false, err
	}
	return object, object.DeletionTimestamp == nil, nil
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) { c.memory.Drop(key) }

// work is one reconcile of one Certificate.
type work struct {
	*Controller
	core.Polling
	key    types.NamespacedName
	client *acme.Client
	// server is the issuer's directory.
	server string
}

var _ controller.Remote[cmv1.CertificateStatus] = (*work)(nil)

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *cmv1.Certificate) (controller.Work[*cmv1.Certificate, cmv1.CertificateStatus], error) {
	w := &work{
		Controller: c, key: client.ObjectKeyFromObject(object),
		Polling: core.Polling{State: core.State{Object: object, Started: c.started(), Advised: true}},
	}
	if !core.Settled(object) {
		return w, nil
	}
	issuer, err := c.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil {
		return nil, err
	}
	w.Advising = facts.OwnIssuer(object.Spec.IssuerRef) && (issuer == nil || issuer.GetSpec().ACME != nil)
	if issuer == nil || !core.TakesAdvice(issuer.GetSpec()) {
		return w, nil
	}
	w.Takes, w.server = true, issuer.GetSpec().ACME.Server
	if cluster.IssuerReady(issuer) {
		w.client, _, w.Ready = c.Accounts.Get(issuer.GetUID())
	}
	// One that has lost its label gets it back from the Certificates' controller.
	w.State.Secret = c.Secrets.Kept(object.Namespace, object.Spec.SecretName)
	w.State.Requests = c.Requests.ControlledBy(object)
	w.Asked = c.memory.Find(w.key, object.UID)
	return w, nil
}

// Object implements controller.Work.
func (w *work) Object() *cmv1.Certificate { return w.State.Object }

// Replace implements controller.Work. What is stored says what was answered.
func (w *work) Replace(object *cmv1.Certificate) {
	w.State.Object = object
	if w.Asked != nil {
		*w.Asked = core.Asked{CertID: w.Asked.CertID, At: w.Asked.At, None: w.Asked.None, Told: true}
	}
}

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	ask, ok := action.(core.AskCA)
	if !ok {
		return fmt.Errorf("renewal information has no action %T", action)
	}
	info, err := w.client.RenewalInfo(ctx, ask.CertID)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	asked := core.Asked{CertID: ask.CertID, At: w.Clock.Now(), Info: info}
	switch {
	case errors.Is(err, acme.ErrNoRenewalInfo):
		asked.None = true
	case err != nil:
		asked.Err = acme.Classify(err, asked.At)
	}
	w.Asked = w.memory.Of(w.key, w.State.Object.UID, nil)
	*w.Asked = asked
	return asked.Err
}

// Endpoint implements controller.Remote.
func (w *work) Endpoint(plan.Action) (server string, longest time.Duration) {
	return controller.ACMEServer(w.server), requestTimeout
}

// Waiting implements controller.Remote. Nobody waits for the advice, so the status says
// nothing.
func (*work) Waiting(status cmv1.CertificateStatus, _ string, _ time.Time) cmv1.CertificateStatus {
	return status
}
