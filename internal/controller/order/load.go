package order

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

// work is one reconcile of one Order.
type work struct {
	core.State
	c       *Controller
	subject plan.Ref
	memory  *memory
	// issuer and client are nil if there is none, or none that is ready.
	issuer cmv1.GenericIssuer
	client *acme.Client
}

// Object implements controller.Work.
func (w *work) Object() *acmev1.Order { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object *acmev1.Order) {
	before := w.State.Object
	w.State.Object = object
	if core.Ended(object) && !core.Ended(before) {
		w.c.wakeClass(w.memory)
	}
}

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *acmev1.Order) (controller.Work[*acmev1.Order, acmev1.OrderStatus], error) {
	key := client.ObjectKeyFromObject(object)
	m := c.memories.Of(key, object.UID, c.leave)
	m.class, m.uid = core.Class(object), object.UID
	if m.Loaded.IsZero() {
		m.Loaded = c.deps.Clock.Now()
	}
	w := &work{
		c: c, memory: m, subject: plan.Ref{Kind: acmev1.OrderKind, NamespacedName: key},
		State: core.State{Object: object, Memory: &m.Memory, Limits: c.deps.Limits, Copied: c.deps.Copied},
	}
	var err error
	if w.Challenges, err = c.challengesOf(ctx, object.Namespace, object.UID); err != nil {
		return nil, err
	}
	m.withVerified(w.Challenges)
	if core.Ended(object) {
		return w, nil
	}
	if w.Request, err = c.request(ctx, object); err != nil {
		return nil, err
	}
	if w.Certificate, err = c.certificate(ctx, w.Request); err != nil {
		return nil, err
	}
	if w.issuer, err = c.deps.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef); err != nil {
		return nil, err
	}
	w.loadAccount()
	if object.Status.URL == "" {
		w.BlockedBy, w.BlockedUntil, err = c.blockedBy(ctx, object, m.class)
	}
	return w, err
}

// loadAccount looks up the issuer's account, if the issuer is ready.
func (w *work) loadAccount() {
	w.client, w.Account, w.NotReady = nil, nil, ""
	ref := w.State.Object.Spec.IssuerRef.WithDefaults()
	switch {
	case w.issuer == nil:
		w.NotReady = fmt.Sprintf("%s %q does not exist", ref.Kind, ref.Name)
		return
	case w.issuer.GetSpec().ACME == nil:
		w.NotReady = fmt.Sprintf("%s %q is not an ACME issuer", ref.Kind, ref.Name)
		return
	case !cluster.IssuerReady(w.issuer):
		w.NotReady = fmt.Sprintf("%s %q is not ready", ref.Kind, ref.Name)
		if message := cluster.IssuerMessage(w.issuer); message != "" {
			w.NotReady += ": " + message
		}
		return
	}
	if found, account, ok := w.c.deps.Accounts.Get(w.issuer.GetUID()); ok {
		w.client, w.Account = found, account
	}
}

// request returns the request that controls the Order, nil if there is none. If the cache has none that calls for the Order it is read live: the
// cache may be older than the Order, and what ends an Order must be sure.
func (c *Controller) request(ctx context.Context, object *acmev1.Order) (*cmv1.CertificateRequest, error) {
	request, err := controller.CachedAskers(c.deps.Requests, c.deps.Signing).Of(ctx, object)
	if err != nil || core.Provenance(object, request, c.deps.Limits) == "" {
		return request, err
	}
	return controller.LiveAskers(c.deps.Server, c.deps.Signing).Of(ctx, object)
}

// certificate returns the Certificate that controls a CertificateRequest, nil if none does.
func (c *Controller) certificate(ctx context.Context, request *cmv1.CertificateRequest) (*cmv1.Certificate, error) {
	if request == nil {
		return nil, nil
	}
	return controller.Controlling(ctx, request, cmv1.CertificateKind, func(ctx context.Context, key types.NamespacedName) (*cmv1.Certificate, error) {
		found := &cmv1.Certificate{}
		return found, c.deps.Cache.Get(ctx, key, found)
	})
}

// blockedBy names another Order that the server may answer with the same order,
// and that comes first, and says until when. One that no approved request calls
// for never gets to the server.
func (c *Controller) blockedBy(ctx context.Context, object *acmev1.Order, class string) (string, time.Time, error) {
	claimant := c.claims.holder(class)
	if claimant == object.UID {
		return "", time.Time{}, nil
	}
	now := c.deps.Clock.Now()
	for _, other := range c.deps.Orders.OpenOfClass(class) {
		until := core.BlocksUntil(other)
		if !until.IsZero() && !until.After(now) {
			continue
		}
		if !core.Precedes(other, object) && (other.UID != claimant || core.Done(other)) {
			continue
		}
		request, err := c.cachedRequest(ctx, other)
		if err != nil {
			return "", time.Time{}, err
		}
		if core.Provenance(other, request, c.deps.Limits) == "" {
			return client.ObjectKeyFromObject(other).String(), until, nil
		}
	}
	return "", time.Time{}, nil
}

// cachedRequest returns the request that controls an Order, nil if
// the cache has none. One that has ended is cached as facts, and read live
// unless the facts are those of another request of the same name.
func (c *Controller) cachedRequest(ctx context.Context, object *acmev1.Order) (*cmv1.CertificateRequest, error) {
	askers := controller.CachedAskers(c.deps.Requests, c.deps.Signing)
	askers.Requests = func(ctx context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, error) {
		request, open, err := c.deps.Requests.Get(key)
		if err != nil || open {
			return request, err
		}
		if known := c.deps.Requests.Facts(key); known == nil || known.UID != metav1.GetControllerOf(object).UID {
			return nil, nil
		}
		return controller.Live[cmv1.CertificateRequest](c.deps.Server)(ctx, key)
	}
	return askers.Of(ctx, object)
}
