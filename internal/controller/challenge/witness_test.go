package challenge

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

// seer is a Solver whose Sessions see something, or panic.
type seer struct{ panics bool }

type sees struct {
	recorded
	seer
}

func (s seer) Begin(solver.Challenge) solver.Session {
	return &sees{recorded{recorder: &recorder{}}, s}
}

func (s *sees) View(context.Context) propagation.View {
	if s.panics {
		panic("hostile data")
	}
	return propagation.View{Name: "seen."}
}

// questioned is a stage with a presented Challenge "a" that carries annotations.
func questioned(t *testing.T, with seer, annotations map[string]string) *stage {
	t.Helper()
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
		c.Annotations, c.Status.Presented = annotations, true
	}))
	s.Solvers[acmev1.ACMEChallengeTypeDNS01] = with
	return s
}

// asks is what the driver does at an event.
func (s *stage) asks(t *testing.T) {
	t.Helper()
	if _, _, err := s.Get(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
}

// answered waits until an answer is there and waits for its removal.
func (s *stage) answered(t *testing.T) diagnosis.Answer {
	t.Helper()
	for !s.clock.HasWaiters() {
		runtime.Gosched()
	}
	var a diagnosis.Answer
	if text := s.stored(t, "a").Annotations[diagnosis.AnswerAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// over has the time pass until no question is open.
func (s *stage) over(t *testing.T) {
	t.Helper()
	s.clock.Step(answerKept)
	s.witnesses.group.Wait()
	if n := len(s.witnesses.open); n != 0 {
		t.Errorf("%d questions are open", n)
	}
	if left := s.stored(t, "a").Annotations; len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

func TestQuestionIsAnswered(t *testing.T) {
	s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: "1"})
	s.asks(t)
	if a := s.answered(t); a.ID != "1" || a.View == nil || a.View.Name != "seen." {
		t.Errorf("the answer is %+v", a)
	}
	s.asks(t)
	s.over(t)
}

// A newer question takes the place of an older one, and its answer says so.
func TestNewerQuestion(t *testing.T) {
	s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: "1"})
	s.asks(t)
	s.answered(t)
	c := s.stored(t, "a")
	c.Annotations[diagnosis.AskAnnotation] = "2"
	if err := s.api.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.asks(t)
	for s.answered(t).ID != "2" {
		runtime.Gosched()
	}
	if n := len(s.witnesses.open); n != 1 {
		t.Errorf("%d questions are open for one Challenge", n)
	}
	for s.clock.Waiters() < 2 {
		runtime.Gosched()
	}
	s.over(t)
}

// What a tenant writes cannot end the process, or hold a place.
func TestHostileQuestions(t *testing.T) {
	future, err := json.Marshal(diagnosis.Answer{ID: "1", View: &propagation.View{At: time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("no id", func(t *testing.T) {
		s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: ""})
		s.asks(t)
		s.witnesses.group.Wait()
	})
	t.Run("a huge id", func(t *testing.T) {
		s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: strings.Repeat("<", maxID+1)})
		s.asks(t)
		s.witnesses.group.Wait()
	})
	t.Run("an answer of the future", func(t *testing.T) {
		s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: "1", diagnosis.AnswerAnnotation: string(future)})
		s.asks(t)
		s.answered(t)
		s.over(t)
	})
	t.Run("a panic", func(t *testing.T) {
		s := questioned(t, seer{panics: true}, map[string]string{diagnosis.AskAnnotation: "1"})
		s.asks(t)
		s.witnesses.group.Wait()
		if n := len(s.witnesses.views) + len(s.witnesses.open); n != 0 {
			t.Errorf("%d places are lost", n)
		}
	})
	t.Run("gone meanwhile", func(t *testing.T) {
		s := questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: "1"})
		s.asks(t)
		s.answered(t)
		s.Forget(key("a"))
		s.witnesses.group.Wait()
	})
}

// One namespace leaves room for the questions of others.
func TestQuestionsOfOneNamespace(t *testing.T) {
	s := &witnesses{open: map[types.UID]open{}}
	ask := func(namespace string, n int) bool {
		_, fresh, room := s.take(question{types.UID(fmt.Sprint(namespace, n)), "1"}, types.NamespacedName{Namespace: namespace, Name: fmt.Sprint(n)})
		return fresh && room
	}
	taken := 0
	for n := range maxQuestions {
		if ask("greedy", n) {
			taken++
		}
	}
	if taken != maxOfOne || !ask("other", 0) {
		t.Errorf("one namespace has %d questions open, want %d, and others none", taken, maxOfOne)
	}
}
