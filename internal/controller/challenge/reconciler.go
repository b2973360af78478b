// Package challenge reconciles Challenges: it presents the record, sees that it
// has spread, has the ACME server validate it, and removes it.
package challenge

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	manager  = "cert-manager-challenges"
	maxSteps = 10
)

// Reconciler solves Challenges.
type Reconciler struct {
	Cache       client.Reader
	Live        client.Reader
	Issuers     *cluster.Issuers
	Accounts    *issueracme.Accounts
	WakeIssuer  func(cmv1.GenericIssuer, time.Time)
	Providers   *Providers
	Propagation *Propagation
	Ledger      *propagation.Ledger
	Failures    *Failures
	Slots       *Slots
	Write       *cluster.Writer
	Events      *cluster.Events
	Wait        *controller.Wait
	Clock       clock.PassiveClock
	Limits      pki.Limits
	// Abandoned counts records that were left behind.
	Abandoned func()

	mu       sync.Mutex
	sessions map[types.UID]*session
}

// session is what this process knows of a Challenge: with how, if it has
// presented the record, it can be removed, even if the issuer and its Secret
// are gone by then.
type session struct {
	core.Memory
	name     types.NamespacedName
	provider dns01.Provider
	record   dns01.Record
	zone     string
	ca       string
	// tries counts the failures of a step in a row.
	tries int
	// restored says that the ledger knows of it.
	restored bool
	// retry ends the wait after a failure.
	retry atomic.Bool
	// shared is Session as other Challenges see it, guarded by the
	// Reconciler's lock; all else belongs to the one reconcile that runs.
	shared core.Memory
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	owner := cluster.Owner{Kind: cluster.Challenge, NamespacedName: req.NamespacedName}
	if r.Write.Behind(owner) != "" {
		return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
	}
	object := &acmev1.Challenge{}
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
	return r.Wait.Finish(ctx, req.NamespacedName, until, err)
}

func (r *Reconciler) sessionOf(key types.NamespacedName, uid types.UID) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = map[types.UID]*session{}
	}
	s := r.sessions[uid]
	if s == nil {
		s = &session{name: key}
		r.sessions[uid] = s
	}
	return s
}

// forget drops what belongs to a Challenge that is gone.
func (r *Reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	for uid, s := range r.sessions {
		if s.name == key {
			delete(r.sessions, uid)
			r.Ledger.Forget(s.ca, s.record.FQDN, s.record.Value)
		}
	}
	r.mu.Unlock()
	r.Wait.Forget(key)
	r.release(key)
}

func (r *Reconciler) release(key types.NamespacedName) {
	for _, next := range r.Slots.Release(key) {
		r.Wait.Wake(next)
	}
}

// Retry has Challenges tried again at once that wait after a failure, because
// something that they depend on has changed.
func (r *Reconciler) Retry(keys []types.NamespacedName) []types.NamespacedName {
	named := make(map[types.NamespacedName]bool, len(keys))
	for _, key := range keys {
		named[key] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		if named[s.name] {
			s.retry.Store(true)
		}
	}
	return keys
}

// work is one reconcile of one Challenge.
type work struct {
	*Reconciler
	owner   cluster.Owner
	session *session
	state   core.State
	order   *acmev1.Order
	issuer  cmv1.GenericIssuer
	client  *acme.Client
}

// load collects what decides.
func (w *work) load(ctx context.Context, object *acmev1.Challenge) error {
	w.state = core.State{Object: object, Propagation: propagation.Policy{Retry: w.Propagation.Retry, TTL: dns01.TTL}}
	var err error
	if w.issuer, err = w.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef); err != nil {
		return err
	}
	if w.issuer != nil && w.issuer.GetSpec().ACME != nil && cluster.IssuerReady(w.issuer) {
		if c, account, ok := w.Accounts.Get(w.issuer.GetUID()); ok {
			w.client, w.state.Account = c, account
		}
	}
	w.state.OwnSolver = w.issuer != nil && w.issuer.GetSpec().ACME != nil && order.HasSolver(w.issuer.GetSpec().ACME, &object.Spec.Solver)
	if err := w.provenance(ctx, object); err != nil {
		return err
	}
	w.restore(object)
	if w.state.Account == nil || w.state.Untrusted != "" {
		w.release(w.owner.NamespacedName)
		return nil
	}
	w.state.TooManyFailures = w.Failures.Until(w.ca(), object.Spec.DNSName, w.Clock.Now())
	if w.state.Siblings, err = w.siblings(ctx, object); err != nil {
		return err
	}
	w.state.Slot = w.slot(object)
	return nil
}

// slot takes one for a Challenge that is to be worked on. One that is not, or
// waits after a failure, gives its own back: it is not in the others' way.
func (w *work) slot(object *acmev1.Challenge) bool {
	now := w.Clock.Now()
	if object.DeletionTimestamp != nil || order.ChallengeFinal(object) ||
		(w.session.RetryAt.After(now) && !w.session.retry.Load()) ||
		(!object.Status.Presented && w.state.TooManyFailures.After(now)) {
		w.release(w.owner.NamespacedName)
		return false
	}
	return w.Slots.Acquire(w.owner.NamespacedName)
}

// restore tells the ledger, after a restart, of a validation that only the
// stored Challenge still tells of. It waits for no account: when the first one
// is ready, the CA may be asked at once about other names.
func (w *work) restore(object *acmev1.Challenge) {
	at := object.Status.PresentedAt
	if w.session.restored || !order.ChallengeFinal(object) || at == nil || w.session.Presented ||
		w.state.Untrusted != "" || w.issuer == nil || w.issuer.GetSpec().ACME == nil {
		return
	}
	w.session.restored = true
	w.Ledger.Restore(w.issuer.GetSpec().ACME.Server, challengeFQDN(object), propagation.Lookup{
		Started: at.Time, Ended: w.Clock.Now(), Failed: object.Status.State != acmev1.Valid,
	})
}

