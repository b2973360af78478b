// Package issuer reconciles Issuers and ClusterIssuers: whether they can sign,
// and why not.
package issuer

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	issuertype "github.com/everleaf/everleaf/internal/issuer"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	"github.com/everleaf/everleaf/internal/issuer/ca"
	"github.com/everleaf/everleaf/internal/plan"
)

const setupTimeout = 2 * time.Minute

// Reconciler keeps the Ready condition of issuers of one kind.
type Reconciler struct {
	// Kind is cluster.Issuer or cluster.ClusterIssuer.
	Kind     cluster.Kind
	Cache    client.Reader
	Issuers  *cluster.Issuers
	Accounts *issueracme.Accounts
	ACME     *issueracme.Setup
	CA       *ca.Signer
	Write    *cluster.Writer
	Events   *cluster.Events
	Wait     *controller.Wait
	Clock    clock.PassiveClock
	// Announce is told of ACME accounts that have become ready for use.
	Announce func(context.Context, cmv1.GenericIssuer)

	mu sync.Mutex
	// seen is the UID by which an issuer's account is known.
	seen map[types.NamespacedName]types.UID
	// rests are issuers whose server wants to be left alone.
	rests map[types.UID]rest
}

// rest is until when a spec is not tried again.
type rest struct {
	generation int64
	until      time.Time
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	owner := cluster.Owner{Kind: r.Kind, NamespacedName: req.NamespacedName}
	if r.Write.Behind(owner) != "" {
		return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
	}
	object := r.empty()
	if err := r.Cache.Get(ctx, req.NamespacedName, object.(client.Object)); err != nil {
		if apierrors.IsNotFound(err) {
			r.Wait.Forget(req.NamespacedName)
			r.see(req.NamespacedName, "")
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	if object.GetDeletionTimestamp() != nil {
		r.see(req.NamespacedName, "")
		return reconcile.Result{}, nil
	}
	r.see(req.NamespacedName, object.GetUID())
	if until := r.resting(object); !until.IsZero() {
		return r.Wait.Until(req.NamespacedName, until), nil
	}
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	status, setupErr := r.setUp(ctx, object)
	r.restAfter(object, setupErr)
	if err := r.store(ctx, owner, object, status); err != nil {
		if cluster.Stale(err) {
			return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
		}
		return reconcile.Result{}, err
	}
	return r.next(req, setupErr)
}

// restAfter notes a setup that the server put off: neither the event of the
// status that tells it nor any other may bring it back sooner.
func (r *Reconciler) restAfter(object cmv1.GenericIssuer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rests == nil {
		r.rests = map[types.UID]rest{}
	}
	delete(r.rests, object.GetUID())
	if f := fault.Of(err); f != nil && f.Class == fault.Later {
		r.rests[object.GetUID()] = rest{generation: object.GetGeneration(), until: f.At}
	}
}

// resting is until when an issuer is left alone, zero if it is not. A new spec
// may have another server.
func (r *Reconciler) resting(object cmv1.GenericIssuer) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.rests[object.GetUID()]
	if found.generation != object.GetGeneration() || !found.until.After(r.Clock.Now()) {
		return time.Time{}
	}
	return found.until
}

// see notes an issuer's UID, "" if it is gone, and drops the account of the one
// that had its name before.
func (r *Reconciler) see(key types.NamespacedName, uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[types.NamespacedName]types.UID{}
	}
	if old := r.seen[key]; old != "" && old != uid {
		r.Accounts.Remove(old)
		delete(r.rests, old)
	}
	if uid == "" {
		delete(r.seen, key)
		return
	}
	r.seen[key] = uid
}

// next is when to look again after a setup.
func (r *Reconciler) next(req reconcile.Request, err error) (reconcile.Result, error) {
	if err == nil {
		return r.Wait.Until(req.NamespacedName, time.Time{}), nil
	}
	switch f := fault.Of(err); f.Class {
	case fault.Later:
		return r.Wait.Until(req.NamespacedName, f.At), nil
	case fault.Transient:
		return reconcile.Result{}, err
	default:
		return r.Wait.Until(req.NamespacedName, r.Clock.Now().Add(fault.UserRetry)), nil
	}
}

