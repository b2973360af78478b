// Package order reconciles Orders: it has the ACME server make the order,
// creates the Challenges that it needs, finalizes it and downloads the
// certificate.
package order

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	manager = "cert-manager-orders"
	// maxSteps bounds the steps of one reconcile. An order whose names are
	// valid already has five.
	maxSteps = 12
)

// Reconciler brings Orders to their end.
type Reconciler struct {
	Cache    client.Reader
	Live     client.Reader
	Issuers  *cluster.Issuers
	Accounts *issueracme.Accounts
	// WakeIssuer has an issuer set up again, at a time.
	WakeIssuer func(cmv1.GenericIssuer, time.Time)
	Write      *cluster.Writer
	Events     *cluster.Events
	Wait       *controller.Wait
	Clock      clock.PassiveClock
	Limits     pki.Limits

	mu       sync.Mutex
	sessions map[types.NamespacedName]*session
	// claims are the Orders whose orders are being made, by class, until the
	// cache shows the URL.
	claims map[string]types.UID
}

// session is what the server has told this process about an order.
type session struct {
	uid       types.UID
	class     string
	server    *acme.Order
	fetchedAt time.Time
	polls     int
	// retryAt is lifecycle.Order.RetryAt.
	retryAt time.Time
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	owner := cluster.Owner{Kind: cluster.Order, NamespacedName: req.NamespacedName}
	if r.Write.Behind(owner) != "" {
		return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
	}
	object := &acmev1.Order{}
	if err := r.Cache.Get(ctx, req.NamespacedName, object); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	w := &work{Reconciler: r, owner: owner, session: r.sessionOf(req.NamespacedName, object.UID)}
	err := w.load(ctx, object)
	var until time.Time
	if err == nil {
		until, err = w.run(ctx)
	}
	if err == nil && ended(w.state.Object) {
		r.drop(req.NamespacedName)
	}
	return r.Wait.Finish(ctx, req.NamespacedName, until, err)
}

func (r *Reconciler) sessionOf(key types.NamespacedName, uid types.UID) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = map[types.NamespacedName]*session{}
	}
	s := r.sessions[key]
	if s == nil || s.uid != uid {
		if s != nil {
			r.unclaim(s)
		}
		s = &session{uid: uid}
		r.sessions[key] = s
	}
	return s
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.drop(key)
	r.Wait.Forget(key)
}

func (r *Reconciler) drop(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[key]; s != nil {
		r.unclaim(s)
		delete(r.sessions, key)
	}
}

// ended reports whether nothing is asked of the server any more.
func ended(o *acmev1.Order) bool {
	return o.DeletionTimestamp != nil || core.Failed(o.Status.State) || len(o.Status.Certificate) > 0
}

// claim lets one Order of a class make its order at a time: a cache that does
// not show the other yet cannot tell who is first.
func (w *work) claim(o *acmev1.Order) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	class := core.Class(o)
	if holder := w.claims[class]; holder != "" && holder != o.UID {
		return false
	}
	if w.claims == nil {
		w.claims = map[string]types.UID{}
	}
	w.session.class = class
	w.claims[class] = o.UID
	return true
}

func (w *work) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unclaim(w.session)
}

// unclaim needs the lock.
func (r *Reconciler) unclaim(s *session) {
	if s.class != "" && r.claims[s.class] == s.uid {
		delete(r.claims, s.class)
	}
	s.class = ""
}

func (w *work) holder(class string) types.UID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.claims[class]
}

// work is one reconcile of one Order.
type work struct {
	*Reconciler
	owner   cluster.Owner
	session *session
	state   core.State
	issuer  cmv1.GenericIssuer
	client  *acme.Client
}

// load collects what decides.
func (w *work) load(ctx context.Context, object *acmev1.Order) error {
	w.state = core.State{Object: object}
	var err error
	if w.state.Request, err = w.request(ctx, object); err != nil {
		return err
	}
	if w.issuer, err = w.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef); err != nil {
		return err
	}
	if w.issuer != nil && w.issuer.GetSpec().ACME != nil && cluster.IssuerReady(w.issuer) {
		if c, account, ok := w.Accounts.Get(w.issuer.GetUID()); ok {
			w.client, w.state.Account = c, account
		}
	}
	challenges := &acmev1.ChallengeList{}
	if err := w.Cache.List(ctx, challenges, client.InNamespace(object.Namespace), cluster.ControlledBy(object)); err != nil {
		return err
	}
	for i := range challenges.Items {
		w.state.Challenges = append(w.state.Challenges, &challenges.Items[i])
	}
	if object.Status.URL == "" {
		w.state.BlockedBy, err = w.first(ctx, object)
	} else {
		w.release()
	}
	return err
}

