// Package issuer reconciles Issuers and ClusterIssuers: it has their type check
// them, has package lifecycle/issuer decide, and announces ACME accounts that
// have become ready.
package issuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/issuer"
	"github.com/everleaf/everleaf/internal/plan"
)

// checkTimeout bounds a check: it may ask a foreign server several times.
const checkTimeout = 2 * time.Minute

// Deps is what the controller of one kind needs.
type Deps struct {
	// Kind is IssuerKind or ClusterIssuerKind.
	Kind string
	// Cache reads issuers.
	Cache   client.Reader
	Issuers *cluster.Issuers
	Types   *issuer.Registry
	Server  *cluster.Server
	// AccountReady passes on the issuers whose ACME account has come into use.
	AccountReady *controller.Topic[cmv1.GenericIssuer]
	// News brings issuers to check again.
	News  *controller.Topic[controller.IssuerNews]
	Clock clock.WithTicker
}

// Controller keeps the Ready condition of issuers of one kind.
type Controller struct {
	Deps
	driver *controller.Driver[cmv1.GenericIssuer, cmv1.IssuerStatus]
	// checked are the issuers that the types may remember.
	checked controller.Memory[checked]
}

// checked is what this process knows of an issuer and does not store.
type checked struct {
	uid types.UID
	// announced is set once an event has said that this version does not have issuers
	// of its type.
	announced bool
	// failing is set while the log says last that the issuer is not ready.
	failing bool
}

// New returns a Controller. All of d is needed; failed counts failures.
func New(d Deps, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d}
	c.driver = controller.NewDriver(c, controller.Settings[cmv1.GenericIssuer, cmv1.IssuerStatus]{
		Kind: d.Kind, Manager: core.ManagerOf(d.Kind == cmv1.ClusterIssuerKind), New: c.empty,
		Status: func(i cmv1.GenericIssuer) *cmv1.IssuerStatus { return i.GetStatus() },
		API:    d.Server, Clock: d.Clock, Failed: failed,
	})
	d.News.Subscribe(c.hear)
	return c, nil
}

func (c *Controller) empty() cmv1.GenericIssuer {
	if c.Kind == cmv1.ClusterIssuerKind {
		return &cmv1.ClusterIssuer{}
	}
	return &cmv1.Issuer{}
}

// Get implements controller.Kind.
func (c *Controller) Get(ctx context.Context, key types.NamespacedName) (cmv1.GenericIssuer, bool, error) {
	object := c.empty()
	if err := c.Cache.Get(ctx, key, object); err != nil {
		return nil, false, err
	}
	return object, object.GetDeletionTimestamp() == nil, nil
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) { c.forget(c.checked.Drop(key)) }

// forget has the types forget an issuer that is gone.
func (c *Controller) forget(known *checked) {
	if known != nil {
		c.Types.Forget(known.uid)
	}
}

// work is one reconcile of one issuer.
type work struct {
	*Controller
	core.State
}

// Load implements controller.Kind.
func (c *Controller) Load(_ context.Context, object cmv1.GenericIssuer) (controller.Work[cmv1.GenericIssuer, cmv1.IssuerStatus], error) {
	_, served := c.Types.Of(object.GetSpec())
	known := c.checked.Find(client.ObjectKeyFromObject(object), object.GetUID())
	return &work{Controller: c, State: core.State{
		Object: object, Account: object.GetStatus().ACME,
		Unserved:  !served && facts.TypeOf(object.GetSpec()) != facts.IssuerUnset,
		Announced: known != nil && known.announced,
	}}, nil
}

// Object implements controller.Work.
func (w *work) Object() cmv1.GenericIssuer { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object cmv1.GenericIssuer) { w.State.Object = object }

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	switch action.(type) {
	case core.CheckIssuer:
		return w.check(ctx)
	default:
		return fmt.Errorf("an issuer has no action %T", action)
	}
}

// check asks the issuer's type.
func (w *work) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	object := w.State.Object
	known := w.checked.Of(client.ObjectKeyFromObject(object), object.GetUID(), w.forget)
	known.uid = object.GetUID()
	var account acmev1.ACMEIssuerStatus
	if a := object.GetStatus().ACME; a != nil {
		account = *a
	}
	found, err := w.Types.Check(ctx, issuer.Issuer{
		UID: object.GetUID(), Name: client.ObjectKeyFromObject(object), Namespace: w.Issuers.SecretNamespace(object), Spec: object.GetSpec(),
		Account: account, Ready: cluster.IssuerReady(object), Now: w.Clock.Now(),
	})
	if w.Unserved && !known.announced {
		logr.FromContextOrDiscard(ctx).Info("The issuer and the requests for it are left alone: this version does not have its type", "type", string(facts.TypeOf(object.GetSpec())))
	}
	known.announced = w.Unserved
	w.log(ctx, known, err)
	w.Account = found.Account
	if found.AccountReady {
		w.AccountReady.Publish(ctx, object)
	}
	if err != nil {
		return err
	}
	w.Checked = &core.Checked{Reason: found.Reason, Message: found.Message, Event: found.Event, Until: found.Until}
	return nil
}

// log says once that an issuer is not ready, and once that it is ready again.
func (w *work) log(ctx context.Context, known *checked, err error) {
	log := logr.FromContextOrDiscard(ctx)
	switch {
	case err == nil:
		if known.failing {
			log.Info("The issuer is ready again")
		}
		known.failing = false
	case w.Unserved, known.failing, cluster.Stale(err), errors.Is(ctx.Err(), context.Canceled):
	default:
		reason, message := core.Cause(err)
		log.Info("The issuer is not ready", "reason", reason, "message", message)
		known.failing = true
	}
}
