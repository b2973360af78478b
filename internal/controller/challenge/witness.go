package challenge

import (
	"context"
	"encoding/json"
	"fmt"
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
	// viewTime bounds how long servers are asked for an answer: a person waits for it.
	viewTime = 4 * time.Second
	// answerKept is how long an answer stays at its Challenge if nobody removes it.
	answerKept = time.Minute
	// maxAnswer bounds an answer, in bytes: all annotations of an object have 256 KiB.
	maxAnswer = 48 << 10
	// maxViews bounds the answers that are worked out at once, maxQuestions the
	// Challenges with a question whose answer has not been removed yet, and maxOfOne those
	// of one namespace. What is beyond is asked again after askAgain.
	maxViews     = 8
	maxQuestions = 256
	maxOfOne     = 32
	askAgain     = 2 * time.Second
	// maxID bounds the id of a question, in bytes: the answer repeats it.
	maxID = 128
	// storeTries is how often an answer is stored, as others write to the Challenge.
	storeTries = 3
)

// question is what somebody asks about a Challenge.
type question struct {
	of types.UID
	id string
}

// open is a Challenge with a question.
type open struct {
	key types.NamespacedName
	id  string
	// done ends the wait until the answer is removed.
	done context.CancelFunc
}

// witnesses answers those who ask what the controllers see of a Challenge.
type witnesses struct {
	group sync.WaitGroup
	mu    sync.Mutex
	// open are the Challenges with a question: one each.
	open map[types.UID]open
	// views holds a place for each answer that is being worked out.
	views chan struct{}
}

// take reports whether a question is new, and whether there is room for it. A newer
// question takes the place of an older one of its Challenge. The context ends when that
// happens, or when the Challenge is gone.
func (s *witnesses) take(q question, key types.NamespacedName) (ctx context.Context, fresh, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, asked := s.open[q.of]
	if asked && known.id == q.id {
		return nil, false, true
	}
	if !asked {
		own := 0
		for _, o := range s.open {
			if o.key.Namespace == key.Namespace {
				own++
			}
		}
		if len(s.open) >= maxQuestions || own >= maxOfOne {
			return nil, true, false
		}
	} else {
		known.done()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.open[q.of] = open{key: key, id: q.id, done: cancel}
	return ctx, true, true
}

// release ends a question.
func (s *witnesses) release(q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[q.of]; ok && o.id == q.id {
		o.done()
		delete(s.open, q.of)
	}
}

// forget ends the questions of a Challenge that is gone.
func (s *witnesses) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, o := range s.open {
		if o.key == key {
			o.done()
			delete(s.open, of)
		}
	}
}

// testify answers the question that a Challenge carries, in the background, and
// removes old answers.
func (c *Controller) testify(ctx context.Context, object *acmev1.Challenge) error {
	id := object.Annotations[diagnosis.AskAnnotation]
	if id == "" || len(id) > maxID || object.DeletionTimestamp != nil {
		return nil
	}
	q, key := question{object.UID, id}, client.ObjectKeyFromObject(object)
	waiting, fresh, room := c.witnesses.take(q, key)
	switch {
	case !room:
		c.Requeue.Until(key, c.Clock.Now().Add(askAgain))
		return nil
	case !fresh:
		return nil
	}
	answered := diagnosis.AnswerTo(object.Annotations, id)
	answer, witness := diagnosis.Answer{ID: id}, solver.Witness(nil)
	if answered == nil {
		w, err := c.load(ctx, object)
		if err != nil {
			c.witnesses.release(q)
			return err
		}
		answer, witness = w.testimony(ctx, id)
	}
	c.witnesses.group.Go(func() {
		defer c.witnesses.release(q)
		defer c.survive(key)
		if answered == nil {
			select {
			case c.witnesses.views <- struct{}{}:
			case <-waiting.Done():
				return
			}
			func() {
				defer func() { <-c.witnesses.views }()
				c.answer(waiting, key, q, answer, witness)
			}()
		}
		left := answerKept
		if answered != nil && !answered.At().IsZero() {
			// The time is what somebody may have written.
			left = min(max(left-c.Clock.Since(answered.At()), 0), answerKept)
		}
		select {
		case <-c.Clock.After(left):
			c.retract(key, q)
		case <-waiting.Done():
		}
	})
	return nil
}

// survive keeps a fault in what strangers have sent from ending the process.
func (c *Controller) survive(key types.NamespacedName) {
	if r := recover(); r != nil {
		c.Log.Error(fmt.Errorf("panic: %v", r), "What is seen of a Challenge could not be worked out", "challenge", key.String())
	}
}

// answer asks and stores what was seen.
func (c *Controller) answer(ctx context.Context, key types.NamespacedName, q question, answer diagnosis.Answer, witness solver.Witness) {
	if witness != nil {
		ctx, cancel := context.WithTimeout(ctx, viewTime)
		view := witness.View(ctx)
		cancel()
		answer.View, answer.HTTP = view.DNS, view.HTTP
	}
	text, err := json.Marshal(answer)
	if err == nil && len(text) > maxAnswer {
		answer.View, answer.HTTP, answer.Problem = nil, nil, "the answers of the servers are too many to be shown here"
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
