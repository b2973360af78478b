package order

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// requestTimeout bounds a step at the server; many requests may be one step.
const requestTimeout = 2 * time.Minute

// parallel is how many authorizations of one order are fetched at a time.
const parallel = 8

// carryOut takes the plan's step. stop says that there is nothing more to do
// until the time, or until an event.
func (w *work) carryOut(ctx context.Context, plan core.Plan) (stop bool, until time.Time, err error) {
	switch plan.Step {
	case core.CreateChallenges:
		return false, time.Time{}, w.createChallenges(ctx, plan.Create)
	case core.DeleteChallenges:
		return false, time.Time{}, w.deleteChallenges(ctx, plan.Delete)
	}
	began := w.Clock.Now()
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err = w.ask(asking, plan.Step)
	var server *serverError
	if !errors.As(err, &server) {
		return false, time.Time{}, err
	}
	return w.stepFailed(ctx, plan.Step, server.err, began)
}

// serverError is an error of the ACME server, as opposed to one of the API
// server.
type serverError struct{ err error }

func (e *serverError) Error() string { return e.err.Error() }

// ask takes a step at the ACME server.
func (w *work) ask(ctx context.Context, step core.Step) error {
	switch step {
	case core.Create:
		return w.create(ctx)
	case core.Fetch:
		return w.fetch(ctx)
	case core.Authorize:
		return w.authorize(ctx)
	case core.Finalize:
		return w.finalize(ctx)
	case core.Download:
		return w.download(ctx)
	default:
		return fmt.Errorf("unknown step %q", step)
	}
}

// stepFailed tells in the status what went wrong, and decides how to go on.
func (w *work) stepFailed(ctx context.Context, step core.Step, cause error, began time.Time) (bool, time.Time, error) {
	plan, gate := core.StepFailed(w.state, step, cause, w.Clock.Now())
	if !gate.IsZero() {
		w.Accounts.Gate(w.issuer.GetUID(), gate)
	}
	if acme.IsAccountProblem(cause) {
		if again := w.Accounts.Suspect(w.issuer.GetUID(), began, w.Clock.Now()); again.IsZero() {
			plan.Until = w.Clock.Now().Add(time.Second)
		} else {
			w.WakeIssuer(w.issuer, again)
		}
	}
	if f := acme.Classify(cause, w.Clock.Now()); f.Class == fault.Later {
		// The event of the status below must not bring it back sooner.
		w.session.retryAt = f.At
	}
	if err := w.storeStatus(ctx, plan); err != nil {
		return true, time.Time{}, err
	}
	if plan.Step == core.Fetch {
		return w.fetchAfterRefusal(ctx, began)
	}
	if plan.Until.IsZero() && !core.Failed(plan.Status.State) {
		return true, time.Time{}, fault.Of(acme.Classify(cause, w.Clock.Now()))
	}
	return !core.Failed(plan.Status.State), plan.Until, nil
}

// fetchAfterRefusal looks at an order that was not ready to be finalized.
func (w *work) fetchAfterRefusal(ctx context.Context, began time.Time) (bool, time.Time, error) {
	err := w.fetch(ctx)
	var server *serverError
	if errors.As(err, &server) {
		return w.stepFailed(ctx, core.Fetch, server.err, began)
	}
	return false, time.Time{}, err
}

// create has the server make the order, and stores its URL at once: an order
// whose URL is lost still counts against the account's limits.
func (w *work) create(ctx context.Context) error {
	live := &acmev1.Order{}
	if err := w.Live.Get(ctx, w.owner.NamespacedName, live); err != nil {
		return err
	}
	if live.UID != w.state.Object.UID || live.Status.URL != "" || live.DeletionTimestamp != nil ||
		core.Provenance(live, w.state.Request) != "" {
		return cluster.ErrStale
	}
	w.state.Object = live
	if made := w.session.server; made != nil {
		// The server has made it; the API server did not take its URL.
		return w.storeURL(context.WithoutCancel(ctx), *made)
	}
	if !w.claim(live) {
		return cluster.ErrStale
	}
	request := acme.OrderRequest{
		Identifiers: core.Identifiers(live), Profile: live.Spec.Profile, Replaces: live.Spec.Replaces,
	}
	if live.Spec.Duration != nil {
		request.NotAfter = w.Clock.Now().Add(live.Spec.Duration.Duration)
	}
	made, err := w.client.NewOrder(ctx, request)
	if err != nil {
		w.release()
		return &serverError{err}
	}
	w.heard(made)
	return w.storeURL(context.WithoutCancel(ctx), made)
}

