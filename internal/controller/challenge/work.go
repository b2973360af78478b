package challenge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

// askTimeout bounds one action at a foreign server.
const askTimeout = time.Minute

var errIssuerGone = fault.New(fault.Transient, cmv1.EventReasonIssuerNotFound, "the issuer is gone, and with it the credentials to remove the record")

// work is one reconcile of one Challenge.
type work struct {
	core.State
	c       *Controller
	subject plan.Ref
	memory  *memory
	// issuer is the Challenge's, nil if there is none or it is no ACME issuer.
	issuer cmv1.GenericIssuer
	// client is that of the account.
	client *acme.Client
	order  *acmev1.Order
	// others are the other live Challenges for the same name.
	others []*acmev1.Challenge
}

// Object implements controller.Work.
func (w *work) Object() *acmev1.Challenge { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(c *acmev1.Challenge) { w.State.Object = c }

// Do implements controller.Work.
func (w *work) Do(ctx context.Context, action plan.Action) error {
	defer w.remember()
	switch a := action.(type) {
	case core.NoteWait:
		w.Memory.Waiting, w.Memory.WaitingSince = a.Reason, w.c.Clock.Now()
		return nil
	case core.TakeSlot:
		o := w.State.Object
		w.c.slots.Acquire(w.subject.NamespacedName, core.IssuerOf(o), o.Status.Presented, w.c.Clock.Now())
		w.Slot = w.c.slots.Of(w.subject.NamespacedName)
		return nil
	case core.ReleaseSlot:
		w.c.Yield(w.subject.NamespacedName)
		w.Slot = core.NoSlot
		return nil
	case core.SuspectAccount:
		return w.suspectAccount(ctx, a)
	case core.RememberValidation:
		return w.rememberValidation(a)
	case core.AddFinalizer:
		err := w.setFinalizers(ctx, append(slices.Clone(w.State.Object.Finalizers), acmev1.ACMEFinalizer))
		w.Memory.Began = w.Memory.Began || err == nil
		return err
	case core.RemoveFinalizer:
		return w.removeFinalizer(ctx, a)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch a := action.(type) {
	case core.Present, core.Probe, core.CleanUp:
		if w.mustWait(action) {
			return nil
		}
		return w.postponed(w.solve(ctx, action))
	case core.Accept:
		return w.postponed(w.accept(ctx, a))
	case core.FetchAuthorization:
		return w.postponed(w.fetchAuthorization(ctx, a.URL))
	default:
		return fmt.Errorf("unknown action %T", action)
	}
}

// postponed notes until when a server that failed asked to be left alone.
func (w *work) postponed(err error) error {
	if f := fault.Of(err); f != nil && f.Class == fault.Later {
		w.Memory.NotBefore = f.At
	}
	return err
}

// remember keeps what an action has changed.
func (w *work) remember() {
	w.memory.Memory = w.Memory
	progress := w.Memory.Progress(w.c.Clock.Now())
	w.memory.progress.Store(&progress)
}

// challenge returns what a Solver needs to know of a Challenge of the issuer.
func (w *work) challenge(c *acmev1.Challenge) solver.Challenge {
	if w.issuer == nil {
		return solver.ChallengeOf(c, w.CA, "")
	}
	challenge := solver.ChallengeOf(c, w.CA, w.c.Issuers.SecretNamespace(w.issuer))
	challenge.CacheFloor = settingsOf(w.issuer.GetAnnotations()).cacheFloor
	return challenge
}

// session returns the Challenge's Session. One that has presented nothing is
// begun again if the Challenge has changed.
func (w *work) session() (solver.Session, error) {
	m := w.memory
	if m.session != nil && (m.session.Presented() || w.issuer == nil) {
		return m.session, nil
	}
	if w.issuer == nil && !w.unaided() {
		return nil, errIssuerGone
	}
	challenge := w.challenge(w.State.Object)
	if m.session != nil && equality.Semantic.DeepEqual(m.begun, challenge) {
		return m.session, nil
	}
	begun, err := w.c.Solvers.Begin(challenge)
	if err != nil {
		return nil, err
	}
	m.session, m.begun = begun, challenge
	m.issuer = issuerOf{ref: w.State.Object.Spec.IssuerRef}
	if w.issuer != nil {
		m.issuer.uid = w.issuer.GetUID()
		w.reportSettings()
	}
	return begun, nil
}

// unaided reports whether the challenge can be cleaned up without its issuer.
func (w *work) unaided() bool {
	_, ok := w.c.Solvers[w.State.Object.Spec.Type].(solver.Unaided)
	return ok
}

// observer returns who learns what the CA does; for a challenge that has no
// Solver in this build, nobody.
func (w *work) observer() solver.Observer {
	session, err := w.session()
	if err != nil {
		return solver.ObserverOf(nil)
	}
	return solver.ObserverOf(session)
}

// solve has the Session carry an action out. It logs the cause of an error, which
// is in no status.
func (w *work) solve(ctx context.Context, action plan.Action) error {
	session, err := w.session()
	if err != nil {
		return err
	}
	switch action.(type) {
	case core.Present:
		// Others for the same value must not remove it from now on.
		w.memory.progress.Store(&core.Progress{Presented: true, PresentedAt: w.c.Clock.Now()})
		err = session.Present(ctx)
		w.Memory.Presented = session.Presented()
		w.Memory.Unknown = err != nil && w.Memory.Presented && fault.Of(err).Class == fault.Transient
		if err == nil {
			if describer, ok := session.(solver.Describer); ok {
				w.Memory.How, w.Memory.Unusual = describer.Describe()
			}
			if w.State.Object.Status.Presented {
				w.Memory.Rewrites++
			}
			w.Memory.PresentedAt, w.Memory.Evidence = w.c.Clock.Now(), nil
		}
	case core.Probe:
		var evidence propagation.Evidence
		evidence, err = session.Check(ctx)
		if w.Memory.ProbeFailed = err != nil; err == nil {
			w.seen(ctx, evidence)
		}
		w.lookForCause()
	case core.CleanUp:
		err = session.CleanUp(ctx)
		if w.Memory.CleanedUp = err == nil; err != nil {
			w.Memory.CleanUps++
		}
	}
	w.noteLimit(err)
	if err == nil {
		return nil
	}
	if cause := errors.Unwrap(fault.Of(err)); cause != nil {
		logr.FromContextOrDiscard(ctx).V(2).Info("Solver failed", "challenge", session.String(), "error", err.Error(), "cause", cause.Error())
	}
	return err
}

// seen notes what a probe has found.
func (w *work) seen(ctx context.Context, evidence propagation.Evidence) {
	var presented time.Time
	if at := w.State.Object.Status.PresentedAt; at != nil {
		presented = at.Time
	}
	w.Memory.Saw(evidence, presented, w.c.Clock.Now())
	w.remember()
	if w.Memory.Progress(w.c.Clock.Now()).Visible {
		w.memory.cause.Store(nil)
		w.wakeSiblings(ctx)
	}
}

func (w *work) accept(ctx context.Context, a core.Accept) error {
	now, observer := w.c.Clock.Now(), w.observer()
	observer.Accepted(now)
	challenge, err := w.client.Accept(ctx, a.URL)
	w.Memory.Accepts++
	if err != nil && !core.AlreadyAccepted(err) {
		problem := acme.ProblemOf(err)
		w.Memory.Unanswered = problem == nil || problem.Status >= 500
		if !w.Memory.Unanswered {
			observer.Refused(now)
		}
		return acme.Classify(err, w.c.Clock.Now())
	}
	w.Memory.AcceptedAt, w.Memory.Skipped = now, a.Skipped
	logr.FromContextOrDiscard(ctx).V(4).Info("Asked the ACME server to validate", "dnsName", w.State.Object.Spec.DNSName, "status", challenge.Status)
	return nil
}

func (w *work) fetchAuthorization(ctx context.Context, url string) error {
	authorization, err := w.client.Authorization(ctx, url)
	now := w.c.Clock.Now()
	if err != nil {
		return acme.Classify(err, now)
	}
	m := &w.Memory
	if m.Authorization != nil && m.Authorization.Status == authorization.Status {
		m.Checks++
	}
	m.Authorization, m.CheckedAt, m.Unanswered = &authorization, now, false
	switch authorization.Status {
	case acme.StatusPending:
		if m.AcceptedAt.IsZero() && (w.AskedAnyway() || core.BeingValidated(&authorization, w.State.Object.Spec.URL)) {
			m.AcceptedAt = now
		}
	case acme.StatusInvalid:
		w.observer().Concluded(true, core.Missed(&authorization, w.State.Object.Spec.URL), now)
		w.c.failures.Add(w.client.AccountURL(), w.State.Object.Spec.DNSName, now)
	default:
		w.observer().Concluded(false, "", now)
		if authorization.Status == acme.StatusValid {
			w.tellVerified(ctx)
		}
	}
	return nil
}

// tellVerified tells the Order that the server has validated the challenge: it need not
// wait until the status says so.
func (w *work) tellVerified(ctx context.Context) {
	object := w.State.Object
	w.c.API.Send(object, core.Verified(object))
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
		w.c.Verified.Publish(ctx, controller.Verified{
			Challenge: object.UID, Order: types.NamespacedName{Namespace: object.Namespace, Name: owner.Name},
		})
	}
}

func (w *work) rememberValidation(a core.RememberValidation) error {
	if restorer, ok := w.c.Solvers[w.State.Object.Spec.Type].(solver.Restorer); ok {
		restorer.Restore(w.challenge(w.State.Object), a.PresentedAt, a.EndedAt, a.Failed)
	}
	w.Memory.Remembered = true
	return nil
}

// suspectAccount takes the account out of use, and has the issuer set up again.
func (w *work) suspectAccount(ctx context.Context, a core.SuspectAccount) error {
	if w.issuer != nil {
		now := w.c.Clock.Now()
		if at := w.c.Accounts.Suspect(w.issuer.GetUID(), a.Began, now, a.Cause); !at.IsZero() {
			// The issuer waits by itself if it is not to register yet, and says so.
			w.c.Suspected.Publish(ctx, controller.IssuerNews{Issuer: w.issuer, At: now})
		}
	}
	w.loadAccount()
	return nil
}

func (w *work) setFinalizers(ctx context.Context, finalizers []string) error {
	changed := w.State.Object.DeepCopy()
	changed.Finalizers = finalizers
	if err := w.c.API.PatchMetadata(ctx, w.subject, w.State.Object, changed, core.Manager); err != nil {
		return err
	}
	w.State.Object = changed
	return nil
}