func (r *Reconciler) empty() cmv1.GenericIssuer {
	if r.Kind == cluster.ClusterIssuer {
		return &cmv1.ClusterIssuer{}
	}
	return &cmv1.Issuer{}
}

// setUp checks the issuer and returns its status.
func (r *Reconciler) setUp(ctx context.Context, object cmv1.GenericIssuer) (*cmv1.IssuerStatus, error) {
	spec, status := object.GetSpec(), object.GetStatus().DeepCopy()
	namespace := r.Issuers.SecretNamespace(object)
	var reason, message string
	var err error
	switch kind := facts.TypeOf(spec); kind {
	case facts.IssuerSelfSigned:
		reason = cmv1.IssuerReasonSelfSignedReady
	case facts.IssuerCA:
		reason, message = cmv1.IssuerReasonKeyPairVerified, "Signing CA verified"
		_, err = r.CA.Check(ctx, issuertype.Issuer{Spec: spec, Namespace: namespace})
	case facts.IssuerACME:
		reason, message = cmv1.IssuerReasonACMEAccountRegistered, r.ACME.Message()
		err = r.setUpACME(ctx, object, status, namespace)
	default:
		err = fault.New(fault.User, cmv1.IssuerReasonInvalidConfig, "This version of everleaf does not have issuers of type %q", kind)
	}
	if facts.TypeOf(spec) != facts.IssuerACME {
		status.ACME = nil
		r.Accounts.Remove(object.GetUID())
	}
	condition := cmmeta.ConditionTrue
	if err != nil {
		f := fault.Of(err)
		condition, reason, message = cmmeta.ConditionFalse, f.Reason, f.Message
		if reason == "" {
			reason = cmv1.EventReasonErrInitIssuer
		}
	}
	r.setReady(status, object.GetGeneration(), condition, reason, message)
	return status, err
}

func (r *Reconciler) setUpACME(ctx context.Context, object cmv1.GenericIssuer, status *cmv1.IssuerStatus, namespace string) error {
	before := acmev1.ACMEIssuerStatus{}
	if status.ACME != nil {
		before = *status.ACME
	}
	after, fresh, err := r.ACME.Run(ctx, issueracme.Issuer{
		UID: object.GetUID(), Namespace: namespace, Spec: object.GetSpec().ACME.DeepCopy(),
		Status: before, Ready: cluster.IssuerReady(object),
	})
	status.ACME = &after
	if fresh {
		r.Announce(ctx, object)
	}
	if err != nil && !errors.As(err, new(*fault.Error)) {
		// An error without a class comes from the API server; its text may
		// change from one time to the next.
		err = fault.New(fault.Transient, cmv1.EventReasonErrInitIssuer, "Error initializing issuer: the API server did not answer as expected").Because(err)
	}
	return err
}

func (r *Reconciler) setReady(s *cmv1.IssuerStatus, generation int64, status cmmeta.ConditionStatus, reason, message string) {
	at := metav1.NewTime(r.Clock.Now())
	s.Conditions = condition.Set(s.Conditions, cmv1.IssuerCondition{
		Type: cmv1.IssuerConditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: &at, ObservedGeneration: generation,
	})
}

func (r *Reconciler) store(ctx context.Context, owner cluster.Owner, object cmv1.GenericIssuer, status *cmv1.IssuerStatus) error {
	if equality.Semantic.DeepEqual(object.GetStatus(), status) {
		return nil
	}
	changed := object.DeepCopyObject().(cmv1.GenericIssuer)
	*changed.GetStatus() = *status
	component := "cert-manager-issuers"
	if r.Kind == cluster.ClusterIssuer {
		component = "cert-manager-clusterissuers"
	}
	if err := r.Write.UpdateStatus(ctx, owner, r.Kind, changed.(client.Object), component); err != nil {
		return err
	}
	if c := condition.Find(status.Conditions, cmv1.IssuerConditionReady); c != nil {
		r.Events.Send(changed, plan.Event{
			Warning: c.Status != cmmeta.ConditionTrue, Verbose: true,
			Reason: c.Reason, Message: c.Message, Component: component,
		})
	}
	return nil
}