// storeURL stores a new order's URL, even if the object has changed meanwhile.
func (w *work) storeURL(ctx context.Context, made acme.Order) error {
	const tries = 5
	var err error
	for range tries {
		changed := w.state.Object.DeepCopy()
		changed.Status = core.Created(changed.Status, made)
		if err = w.Write.UpdateStatus(ctx, w.owner, cluster.Order, changed, manager); err == nil {
			w.state.Object = changed
			return nil
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		live := &acmev1.Order{}
		if err := w.Live.Get(ctx, w.owner.NamespacedName, live); err != nil {
			return err
		}
		if live.UID != w.state.Object.UID || live.Status.URL != "" {
			return cluster.ErrStale
		}
		w.state.Object = live
	}
	return err
}

// heard notes what the server has told about the order.
func (w *work) heard(o acme.Order) {
	if w.session.server != nil && w.session.server.Status == o.Status {
		w.session.polls++
	} else {
		w.session.polls = 0
	}
	w.session.server, w.session.fetchedAt = &o, w.Clock.Now()
}

func (w *work) fetch(ctx context.Context) error {
	o, err := w.client.Order(ctx, w.state.Object.Status.URL)
	if err != nil {
		return &serverError{err}
	}
	w.heard(o)
	if w.state.Object.Status.FinalizeURL == "" || len(w.state.Object.Status.Authorizations) == 0 {
		changed := w.state.Object.DeepCopy()
		changed.Status = core.Created(changed.Status, o)
		changed.Status.URL = w.state.Object.Status.URL
		w.state.Object = changed
	}
	return nil
}

// authorize fetches all authorizations and stores what they offer: the
// Challenges are checked against it.
func (w *work) authorize(ctx context.Context) error {
	urls := w.state.Object.Status.Authorizations
	found := make([]acme.Authorization, len(urls))
	failures := make([]error, len(urls))
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range urls {
		all.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; all.Done() }()
			found[i], failures[i] = w.client.Authorization(ctx, urls[i].URL)
		}()
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return &serverError{err}
		}
	}
	return w.storeStatus(ctx, core.Plan{Status: core.Authorized(*w.state.Object.Status.DeepCopy(), found)})
}

func (w *work) finalize(ctx context.Context) error {
	o, err := w.client.Finalize(ctx, w.state.Object.Status.FinalizeURL, requestDER(w.state.Object.Spec.Request))
	if err != nil {
		return &serverError{err}
	}
	if o.URL == "" {
		o.URL = w.state.Object.Status.URL
	}
	w.heard(o)
	return nil
}

// requestDER is the signing request in DER; old Orders hold it so.
func requestDER(request []byte) []byte {
	if block, _ := pem.Decode(request); block != nil {
		return block.Bytes
	}
	return request
}

func (w *work) download(ctx context.Context) error {
	chain, err := w.client.PreferredChain(ctx, w.session.server.Certificate, w.state.Account.Issuer.PreferredChain)
	if err != nil {
		return &serverError{err}
	}
	csr, err := pki.ParseRequest(w.state.Object.Spec.Request, w.Limits)
	if err != nil {
		return &serverError{fault.New(fault.Permanent, "RequestParsingError", "%v", err)}
	}
	leaf, err := pki.ParseCertificate(chain.PEM, w.Limits)
	if err != nil {
		return &serverError{fault.New(fault.Permanent, "InvalidCertificate", "Invalid certificate retrieved from ACME server: %v", err)}
	}
	ours := pki.PublicKeysEqual(leaf.PublicKey, csr.PublicKey)
	return w.storeStatus(ctx, core.Completed(w.state, chain.PEM, ours, w.Clock.Now()))
}

func (w *work) createChallenges(ctx context.Context, specs []acmev1.ChallengeSpec) error {
	for _, spec := range specs {
		challenge := &acmev1.Challenge{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.owner.Namespace,
				Name:      core.ChallengeName(w.owner.Name, spec),
				// Set from the start, it needs no write of its own.
				Finalizers:      []string{acmev1.ACMEFinalizer},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.state.Object, acmev1.SchemeGroupVersion.WithKind(acmev1.OrderKind))},
			},
			Spec: spec,
		}
		err := w.Write.Create(ctx, w.owner, cluster.Challenge, challenge, manager)
		if apierrors.IsAlreadyExists(err) {
			if err = w.sameChallenge(ctx, challenge); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		w.state.Challenges = append(w.state.Challenges, challenge)
		w.Events.Send(w.state.Object, plan.Event{
			Reason: "Created", Component: manager, Verbose: true,
			Message: fmt.Sprintf("Created Challenge resource %q for domain %q", challenge.Name, spec.DNSName),
		})
	}
	return nil
}

// sameChallenge looks at a Challenge that has the name of the one to create:
// our own, which a cache does not show yet, or one that is in the way.
func (w *work) sameChallenge(ctx context.Context, wanted *acmev1.Challenge) error {
	live := &acmev1.Challenge{}
	if err := w.Live.Get(ctx, client.ObjectKeyFromObject(wanted), live); err != nil {
		return err
	}
	if metav1.IsControlledBy(live, w.state.Object) && live.DeletionTimestamp == nil && core.SameChallenge(&live.Spec, &wanted.Spec) {
		w.state.Challenges = append(w.state.Challenges, live)
		return nil
	}
	return fmt.Errorf("found Challenge %s/%s that is not this Order's, retrying", live.Namespace, live.Name)
}

func (w *work) deleteChallenges(ctx context.Context, challenges []*acmev1.Challenge) error {
	gone := map[string]bool{}
	for _, c := range challenges {
		if err := w.Write.Delete(ctx, w.owner, cluster.Challenge, c); err != nil {
			return err
		}
		gone[c.Name] = true
	}
	var left []*acmev1.Challenge
	for _, c := range w.state.Challenges {
		if !gone[c.Name] {
			left = append(left, c)
		}
	}
	w.state.Challenges = left
	return nil
}
