// Package challenge reconciles Challenges: it presents them, waits until the CA
// would find them, has the ACME server validate them, and cleans up.
package challenge

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/metrics"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

var _ metrics.Challenges = (*Controller)(nil)

// API is the API server as this controller needs it. *cluster.Server is one.
type API interface {
	controller.API
	PatchMetadata(ctx context.Context, subject plan.Ref, before, changed client.Object, manager string) error
}

// Accounts are the ACME accounts of issuers. *issueracme.Accounts is one.
type Accounts interface {
	// Get returns an issuer's client and account, or false while the issuer is not set up.
	Get(issuer types.UID) (*acme.Client, *facts.Account, bool)
	// Suspect disables an account that the server rejected in a step begun at began, with
	// the words of cause. It returns when to register again, zero if that has happened since.
	Suspect(issuer types.UID, began, now time.Time, cause string) time.Time
}

// Deps is what a Controller needs.
type Deps struct {
	// Cache holds Challenges and issuers.
	Cache    client.Reader
	API      API
	Orders   *cluster.Orders
	Requests *cluster.Requests
	// Signing is nil if CertificateSigningRequests are left alone.
	Signing  *cluster.SigningRequests
	Issuers  *cluster.Issuers
	Accounts Accounts
	// Solvers solve the challenges. IssuerSecrets are the values of
	// cluster.IndexSecretRef.
	Solvers       solver.Solvers
	IssuerSecrets client.IndexerFunc
	// AccountReady passes on issuers whose account can be used from now on,
	// Suspected those whose account was refused.
	AccountReady *controller.Topic[cmv1.GenericIssuer]
	Suspected    *controller.Topic[controller.IssuerNews]
	// Verified passes on what the ACME servers have validated.
	Verified *controller.Topic[controller.Verified]
	// MaxConcurrent is --max-concurrent-challenges, CheckRetry is
	// --dns01-check-retry-period.
	MaxConcurrent int
	CheckRetry    time.Duration
	// Limits bound the PEM that is decoded.
	Limits pki.Limits
	Clock  clock.WithTicker
	// Log is for what happens after a Challenge is gone.
	Log logr.Logger
	// Left keeps what is known of records that are left behind.
	Left LeftStore
	// Abandoned counts Challenges that left something behind.
	Abandoned func()
	// Failed counts failures.
	Failed func()
}

// Controller reconciles Challenges.
type Controller struct {
	Deps
	*controller.Driver[*acmev1.Challenge, acmev1.ChallengeStatus]

	failures Failures
	limits   Limits
	slots    *Slots
	// leftovers cleans up after Challenges that are gone.
	leftovers leftovers
	witnesses witnesses
	memories  controller.Memory[memory]

	// recalled is when recall was done, the zero time before.
	recalled time.Time
}

// memory is what this process knows of a Challenge. It keeps the Session, which
// holds what is needed to clean up, even if the issuer and its Secrets are gone
// by then.
type memory struct {
	core.Memory
	session solver.Session
	// begun is what the Session was begun with.
	begun solver.Challenge
	// issuer is whose credentials the Session uses.
	issuer issuerOf
	// progress is the one part that reconciles of other Challenges read.
	progress atomic.Pointer[core.Progress]
	// cause is what was found at lookedAt of why the record is not found.
	cause    atomic.Pointer[string]
	lookedAt time.Time
	// released reports whether this process has removed the finalizer.
	released bool
}

// New returns a Controller, or an error if something that it needs is missing.
func New(d Deps) (*Controller, error) {
	if err := controller.Complete(d, "CheckRetry", "Log", "Signing"); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, slots: NewSlots(d.MaxConcurrent)}
	c.witnesses.open, c.witnesses.views = map[types.UID]open{}, make(chan struct{}, maxViews)
	c.leftovers.kept, c.leftovers.stored = map[string][]*leftover{}, map[*leftover]entry{}
	c.Driver = controller.NewDriver(c, controller.Settings[*acmev1.Challenge, acmev1.ChallengeStatus]{
		Kind: acmev1.ChallengeKind, Manager: core.Manager,
		New:    func() *acmev1.Challenge { return &acmev1.Challenge{} },
		Status: func(o *acmev1.Challenge) *acmev1.ChallengeStatus { return &o.Status },
		API:    d.API, Clock: d.Clock, Failed: d.Failed,
	})
	d.AccountReady.Subscribe(func(ctx context.Context, issuer cmv1.GenericIssuer) {
		c.Requeue.Wake(c.ofIssuer(ctx, issuer)...)
	})
	return c, nil
}

// Queues implements metrics.Challenges.
func (c *Controller) Queues() []metrics.Queue { return c.slots.Queues() }

