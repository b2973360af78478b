package challenge

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// strict fails to look at objects of a name, as client-go does if no object can
// have the name.
type strict struct {
	*api
	name string
}

func (s strict) Live(ctx context.Context, key types.NamespacedName, into client.Object) error {
	if key.Name == s.name {
		return errors.New("invalid resource name")
	}
	return s.api.Live(ctx, key, into)
}

// An ended Challenge that cannot be looked at, such as one whose owner reference
// somebody has edited, stops no other.
func TestRecallOfOneFails(t *testing.T) {
	at := metav1.NewTime(start.Add(-time.Hour))
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("bad", "one", "a/b", func(c *acmev1.Challenge) {
		c.Status = acmev1.ChallengeStatus{State: acmev1.Valid, PresentedAt: &at}
	}))
	s.Deps.API = strict{s.api, "a/b"}
	s.first(t)
	if _, err := s.Load(t.Context(), s.stored(t, "a")); err != nil {
		t.Errorf("another Challenge: %v", err)
	}
}

// A validation of the day before yesterday is in no cache: nobody looks its Order up.
func TestRecallOfTheOld(t *testing.T) {
	looked := map[string]bool{}
	for name, ago := range map[string]time.Duration{"new": time.Hour, "old": 48 * time.Hour} {
		s := newStage(t, acmeIssuer("one"), challengeOf(name, "one", "o", func(c *acmev1.Challenge) {
			c.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, PresentedAt: &metav1.Time{Time: start.Add(-ago)}}
		}))
		s.first(t)
		looked[name] = s.memories.Find(key(name), "") != nil
	}
	if !looked["new"] || looked["old"] {
		t.Errorf("looked at: %v", looked)
	}
}

// A time in the future, from another process's clock, counts as now.
func TestRecallOfTheFuture(t *testing.T) {
	future := metav1.NewTime(start.Add(365 * 24 * time.Hour))
	s := core.State{CA: "ca", Object: challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
		c.Status = acmev1.ChallengeStatus{State: acmev1.Valid, PresentedAt: &future}
	})}
	if got := s.Recall(start); got != (core.RememberValidation{PresentedAt: start, EndedAt: start}) {
		t.Errorf("%+v", got)
	}
}

// No clean-up is tried for a Challenge that was created after this process began
// and that it has not presented. One that was created before, or about then, may
// have been presented by an earlier process even if the cache showed it late.
func TestPresentedByAnEarlierProcess(t *testing.T) {
	for name, test := range map[string]struct {
		created time.Duration
		want    bool
	}{
		"long before":  {-time.Hour, false},
		"about then":   {30 * time.Second, false},
		"long after":   {time.Hour, true},
		"a clock that": {clockMargin, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("x", "one", "o"))
			s.first(t)
			c := challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
				c.CreationTimestamp = metav1.NewTime(start.Add(test.created))
			})
			c.ResourceVersion = ""
			if err := s.api.Create(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if w := s.load(t, "a"); w.Memory.Began != test.want {
				t.Errorf("began %t, want %t", w.Memory.Began, test.want)
			}
		})
	}
}