// request is the CertificateRequest that controls the Order, nil if there is
// none. If the cache has none that calls for this Order it is looked at live:
// the cache may be older than the Order, and what ends an Order must be sure.
func (w *work) request(ctx context.Context, object *acmev1.Order) (*cmv1.CertificateRequest, error) {
	request, err := requestFrom(ctx, w.Cache, object)
	if err != nil || core.Done(object) || core.Provenance(object, request) == "" {
		return request, err
	}
	return requestFrom(ctx, w.Live, object)
}

func requestFrom(ctx context.Context, from client.Reader, object *acmev1.Order) (*cmv1.CertificateRequest, error) {
	owner := metav1.GetControllerOf(object)
	if owner == nil || owner.Kind != cmv1.CertificateRequestKind {
		return nil, nil
	}
	request := &cmv1.CertificateRequest{}
	err := from.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: owner.Name}, request)
	if apierrors.IsNotFound(err) || (err == nil && request.UID != owner.UID) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return request, nil
}

// first is an older, unfinished Order that the server may answer with the same
// order. One that no approved request calls for never gets to the server.
func (w *work) first(ctx context.Context, object *acmev1.Order) (string, error) {
	class := core.Class(object)
	holder := w.holder(class)
	if holder == object.UID {
		return "", nil
	}
	list := &acmev1.OrderList{}
	if err := w.Cache.List(ctx, list, client.MatchingFields{cluster.IndexOrderClass: class}); err != nil {
		return "", err
	}
	for i := range list.Items {
		other := &list.Items[i]
		if !core.Precedes(other, object) && (other.UID != holder || core.Done(other)) {
			continue
		}
		request, err := requestFrom(ctx, w.Cache, other)
		if err != nil {
			return "", err
		}
		if core.Provenance(other, request) == "" {
			return other.Name, nil
		}
	}
	return "", nil
}

// run takes steps until there is nothing left but to wait.
func (w *work) run(ctx context.Context) (time.Time, error) {
	log := logr.FromContextOrDiscard(ctx)
	for range maxSteps {
		w.state.Server, w.state.FetchedAt, w.state.Polls = w.session.server, w.session.fetchedAt, w.session.polls
		w.state.RetryAt = w.session.retryAt
		p := core.Next(w.state, w.Clock.Now())
		if p.Step == core.Wait || p.Persist == plan.Before {
			if err := w.storeStatus(ctx, p); err != nil {
				return time.Time{}, err
			}
		}
		if p.Step == core.Wait {
			return p.Until, nil
		}
		if controller.Stopping(ctx) {
			return time.Time{}, nil
		}
		log.V(4).Info("Next step", "step", p.Step)
		stop, until, err := w.carryOut(ctx, p)
		if stop || err != nil {
			return until, err
		}
	}
	return w.Clock.Now().Add(time.Second), nil
}

func (w *work) storeStatus(ctx context.Context, plan core.Plan) error {
	if equality.Semantic.DeepEqual(w.state.Object.Status, plan.Status) {
		return nil
	}
	changed := w.state.Object.DeepCopy()
	changed.Status = plan.Status
	if err := w.Write.UpdateStatus(ctx, w.owner, cluster.Order, changed, manager); err != nil {
		return err
	}
	w.state.Object = changed
	w.Events.Send(changed, plan.Events...)
	return nil
}

// Class maps an Order that has ended to those that waited for it.
func Class(cache client.Reader) func(context.Context, client.Object) []types.NamespacedName {
	return func(ctx context.Context, o client.Object) []types.NamespacedName {
		order, ok := o.(*acmev1.Order)
		if !ok {
			return nil
		}
		list := &acmev1.OrderList{}
		if err := cache.List(ctx, list, client.MatchingFields{cluster.IndexOrderClass: core.Class(order)}); err != nil {
			return nil
		}
		var keys []types.NamespacedName
		for i := range list.Items {
			if list.Items[i].UID != order.UID && list.Items[i].Status.URL == "" {
				keys = append(keys, client.ObjectKeyFromObject(&list.Items[i]))
			}
		}
		return keys
	}
}