// Get implements controller.Kind.
func (c *Controller) Get(ctx context.Context, key types.NamespacedName) (*acmev1.Challenge, bool, error) {
	object := &acmev1.Challenge{}
	if err := c.Cache.Get(ctx, key, object); err != nil {
		return nil, false, err
	}
	// One that waits for a retry is not loaded, and can be asked about all the same.
	if err := c.testify(ctx, object); err != nil {
		return nil, false, err
	}
	return object, true, nil
}

// Yield implements controller.Yielder: others get the Challenge's slot.
func (c *Controller) Yield(key types.NamespacedName) {
	c.Requeue.Wake(c.slots.Release(key)...)
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) {
	if m := c.memories.Drop(key); m != nil {
		c.forget(m)
	}
	c.witnesses.forget(key)
	c.Yield(key)
}

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *acmev1.Challenge) (controller.Work[*acmev1.Challenge, acmev1.ChallengeStatus], error) {
	w, err := c.load(ctx, object)
	if err != nil {
		return nil, err
	}
	return w, w.loadOthers(ctx)
}

// load reads what decides about a Challenge, apart from others.
func (c *Controller) load(ctx context.Context, object *acmev1.Challenge) (*work, error) {
	key := client.ObjectKeyFromObject(object)
	m := c.memories.Of(key, object.UID, c.forget)
	if m.released && object.DeletionTimestamp != nil {
		// It is gone, and the cache does not show that yet: the write that deletes an
		// object has no version to wait for.
		object = object.DeepCopy()
		object.Finalizers = core.WithoutFinalizers(object.Finalizers)
	}
	w := &work{
		c: c, memory: m, subject: plan.Ref{Kind: acmev1.ChallengeKind, NamespacedName: key},
		State: core.State{
			Object: object, Memory: m.Memory, Slot: c.slots.Of(key), Slots: c.MaxConcurrent, CheckRetry: c.CheckRetry,
		},
	}
	if cause := m.cause.Load(); cause != nil {
		w.Memory.Cause = *cause
	}
	if at := c.recalled; !at.IsZero() && object.CreationTimestamp.After(at.Add(clockMargin)) {
		w.Memory.Began = true
	}
	if err := w.loadIssuer(ctx); err != nil {
		return nil, err
	}
	w.loadLimit()
	if w.ProvenanceDecides() {
		return w, w.loadProvenance(ctx)
	}
	return w, nil
}

func (w *work) loadIssuer(ctx context.Context) error {
	object := w.State.Object
	w.OwnSolver = w.unaided()
	issuer, err := w.c.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil || issuer == nil || issuer.GetSpec().ACME == nil {
		return err
	}
	w.issuer, w.CA = issuer, issuer.GetSpec().ACME.Server
	w.OwnSolver = order.HasSolver(issuer.GetSpec().ACME, object.Spec.Type, &object.Spec.Solver)
	w.SelfCheck = settingsOf(issuer.GetAnnotations()).selfCheck
	w.loadAccount()
	return nil
}

// loadAccount finds the issuer's account, if it can be used.
func (w *work) loadAccount() {
	w.client, w.Account = nil, nil
	if w.issuer == nil || !cluster.IssuerReady(w.issuer) {
		return
	}
	if asking, account, ok := w.c.Accounts.Get(w.issuer.GetUID()); ok {
		w.client, w.Account, w.CA = asking, account, account.Issuer.Server
		w.FailuresEnd = w.c.failures.Until(asking.AccountURL(), w.State.Object.Spec.DNSName, w.c.Clock.Now())
	}
}

// loadOthers finds what other Challenges there are for the same name.
func (w *work) loadOthers(ctx context.Context) error {
	object := w.State.Object
	var ended []*acmev1.Challenge
	var err error
	if w.others, ended, err = w.c.othersOf(ctx, object.UID, object.Spec.DNSName, object.Spec.Type); err != nil {
		return err
	}
	w.Others = len(w.others) > 0
	if _, alone := w.c.Solvers[object.Spec.Type].(solver.Unaided); !alone {
		w.Shared, w.SharedElsewhere = w.c.sharedBy(w.others, object.Spec.Key, &object.Spec.Solver)
	}
	w.loadSiblings(ctx, ended)
	return nil
}

// sharedBy reports whether one of others may have presented a value with a solver,
// and whether one may have with another solver. A server may give two orders one
// authorization.
func (c *Controller) sharedBy(others []*acmev1.Challenge, value string, with *acmev1.ACMEChallengeSolver) (shared, elsewhere bool) {
	for _, other := range others {
		switch {
		case other.Spec.Key != value || !other.Status.Presented && !c.progressOf(other).Presented:
		case equality.Semantic.DeepEqual(&other.Spec.Solver, with):
			shared = true
		default:
			elsewhere = true
		}
	}
	return shared, elsewhere
}

