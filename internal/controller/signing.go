package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

// What the controllers of requests of each kind share: what is known of the issuer, what
// it has answered, and which requests an event of it wakes.

// IssuerFacts are the facts about the issuer of a request. types are those of this
// process; requests for the types in leave are for others.
func IssuerFacts(of cmv1.GenericIssuer, types *issuer.Registry, leave []facts.IssuerType) *facts.Issuer {
	spec := of.GetSpec()
	_, supported := types.Of(spec)
	return &facts.Issuer{
		Spec: spec, Supported: supported, Left: slices.Contains(leave, facts.TypeOf(spec)),
		Orders: types.Orders(spec), Ready: cluster.IssuerReady(of), Message: cluster.IssuerMessage(of),
	}
}

// SignTimeout bounds how long an issuer is asked for a certificate: it may ask a foreign
// server several times.
const SignTimeout = 2 * time.Minute

// SigningEndpoint is the Endpoint of an action, for Remote: the foreign server that an
// issuer is asked at by the action that signs, an A. An issuer that has its CA in the cluster
// asks no server. of is nil if the issuer does not exist.
func SigningEndpoint[A plan.Action](action plan.Action, types *issuer.Registry, of cmv1.GenericIssuer) (string, time.Duration) {
	if _, signs := action.(A); signs && of != nil {
		return types.Server(of.GetSpec()), SignTimeout
	}
	return "", 0
}

// Asking fills in what a request says of the issuer that is asked, and of the object that
// asks.
func Asking(r issuer.Request, object client.Object, kind string, of cmv1.GenericIssuer) issuer.Request {
	r.Kind, r.Name, r.Annotations, r.Created = kind, object.GetName(), object.GetAnnotations(), object.GetCreationTimestamp().Time
	r.Issuer, r.IssuerUID, r.IssuerName, r.IssuerAnnotations = of.GetSpec(), of.GetUID(), client.ObjectKeyFromObject(of), of.GetAnnotations()
	return r
}

// suspectEvery is how often an issuer is checked at most because its credentials were refused:
// each of its requests may meet that.
const suspectEvery = 30 * time.Second

// Signers asks issuers for certificates, for the controllers of all kinds of requests.
type Signers struct {
	Types   *issuer.Registry
	Issuers *cluster.Issuers
	// Suspected has issuers checked again whose credentials were refused.
	Suspected *Topic[IssuerNews]
	Clock     clock.PassiveClock

	mu sync.Mutex
	// checks are when issuers are checked, or were, because their credentials were refused.
	checks map[types.UID]time.Time
}

// Sign has an issuer sign a request.
func (s *Signers) Sign(ctx context.Context, of cmv1.GenericIssuer, r issuer.Request) (core.Outcome, error) {
	outcome, err := s.Types.Sign(ctx, r)
	if errors.Is(err, issuer.ErrRefused) {
		s.suspect(ctx, of)
	}
	if s.gone(ctx, of) {
		// The type forgot it before, and may have begun to remember it again here.
		s.Types.ForgetAs(of.GetSpec(), of.GetUID())
	}
	return outcome, err
}

// suspect has an issuer checked, now or when it may be checked again.
func (s *Signers) suspect(ctx context.Context, of cmv1.GenericIssuer) {
	now := s.Clock.Now()
	s.mu.Lock()
	maps.DeleteFunc(s.checks, func(_ types.UID, at time.Time) bool { return now.Sub(at) >= suspectEvery })
	at, braked := s.checks[of.GetUID()]
	if braked && at.After(now) {
		s.mu.Unlock()
		return
	}
	next := now
	if braked {
		next = at.Add(suspectEvery)
	}
	if s.checks == nil {
		s.checks = map[types.UID]time.Time{}
	}
	s.checks[of.GetUID()] = next
	s.mu.Unlock()
	s.Suspected.Publish(ctx, IssuerNews{Issuer: of, At: next})
}

// gone reports whether the caches show that an issuer does not exist any longer, is being
// deleted, or is one of another type.
func (s *Signers) gone(ctx context.Context, of cmv1.GenericIssuer) bool {
	ref := cmmeta.IssuerReference{Name: of.GetName(), Kind: cmv1.IssuerKind}
	if of.GetNamespace() == "" {
		ref.Kind = cmv1.ClusterIssuerKind
	}
	found, err := s.Issuers.Get(context.WithoutCancel(ctx), of.GetNamespace(), ref)
	return err == nil && (found == nil || found.GetUID() != of.GetUID() || found.GetDeletionTimestamp() != nil || facts.TypeOf(found.GetSpec()) != facts.TypeOf(of.GetSpec()))
}

// Answered is what an issuer has answered to a request and is not stored: a status that
// cannot be stored costs no second certificate. The zero value has no answer.
type Answered struct {
	issuer     types.UID
	generation int64
	outcome    *core.Outcome
	notBefore  time.Time
}

// AnsweredBy returns the answer of an issuer, which is an outcome or an error. One that
// is pending is not asked again before core.PendingFloor has passed since now.
func AnsweredBy(of cmv1.GenericIssuer, outcome core.Outcome, err error, now time.Time) Answered {
	a := Answered{issuer: of.GetUID(), generation: of.GetGeneration()}
	if err == nil {
		if pending := outcome.Pending; pending != nil && pending.Until.Before(now.Add(core.PendingFloor)) {
			outcome.Pending = &core.Pending{Until: now.Add(core.PendingFloor), Annotations: pending.Annotations, Message: pending.Message}
		}
		a.outcome = &outcome
	} else if f := fault.Of(err); f.Class == fault.Later {
		a.notBefore = f.At
	}
	return a
}

// Of returns the outcome of an issuer, nil after an error, and when the issuer may be
// asked again. ok is false if it has not answered: an answer of another issuer, or for
// another spec of it, does not count. of is nil if the issuer does not exist.
func (a Answered) Of(of cmv1.GenericIssuer) (outcome *core.Outcome, notBefore time.Time, ok bool) {
	if of == nil || a.issuer != of.GetUID() || a.generation != of.GetGeneration() {
		return nil, time.Time{}, false
	}
	return a.outcome, a.notBefore, true
}

// Waiting returns the Keys of a Watch of issuers, which wakes the requests that wait for
// the event's. open returns those.
func Waiting[O client.Object](open func(cmv1.GenericIssuer) []O) func(context.Context, client.Object) []types.NamespacedName {
	return func(_ context.Context, o client.Object) []types.NamespacedName {
		issuer, ok := o.(cmv1.GenericIssuer)
		if !ok {
			return nil
		}
		return KeysOf(open(issuer))
	}
}

// WaitingForUsers returns the Keys of a Watch of Secrets, which wakes the requests that
// wait for an issuer of the kinds that uses the event's: the issuer may have been ready
// all the time, although it could not sign for a moment.
func WaitingForUsers[O client.Object](issuers *cluster.Issuers, open func(cmv1.GenericIssuer) []O, kinds ...string) func(context.Context, client.Object) []types.NamespacedName {
	return func(ctx context.Context, o client.Object) []types.NamespacedName {
		var keys []types.NamespacedName
		for _, kind := range kinds {
			for _, issuer := range issuers.Using(ctx, kind, o) {
				keys = append(keys, KeysOf(open(issuer))...)
			}
		}
		return keys
	}
}