func challengeFQDN(c *acmev1.Challenge) string { return dnsname.Challenge(c.Spec.DNSName) }

func (w *work) ca() string { return w.state.Account.Issuer.Server }

// provenance checks that an Order, which an approved request calls for, calls
// for exactly this Challenge. What the caches do not show is looked at live.
func (w *work) provenance(ctx context.Context, object *acmev1.Challenge) error {
	for _, from := range []client.Reader{w.Cache, w.Live} {
		o, err := controlling(ctx, from, object, acmev1.OrderKind, &acmev1.Order{})
		if err != nil {
			return err
		}
		w.order, w.state.Orphan = o, o == nil
		w.state.Untrusted, err = w.forged(ctx, from, object, o)
		if err != nil || w.state.Untrusted == "" || object.DeletionTimestamp != nil || order.ChallengeFinal(object) {
			return err
		}
	}
	return nil
}

// forged says why a Challenge must not be worked on, or returns "".
func (w *work) forged(ctx context.Context, from client.Reader, object *acmev1.Challenge, o *acmev1.Order) (string, error) {
	if o == nil || w.state.Account == nil {
		return order.ChallengeProvenance(object, o, w.state.Account), nil
	}
	request, err := controlling(ctx, from, o, cmv1.CertificateRequestKind, &cmv1.CertificateRequest{})
	if err != nil {
		return "", err
	}
	if why := order.Provenance(o, request, w.Limits); why != "" {
		return why, nil
	}
	return order.ChallengeProvenance(object, o, w.state.Account), nil
}

// controlling reads the object of a kind that controls another, nil if there is
// none.
func controlling[T client.Object](ctx context.Context, from client.Reader, o client.Object, kind string, into T) (T, error) {
	var none T
	owner := metav1.GetControllerOf(o)
	if owner == nil || owner.Kind != kind {
		return none, nil
	}
	err := from.Get(ctx, types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name}, into)
	if apierrors.IsNotFound(err) || (err == nil && into.GetUID() != owner.UID) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	return into, nil
}

// siblings are the sessions of other live Challenges for the same name.
func (w *work) siblings(ctx context.Context, object *acmev1.Challenge) ([]core.Memory, error) {
	others, err := w.others(ctx, object)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sessions := make([]core.Memory, 0, len(others))
	for _, c := range others {
		shared := core.Memory{}
		if s := w.sessions[c.UID]; s != nil {
			shared = s.shared
		}
		sessions = append(sessions, shared)
	}
	// The Order may be about to create more for this name.
	for range order.ChallengesToCome(w.order, w.state.Account, object, others) {
		sessions = append(sessions, core.Memory{})
	}
	return sessions, nil
}

func (w *work) siblingKeys(ctx context.Context) []types.NamespacedName {
	others, err := w.others(ctx, w.state.Object)
	if err != nil {
		return nil
	}
	var keys []types.NamespacedName
	for _, c := range others {
		keys = append(keys, client.ObjectKeyFromObject(c))
	}
	return keys
}

// others are the other live Challenges for the same name.
func (w *work) others(ctx context.Context, object *acmev1.Challenge) ([]*acmev1.Challenge, error) {
	list := &acmev1.ChallengeList{}
	if err := w.Cache.List(ctx, list, client.MatchingFields{cluster.IndexDNSName: strings.ToLower(object.Spec.DNSName)}); err != nil {
		return nil, err
	}
	var found []*acmev1.Challenge
	for i := range list.Items {
		c := &list.Items[i]
		if c.UID != object.UID && c.DeletionTimestamp == nil && !order.ChallengeFinal(c) && c.Spec.Type == object.Spec.Type {
			found = append(found, c)
		}
	}
	return found, nil
}

// run takes steps until there is nothing left but to wait.
func (w *work) run(ctx context.Context) (time.Time, error) {
	if w.session.retry.Swap(false) {
		w.session.RetryAt = time.Time{}
	}
	defer w.share()
	log := logr.FromContextOrDiscard(ctx)
	for range maxSteps {
		w.state.Memory = w.session.Memory
		p := core.Next(w.state, w.Clock.Now())
		changed := false
		if p.Step == core.Wait || p.Persist == plan.Before {
			var err error
			if changed, err = w.storeStatus(ctx, p); err != nil {
				return time.Time{}, err
			}
		}
		if p.Step == core.Wait {
			if !changed {
				return p.Until, nil
			}
			continue
		}
		if controller.Stopping(ctx) {
			return time.Time{}, nil
		}
		log.V(5).Info("Next step", "step", p.Step, "dnsName", w.state.Object.Spec.DNSName)
		stop, until, err := w.carryOut(ctx, p)
		if stop || err != nil {
			return until, err
		}
	}
	return w.Clock.Now().Add(time.Second), nil
}

// share lets other Challenges see how far this one is.
func (w *work) share() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session.shared = w.session.Memory
}

// storeStatus writes the status if it differs, and reports whether it did.
func (w *work) storeStatus(ctx context.Context, plan core.Plan) (bool, error) {
	if equality.Semantic.DeepEqual(w.state.Object.Status, plan.Status) {
		return false, nil
	}
	changed := w.state.Object.DeepCopy()
	changed.Status = plan.Status
	if err := w.Write.UpdateStatus(ctx, w.owner, cluster.Challenge, changed, manager); err != nil {
		return false, err
	}
	w.state.Object = changed
	w.Events.Send(changed, plan.Events...)
	if order.ChallengeFinal(changed) {
		w.session.EndedAt = w.Clock.Now()
		w.release(w.owner.NamespacedName)
	}
	return true, nil
}