// othersOf returns the Challenges of a type and name other than one: those that
// are live, and those that have ended or are being deleted.
func (c *Controller) othersOf(ctx context.Context, one types.UID, name string, of acmev1.ACMEChallengeType) (live, ended []*acmev1.Challenge, err error) {
	list := &acmev1.ChallengeList{}
	if err := c.Cache.List(ctx, list, client.MatchingFields{cluster.IndexDNSName: strings.ToLower(name)}); err != nil {
		return nil, nil, fmt.Errorf("list the Challenges for %s: %w", name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		switch {
		case other.UID == one || other.Spec.Type != of:
		case other.DeletionTimestamp == nil && !order.Final(other.Status.State):
			live = append(live, other)
		default:
			ended = append(ended, other)
		}
	}
	return live, ended, nil
}

// soon is how long ago a Challenge or an Order may have been created, or a Challenge
// presented, that others for the same name wait for: an older one waits for something
// itself. Challenges that have waited for the same, such as a right token, are presented
// together long after they were created.
const soon = 30 * time.Second

// loadSiblings finds the Challenges that the CA can see together with this one:
// those that exist, and those that its Order, or another one for the same name,
// may be about to create. It stops at the first that this one has to wait for: a
// name can have thousands of them, and each looks at all others.
func (w *work) loadSiblings(ctx context.Context, ended []*acmev1.Challenge) {
	grouper, ok := w.c.Solvers[w.State.Object.Spec.Type].(solver.Grouper)
	if !ok || w.Account == nil || w.order == nil {
		return
	}
	one, now := w.challenge(w.State.Object), w.c.Clock.Now()
	recent := func(o client.Object) bool { return now.Sub(o.GetCreationTimestamp().Time) < soon }
	for _, other := range w.others {
		due := recent(other) && !waits(other) || now.Sub(w.c.presentedAt(other)) < soon
		if due && w.sameCA(ctx, other.Namespace, other.Spec.IssuerRef) && grouper.Grouped(one, w.challenge(other)) {
			progress := w.c.progressOf(other)
			if w.Siblings = append(w.Siblings, progress); progress.Coming() {
				return
			}
		}
	}
	if order.ChallengesToCome(w.order, w.Account, w.State.Object, w.others) > 0 {
		w.Siblings = append(w.Siblings, core.Progress{})
		return
	}
	// An Order for the same names is made at the server when this one has ended.
	class := order.Class(w.order)
	blocked := func(o *acmev1.Order) bool { return o.Status.URL == "" && order.Class(o) == class }
	have := ownersOf(w.others, ended)
	for _, other := range w.c.Orders.OpenOfName(w.State.Object.Spec.DNSName) {
		if other.UID != w.order.UID && recent(other) && !have[other.UID] && order.MayNeedChallenge(other, w.State.Object.Spec.DNSName) &&
			!blocked(other) && w.sameCA(ctx, other.Namespace, other.Spec.IssuerRef) {
			w.Siblings = append(w.Siblings, core.Progress{})
			return
		}
	}
}

// waits reports whether a Challenge is not presented for a reason that its status
// says, such as the failures of its account: that lasts longer than others would wait.
func waits(c *acmev1.Challenge) bool { return !c.Status.Presented && c.Status.Reason != "" }

// presentedAt is when a Challenge was presented, by its status or, if that does not say
// it yet, by this process. What is written again was presented before.
func (c *Controller) presentedAt(other *acmev1.Challenge) time.Time {
	if at := other.Status.PresentedAt; other.Status.Presented && at != nil {
		return at.Time
	}
	return c.progressOf(other).PresentedAt
}

// ownersOf returns the UIDs of the Orders that control Challenges.
func ownersOf(challenges ...[]*acmev1.Challenge) map[types.UID]bool {
	owners := map[types.UID]bool{}
	for _, list := range challenges {
		for _, c := range list {
			if owner := metav1.GetControllerOfNoCopy(c); owner != nil {
				owners[owner.UID] = true
			}
		}
	}
	return owners
}

// sameCA reports whether an issuer uses the ACME server that this one uses.
func (w *work) sameCA(ctx context.Context, namespace string, ref cmmeta.IssuerReference) bool {
	issuer, err := w.c.Issuers.Get(ctx, namespace, ref)
	return err == nil && issuer != nil && issuer.GetSpec().ACME != nil && issuer.GetSpec().ACME.Server == w.CA
}

// progressOf returns how far another Challenge is.
func (c *Controller) progressOf(other *acmev1.Challenge) core.Progress {
	if m := c.memories.Find(client.ObjectKeyFromObject(other), other.UID); m != nil {
		if known := m.progress.Load(); known != nil {
			return *known
		}
	}
	return core.Progress{}
}

// wakeSiblings wakes the Challenges that may have waited for this one to be
// visible, by the cache as it is now: one that was created since this reconcile
// began may have looked before.
func (w *work) wakeSiblings(ctx context.Context) {
	object := w.State.Object
	if others, _, err := w.c.othersOf(ctx, object.UID, object.Spec.DNSName, object.Spec.Type); err == nil {
		w.c.Requeue.Wake(controller.KeysOf(others)...)
	}
}
