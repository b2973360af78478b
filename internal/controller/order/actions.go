package order

import (
	"context"
	"fmt"
	"sync"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// requestTimeout bounds an action at the ACME server, which may be many
	// requests.
	requestTimeout = 2 * time.Minute
	// parallel is how many authorizations of one order are fetched at a time.
	parallel = 8
)

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case core.CreateChallenges:
		return w.createChallenges(ctx, a.Specs)
	case core.DeleteChallenges:
		if core.Ended(w.State.Object) {
			// Those that were woken when the status was stored may have looked at a
			// cache that did not show it yet.
			w.c.wakeClass(w.memory)
		}
		return w.deleteChallenges(ctx, a.Challenges)
	case core.Override:
		return w.override(ctx, a.Annotations)
	case core.SuspectAccount:
		w.suspectAccount(ctx, a)
		return nil
	case core.HoldBack:
		w.holdBack(a)
		return nil
	default:
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		err := w.doAtServer(ctx, action)
		if err != nil {
			w.Memory.Failed(action, err, w.c.deps.Clock.Now())
		}
		return err
	}
}

// override takes over annotations that change a solver.
func (w *work) override(ctx context.Context, annotations map[string]string) error {
	changed := core.WithOverrides(w.State.Object, annotations)
	if err := w.c.deps.Server.PatchMetadata(ctx, w.subject, w.State.Object, changed, core.Manager); err != nil {
		return err
	}
	w.Replace(changed)
	return nil
}

// holdBack notes when the order may be asked for again, and gates the account.
func (w *work) holdBack(a core.HoldBack) {
	w.NotBefore, w.NotBeforeOf = a.Until, ""
	if w.Account != nil {
		w.NotBeforeOf = w.Account.URL
	}
	if !a.Gate.IsZero() && w.issuer != nil {
		w.c.deps.Accounts.Gate(w.issuer.GetUID(), a.Gate, a.Cause)
	}
}

// doAtServer carries an action out at the ACME server, and puts the answer into
// the memory. Errors of the server are classified.
func (w *work) doAtServer(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case core.CreateOrder:
		return w.createOrder(ctx, a.Request)
	case core.FetchOrder:
		o, err := w.client.Order(ctx, a.URL)
		return w.record(o, err)
	case core.FetchAuthorizations:
		return w.fetchAuthorizations(ctx, a.URLs)
	case core.Finalize:
		o, err := w.client.Finalize(ctx, a.URL, a.CSR)
		// The answer may lack the URL.
		o.URL = w.State.Object.Status.URL
		return w.record(o, err)
	case core.Download:
		chain, err := w.client.PreferredChain(ctx, a.URL, a.PreferredChain)
		if err != nil {
			return w.classify(err)
		}
		w.downloaded(chain.PEM)
		return nil
	default:
		return fmt.Errorf("unknown action %T", action)
	}
}

// downloaded notes the certificate, and hands it on before it is stored: the
// request may see the status before this controller has the API server's answer.
func (w *work) downloaded(chain []byte) {
	w.Chain = chain
	w.c.deps.Answers.Put(w.State.Object.UID, cluster.Answer{Chain: chain})
}

// record notes the server's answer about the order.
func (w *work) record(o acme.Order, err error) error {
	if err != nil {
		return w.classify(err)
	}
	w.Record(o, w.c.deps.Clock.Now())
	w.Memory.Account = w.client.AccountURL()
	return nil
}

// classify says what to do about an error of the ACME server. Only such errors
// are classified: those of the API server are for the driver.
func (w *work) classify(err error) error { return acme.Classify(err, w.c.deps.Clock.Now()) }

// createOrder has the server create the order, unless another Order of the class
// is doing so, or another one finds out whether a rate limit is over.
func (w *work) createOrder(ctx context.Context, request acme.OrderRequest) error {
	by := holder{key: w.subject.NamespacedName, uid: w.memory.uid}
	if !w.c.claims.take(w.memory.class, by, w.c.stands) {
		return cluster.ErrStale
	}
	if !w.mayAsk() {
		w.c.unclaim(w.memory)
		return cluster.ErrStale
	}
	created, err := w.client.NewOrder(ctx, request)
	if err != nil {
		w.c.unclaim(w.memory)
	}
	w.answered(err, request)
	return w.record(created, err)
}

// mayAsk reports whether the account's new orders are not held back.
func (w *work) mayAsk() bool {
	return w.issuer == nil || w.c.deps.Accounts.Ask(w.issuer.GetUID(), w.c.deps.Clock.Now())
}

// answered lets the account's other Orders go if the server's answer shows that a
// rate limit of the account is over.
func (w *work) answered(err error, request acme.OrderRequest) {
	if w.issuer == nil || err != nil && (acme.ProblemOf(err) == nil || acme.LimitsAccount(err, request.Identifiers)) {
		return
	}
	if w.c.deps.Accounts.Answered(w.issuer.GetUID()) {
		w.c.driver.Requeue.Wake(controller.KeysOf(w.c.deps.Orders.OpenOf(w.issuer))...)
	}
}

// stands reports whether the cache does not show yet that an Order has a URL, or
// has ended.
func (c *Controller) stands(h holder) bool {
	o, open, err := c.deps.Orders.Get(h.key)
	return err == nil && open && o.UID == h.uid && o.Status.URL == "" && o.DeletionTimestamp == nil
}

// fetchAuthorizations fetches all authorizations of the order.
func (w *work) fetchAuthorizations(ctx context.Context, urls []string) error {
	found := make([]acme.Authorization, len(urls))
	failures := make([]error, len(urls))
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range urls {
		all.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; all.Done() }()
			found[i], failures[i] = w.client.Authorization(ctx, urls[i])
		}()
	}
	all.Wait()
	for i, err := range failures {
		switch {
		case err != nil:
			return w.classify(err)
		case found[i].Identifier.Value == "":
			return fault.New(fault.Transient, "ServerError", "the ACME server sent an authorization without an identifier")
		}
	}
	w.Authorizations = found
	return nil
}

// suspectAccount has the issuer register its account again, unless that has
// happened since the refused action began.
func (w *work) suspectAccount(ctx context.Context, a core.SuspectAccount) {
	now := w.c.deps.Clock.Now()
	if at := w.c.deps.Accounts.Suspect(w.issuer.GetUID(), a.Began, now, a.Cause); !at.IsZero() {
		// The issuer waits by itself if it is not to register yet, and says so.
		w.c.deps.Suspected.Publish(ctx, controller.IssuerNews{Issuer: w.issuer, At: now})
	}
	w.loadAccount()
}

// challengeEvent announces a Challenge of the Order.
func challengeEvent(c *acmev1.Challenge) plan.Event {
	return plan.Event{
		Reason: acmev1.EventReasonCreated, Component: core.Manager, Verbose: true,
		Message: fmt.Sprintf("Created Challenge resource %q for domain %q", c.Name, c.Spec.DNSName),
	}
}
