// Package certificaterequest reconciles CertificateRequests: it loads what
// decides, has package lifecycle/request decide, and carries the actions out.
package certificaterequest

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Config is how CertificateRequests are treated.
type Config struct {
	// LeaveApproval leaves the approval to others altogether.
	LeaveApproval bool
	// Leave are the types of issuers whose requests are left to others.
	Leave []facts.IssuerType
	// RenewalInformation has CAs learn which certificate a new one replaces (RFC 9773).
	RenewalInformation bool
	Limits             pki.Limits
}

// Approval answers whether this process may approve requests in a namespace for
// an issuer.
type Approval interface {
	May(ctx context.Context, namespace string, issuer cmmeta.IssuerReference) (bool, error)
}

// Secrets are the facts of Secrets, nil of one that does not exist.
type Secrets interface {
	Facts(ctx context.Context, namespace, name string) (*facts.Secret, error)
}

// Deps is what the controller needs.
type Deps struct {
	// Cache reads Certificates.
	Cache    client.Reader
	Secrets  Secrets
	Requests *cluster.Requests
	Orders   *cluster.Orders
	Answers  *cluster.Answers
	Issuers  *cluster.Issuers
	Approval Approval
	Signers  *controller.Signers
	Server   *cluster.Server
	Clock    clock.WithTicker
}

// Controller answers CertificateRequests.
type Controller struct {
	Deps
	config Config
	driver *controller.Driver[*cmv1.CertificateRequest, cmv1.CertificateRequestStatus]
	memory controller.Memory[memory]
}

// memory is what this process knows of a request and does not store.
type memory struct {
	answered controller.Answered
	// replaced is core.State.Replaced.
	replaced int
	// announced is set once an event has said what no condition says.
	announced bool
}

// New returns a Controller. All of d is needed; failed counts failures.
func New(d Deps, config Config, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, config: config}
	c.driver = controller.NewDriver(c, controller.Settings[*cmv1.CertificateRequest, cmv1.CertificateRequestStatus]{
		Kind: cmv1.CertificateRequestKind, Manager: core.Manager,
		New:    func() *cmv1.CertificateRequest { return &cmv1.CertificateRequest{} },
		Status: func(o *cmv1.CertificateRequest) *cmv1.CertificateRequestStatus { return &o.Status },
		API:    d.Server, Clock: d.Clock, Failed: failed, EndWithObject: true,
	})
	return c, nil
}

// Get implements controller.Kind.
func (c *Controller) Get(_ context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, bool, error) {
	return c.Requests.Get(key)
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) { c.memory.Drop(key) }

// work is one reconcile of one request.
type work struct {
	*Controller
	core.State
	subject plan.Ref
	// issuer is nil if the one that the request names does not exist.
	issuer cmv1.GenericIssuer
}

// Object implements controller.Work.
func (w *work) Object() *cmv1.CertificateRequest { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object *cmv1.CertificateRequest) { w.State.Object = object }

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *cmv1.CertificateRequest) (controller.Work[*cmv1.CertificateRequest, cmv1.CertificateRequestStatus], error) {
	key := client.ObjectKeyFromObject(object)
	w := &work{
		Controller: c,
		State:      core.State{Object: object, Limits: c.config.Limits},
		subject:    plan.Ref{Kind: cmv1.CertificateRequestKind, NamespacedName: key},
	}
	if f := c.Requests.Facts(key); f != nil && f.UID == object.UID {
		w.Key = f.CSR.KeyDigest
	}
	var err error
	if w.issuer, err = c.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef); err != nil {
		return nil, err
	}
	if w.issuer != nil {
		w.Issuer = controller.IssuerFacts(w.issuer, c.Signers.Types, c.config.Leave)
		if w.issuer.GetSpec().ACME != nil {
			w.State.Orders = c.Orders.ControlledBy(object)
			if w.Replaces, err = c.replaced(ctx, object, w.issuer); err != nil {
				return nil, err
			}
		}
	} else if w.OtherKind, err = c.otherKind(ctx, object); err != nil {
		return nil, err
	}
	if !c.config.LeaveApproval && !core.Decided(object) {
		if w.MayApprove, err = c.Approval.May(ctx, object.Namespace, object.Spec.IssuerRef); err != nil {
			return nil, err
		}
		w.NoPermission = !w.MayApprove
	}
	w.recall()
	return w, nil
}

// replaced identifies the certificate that the one of a request replaces, empty if there
// is none that the same issuer has issued, or no advice is taken from the issuer's CA.
func (c *Controller) replaced(ctx context.Context, object *cmv1.CertificateRequest, issuer cmv1.GenericIssuer) (string, error) {
	if !c.config.RenewalInformation || !certificate.TakesAdvice(issuer.GetSpec()) {
		return "", nil
	}
	crt, err := controller.Controlling(ctx, object, cmv1.CertificateKind, func(ctx context.Context, key types.NamespacedName) (*cmv1.Certificate, error) {
		found := &cmv1.Certificate{}
		return found, c.Cache.Get(ctx, key, found)
	})
	if err != nil || crt == nil || crt.Spec.SecretName == "" {
		return "", err
	}
	secret, err := c.Secrets.Facts(ctx, object.Namespace, crt.Spec.SecretName)
	if err != nil || secret == nil || secret.Leaf == nil || secret.Leaf.Temporary || !secret.IssuedBy(object.Spec.IssuerRef) {
		return "", err
	}
	return secret.Leaf.CertID, nil
}

// otherKind is the kind of an issuer that has the name that a request refers to,
// but not the kind, empty without one.
func (c *Controller) otherKind(ctx context.Context, object *cmv1.CertificateRequest) (string, error) {
	ref := object.Spec.IssuerRef.WithDefaults()
	if !facts.OwnIssuer(ref) {
		return "", nil
	}
	if ref.Kind == cmv1.IssuerKind {
		ref.Kind = cmv1.ClusterIssuerKind
	} else {
		ref.Kind = cmv1.IssuerKind
	}
	other, err := c.Issuers.Get(ctx, object.Namespace, ref)
	if other == nil || err != nil {
		return "", err
	}
	return ref.Kind, nil
}

// recall brings the state's view of the memory up to date.
func (w *work) recall() {
	m := w.memory.Find(w.subject.NamespacedName, w.State.Object.UID)
	w.Unannounced = m == nil || !m.announced
	if m == nil {
		return
	}
	w.Replaced = m.replaced
	if outcome, notBefore, ok := m.answered.Of(w.issuer); ok {
		w.Outcome, w.SignNotBefore = outcome, notBefore
	}
}
