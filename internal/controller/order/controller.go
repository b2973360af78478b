// Package order reconciles Orders: it loads what decides, has package
// lifecycle/order decide, and carries the actions out at the ACME server and at
// the API server.
package order

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
)

// Deps is what the controller needs.
type Deps struct {
	// Cache reads Challenges and Certificates.
	Cache    client.Reader
	Orders   *cluster.Orders
	Requests *cluster.Requests
	// Signing is nil if CertificateSigningRequests are left alone.
	Signing  *cluster.SigningRequests
	Issuers  *cluster.Issuers
	Accounts *issueracme.Accounts
	// Answers takes the certificates of Orders that have ended.
	Answers *cluster.Answers
	Server  *cluster.Server
	// AccountReady has the issuers whose account can be used from now on,
	// Suspected those whose account the server has refused.
	AccountReady *controller.Topic[cmv1.GenericIssuer]
	Suspected    *controller.Topic[controller.IssuerNews]
	// Verified has the Challenges that the ACME servers have validated.
	Verified *controller.Topic[controller.Verified]
	Clock    clock.WithTicker
	Limits   pki.Limits
	// Copied reports whether annotations of a key are copied from Certificates.
	Copied func(key string) bool
	// Failed counts failures.
	Failed func()
}

// Controller brings Orders to their end.
type Controller struct {
	deps     Deps
	driver   *controller.Driver[*acmev1.Order, acmev1.OrderStatus]
	memories controller.Memory[memory]
	claims   claims
}

// memory is what this process knows of an Order.
type memory struct {
	core.Memory
	// class is the Order's core.Class, uid its UID.
	class string
	uid   types.UID

	mu sync.Mutex
	// verified are the Challenges that are valid, whatever their status says.
	verified map[types.UID]bool
}

// New returns a Controller. All of d is needed, except Signing.
func New(d Deps) (*Controller, error) {
	if err := controller.Complete(d, "Signing"); err != nil {
		return nil, err
	}
	c := &Controller{deps: d}
	c.driver = controller.NewDriver(c, controller.Settings[*acmev1.Order, acmev1.OrderStatus]{
		Kind: acmev1.OrderKind, Manager: core.Manager,
		New:    func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *acmev1.OrderStatus { return &o.Status },
		API:    d.Server, Clock: d.Clock, Failed: d.Failed,
	})
	d.AccountReady.Subscribe(func(ctx context.Context, issuer cmv1.GenericIssuer) {
		c.driver.Requeue.Wake(c.ofIssuer(ctx, issuer)...)
	})
	d.Verified.Subscribe(func(_ context.Context, news controller.Verified) { c.verified(news) })
	return c, nil
}

// Get implements controller.Kind. An Order that has ended is kept as facts only;
// it is read live if it has left Challenges to delete.
func (c *Controller) Get(ctx context.Context, key types.NamespacedName) (*acmev1.Order, bool, error) {
	object, open, err := c.deps.Orders.Get(key)
	if err != nil {
		return nil, false, err
	}
	if open {
		return object, object.DeletionTimestamp == nil, nil
	}
	known := c.deps.Orders.Facts(key)
	if known == nil || known.Deleting {
		return nil, false, nil
	}
	left, err := c.challengesOf(ctx, key.Namespace, known.UID)
	if err != nil || len(core.Obsolete(known.State, left)) == 0 {
		return nil, false, err
	}
	object = &acmev1.Order{}
	if err := c.deps.Server.Live(ctx, key, object); err != nil {
		return nil, false, err
	}
	return object, object.UID == known.UID, nil
}

// verified notes that a Challenge is valid, and wakes its Order. If the Order is not
// known yet, the Challenge's status will say so.
func (c *Controller) verified(news controller.Verified) {
	if m := c.memories.Find(news.Order, ""); m != nil {
		m.verify(news.Challenge)
		c.driver.Requeue.Wake(news.Order)
	}
}

func (m *memory) verify(challenge types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.verified == nil {
		m.verified = map[types.UID]bool{}
	}
	m.verified[challenge] = true
}

// withVerified marks the Challenges that are valid although their status does not say so.
func (m *memory) withVerified(challenges []*acmev1.Challenge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, c := range challenges {
		if m.verified[c.UID] && !core.Final(c.Status.State) {
			challenges[i] = c.DeepCopy()
			challenges[i].Status.State = acmev1.Valid
		}
	}
}

// Forget implements controller.Kind. Orders of the same class may have waited
// for this one to end.
func (c *Controller) Forget(key types.NamespacedName) {
	if m := c.memories.Drop(key); m != nil {
		c.leave(m)
	}
}

// leave has an Order that is gone or finished stand in no other's way.
func (c *Controller) leave(m *memory) {
	c.unclaim(m)
	c.wakeClass(m)
}

// wakeClass has the Orders looked at that may have waited for one of their class.
func (c *Controller) wakeClass(m *memory) {
	for _, other := range c.deps.Orders.OpenOfClass(m.class) {
		if other.UID != m.uid && other.Status.URL == "" {
			c.driver.Requeue.Wake(client.ObjectKeyFromObject(other))
		}
	}
}

// unclaim gives up what an Order may have claimed.
func (c *Controller) unclaim(m *memory) { c.claims.release(m.class, m.uid) }

// challengesOf returns the Challenges in a namespace that a UID controls.
func (c *Controller) challengesOf(ctx context.Context, namespace string, uid types.UID) ([]*acmev1.Challenge, error) {
	list := &acmev1.ChallengeList{}
	err := c.deps.Cache.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{cluster.IndexController: string(uid)})
	if err != nil {
		return nil, err
	}
	challenges := make([]*acmev1.Challenge, len(list.Items))
	for i := range list.Items {
		challenges[i] = &list.Items[i]
	}
	return challenges, nil
}
