package challenge

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

const (
	// viewTime bounds how long name servers are asked for an answer: a person waits
	// for it.
	viewTime = 4 * time.Second
	// answerKept is how long an answer stays at its Challenge if nobody removes it.
	answerKept = time.Minute
	// maxAnswer bounds an answer, in bytes: all annotations of an object have 256 KiB.
	maxAnswer = 48 << 10
	// maxViews bounds the answers that are worked out at once, maxQuestions those that
	// are remembered until their answer is removed. A question beyond them is not
	// lost: the next event of its Challenge asks again.
	maxViews     = 8
	maxQuestions = 256
	// storeTries is how often an answer is stored, as others write to the Challenge.
	storeTries = 3
)

// question is what somebody asks about a Challenge.
type question struct {
	of types.UID
	id string
}

// witnesses answers those who ask what the controllers see of a Challenge.
type witnesses struct {
	group sync.WaitGroup
	mu    sync.Mutex
	// open are the questions whose answer has not been removed yet.
	open map[question]bool
	// views holds a place for each answer that is being worked out.
	views chan struct{}
}

// take reports whether a question is new and can be answered.
func (s *witnesses) take(q question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[q] || len(s.open) >= maxQuestions {
		return false
	}
	s.open[q] = true
	return true
}

func (s *witnesses) release(q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, q)
}

// testify answers the question that a Challenge carries, in the background, and
// removes old answers.
func (c *Controller) testify(ctx context.Context, object *acmev1.Challenge) error {
	id, asked := object.Annotations[diagnosis.AskAnnotation]
	q := question{object.UID, id}
	if !asked || object.DeletionTimestamp != nil || !c.witnesses.take(q) {
		return nil
	}
	answered := answerTo(object, id)
	answer, witness := diagnosis.Answer{ID: id}, solver.Witness(nil)
	if answered == nil {
		w, err := c.load(ctx, object)
		if err != nil {
			c.witnesses.release(q)
			return err
		}
		answer, witness = w.witness(id)
	}
	key := client.ObjectKeyFromObject(object)
	c.witnesses.group.Go(func() {
		defer c.witnesses.release(q)
		if answered == nil {
			c.witnesses.views <- struct{}{}
			c.answer(key, q, answer, witness)
			<-c.witnesses.views
		}
		left := answerKept
		if answered != nil && answered.View != nil {
			left -= c.Clock.Since(answered.View.At)
		}
		if left > 0 {
			<-c.Clock.After(left)
		}
		c.retract(key, q)
	})
	return nil
}

// answerTo is the answer to a question that a Challenge has already.
func answerTo(c *acmev1.Challenge, id string) *diagnosis.Answer {
	var a diagnosis.Answer
	if json.Unmarshal([]byte(c.Annotations[diagnosis.AnswerAnnotation]), &a) != nil || a.ID != id {
		return nil
	}
	return &a
}

// witness is who can answer. The solver of a Challenge that is not its issuer's is
// somebody's word only, so nobody is asked by it.
func (w *work) witness(id string) (diagnosis.Answer, solver.Witness) {
	answer := diagnosis.Answer{ID: id}
	object := w.State.Object
	if w.issuer == nil || !w.OwnSolver {
		answer.Problem = "the solver of the Challenge is not one of its issuer's"
		return answer, nil
	}
	if !object.Status.Presented {
		answer.Problem = "the challenge is not presented, so that there is nothing to see yet"
		return answer, nil
	}
	with := w.c.Solvers[object.Spec.Type]
	if placed, ok := with.(solver.Placed); ok {
		answer.Provider = placed.Server(&object.Spec.Solver)
	}
	if with != nil {
		if witness, ok := with.Begin(w.challenge(object)).(solver.Witness); ok {
			return answer, witness
		}
	}
	answer.Problem = "there is nothing to ask about challenges of this type"
	return answer, nil
}

// answer asks and stores what was seen.
func (c *Controller) answer(key types.NamespacedName, q question, answer diagnosis.Answer, witness solver.Witness) {
	if witness != nil {
		ctx, cancel := context.WithTimeout(context.Background(), viewTime)
		view := witness.View(ctx)
		cancel()
		answer.View = &view
	}
	text, err := json.Marshal(answer)
	if err == nil && len(text) > maxAnswer {
		answer.View, answer.Problem = nil, "the answers of the name servers are too many to be shown here"
		text, err = json.Marshal(answer)
	}
	if err != nil {
		return
	}
	c.annotate(key, q, func(annotations map[string]string) {
		annotations[diagnosis.AnswerAnnotation] = string(text)
	})
}

// retract removes a question and its answer.
func (c *Controller) retract(key types.NamespacedName, q question) {
	c.annotate(key, q, func(annotations map[string]string) {
		delete(annotations, diagnosis.AskAnnotation)
		delete(annotations, diagnosis.AnswerAnnotation)
	})
}

// annotate changes the annotations of a Challenge that still carries a question.
func (c *Controller) annotate(key types.NamespacedName, q question, change func(map[string]string)) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	for range storeTries {
		before := &acmev1.Challenge{}
		if err := c.API.Live(ctx, key, before); err != nil || before.UID != q.of || before.Annotations[diagnosis.AskAnnotation] != q.id {
			return
		}
		changed := before.DeepCopy()
		change(changed.Annotations)
		subject := plan.Ref{Kind: acmev1.ChallengeKind, NamespacedName: key}
		err := c.API.PatchMetadata(ctx, subject, before, changed, core.Manager)
		if err == nil || !apierrors.IsConflict(err) {
			if err != nil {
				c.Log.Info("What is seen of a Challenge could not be stored for the one who asks", "challenge", key.String(), "error", err.Error())
			}
			return
		}
	}
}
