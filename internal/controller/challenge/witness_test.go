package challenge

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/facts"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
)

// seer is a Solver whose Sessions see something, of HTTP-01 if it is http, or panic.
type seer struct{ panics, http bool }

type sees struct {
	recorded
	seer
}

func (s seer) Begin(solver.Challenge) solver.Session {
	return &sees{recorded{recorder: &recorder{}}, s}
}

func (s *sees) View(context.Context) solver.View {
	if s.panics {
		panic("hostile data")
	}
	if s.http {
		return solver.View{HTTP: &selfcheck.View{Report: selfcheck.Report{Name: "seen", At: start}}}
	}
	return solver.View{DNS: &propagation.View{Name: "seen."}}
}

// oneAccount is the ACME account of all issuers.
type oneAccount struct{ facts.Account }

func (a oneAccount) Get(types.UID) (*acme.Client, *facts.Account, bool) {
	return acme.New(acme.Config{}), &a.Account, true
}

func (oneAccount) Suspect(types.UID, time.Time, time.Time, string) time.Time { return time.Time{} }

// called are an approved request, its Order, and the presented Challenge "a" that the
// Order calls for, with their issuer and its account.
type called struct {
	issuer    *cmv1.Issuer
	request   *cmv1.CertificateRequest
	order     *acmev1.Order
	challenge *acmev1.Challenge
	account   Accounts
}

func newCalled() *called {
	c := &called{issuer: acmeIssuer("one")}
	c.issuer.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	crt := lifecycletest.NewCertificate(func(c *cmv1.Certificate) {
		c.Namespace, c.Spec.DNSNames, c.Spec.IssuerRef = "ns", []string{"a.example"}, cmmeta.IssuerReference{Name: "one"}
	})
	c.request = lifecycletest.NewRequest(crt, lifecycletest.Key(1), 1,
		lifecycletest.RequestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", start))
	c.order = lifecycletest.MustOrder(order.Build(c.request, c.issuer.Spec.ACME, pki.DefaultLimits))
	c.order.Name, c.order.UID = "o", "o"
	c.order.Status.Authorizations = []acmev1.ACMEAuthorization{lifecycletest.Authorization("a.example", false)}
	account := facts.Account{Issuer: c.issuer.Spec.ACME, Thumbprint: "thumb"}
	wanted, _ := order.WantedChallenges(c.order, &account)
	c.challenge = challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
		c.Spec, c.Status.Presented = wanted[0], true
	})
	c.account = oneAccount{account}
	return c
}

// questioned is a stage with the Challenge, which carries annotations.
func (c *called) questioned(t *testing.T, with seer, annotations map[string]string) *stage {
	t.Helper()
	c.challenge.Annotations = annotations
	s := newStage(t, c.issuer, c.request, c.order, c.challenge)
	s.Solvers[acmev1.ACMEChallengeTypeDNS01], s.Accounts = with, c.account
	return s
}

// questioned is a stage with a presented Challenge "a" that carries annotations.
func questioned(t *testing.T, with seer, annotations map[string]string) *stage {
	t.Helper()
	return newCalled().questioned(t, with, annotations)
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

// TestHTTPQuestionIsAnswered: what the addresses of a name answer is stored beside the
// question, and what is not asked is said in the words of HTTP-01.
func TestHTTPQuestionIsAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*called)
		want   diagnosis.Answer
	}{
		"called for": {func(*called) {}, diagnosis.Answer{ID: "1", HTTP: &selfcheck.View{Report: selfcheck.Report{Name: "seen", At: start}}}},
		"solver gone": {
			func(c *called) {
				c.issuer.Status.Conditions, c.issuer.Spec.ACME.Solvers = nil, nil
				c.challenge.Status.State, c.order.Status.State = acmev1.Invalid, acmev1.Invalid
			},
			diagnosis.Answer{ID: "1", Problem: notAskedHTTP + ` while the ACME account of Issuer "one" is not ready: until then, it cannot be compared with what its Order calls for`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCalled()
			overHTTP(c)
			test.change(c)
			s := c.questioned(t, seer{http: true}, map[string]string{diagnosis.AskAnnotation: "1"})
			s.Solvers[acmev1.ACMEChallengeTypeHTTP01] = seer{http: true}
			s.asks(t)
			if diff := cmp.Diff(test.want, s.answered(t)); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
			s.over(t)
		})
	}
}

// overHTTP has the Order call for HTTP-01.
func overHTTP(c *called) {
	c.issuer.Spec.ACME.Solvers = []acmev1.ACMEChallengeSolver{{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{}}}}
	account := facts.Account{Issuer: c.issuer.Spec.ACME, Thumbprint: "thumb"}
	wanted, _ := order.WantedChallenges(c.order, &account)
	c.challenge.Spec, c.account = wanted[0], oneAccount{account}
}

// TestWhoIsAsked holds that name servers are asked only for a Challenge that an Order,
// which an approved request calls for, calls for, in whatever state it is. Who may create
// or change Challenges cannot have the controllers ask about other names. In each other
// case the answer says why nobody is asked.
func TestWhoIsAsked(t *testing.T) {
	const (
		forged  = notAsked + ": The Challenge is not what its Order and the issuer's solvers call for; no credential is used for it"
		orphan  = notAsked + ": The Challenge is not controlled by an Order; no credential is used for it"
		unready = notAsked + ` while the ACME account of Issuer "one" is not ready: until then, it cannot be compared with what its Order calls for`
	)
	ended := func(c *called) { c.challenge.Status.State, c.order.Status.State = acmev1.Invalid, acmev1.Invalid }
	otherName := func(c *called) { c.challenge.Spec.DNSName = "victim.example" }
	notReady := func(c *called) { c.issuer.Status.Conditions = nil }
	byHand := func(c *called) { c.challenge.OwnerReferences = nil }
	for name, test := range map[string]struct {
		change []func(*called)
		// want is the problem, empty if name servers are asked.
		want string
	}{
		"called for":                        {nil, ""},
		"ended":                             {[]func(*called){ended}, ""},
		"made by hand":                      {[]func(*called){byHand}, orphan},
		"made by hand, ended":               {[]func(*called){byHand, ended}, orphan},
		"made by hand, issuer not ready":    {[]func(*called){byHand, notReady}, orphan},
		"another name":                      {[]func(*called){otherName}, forged},
		"another name, ended":               {[]func(*called){otherName, ended}, forged},
		"another name, issuer not ready":    {[]func(*called){otherName, notReady}, unready},
		"another name, ended, not ready":    {[]func(*called){otherName, notReady, ended}, unready},
		"another value":                     {[]func(*called){func(c *called) { c.challenge.Spec.Key = "x" }}, forged},
		"another Order of the name":         {[]func(*called){func(c *called) { c.order.UID = "again" }}, orphan},
		"a request that nobody has allowed": {[]func(*called){func(c *called) { c.request.Status.Conditions = nil }}, notAsked + ": The CertificateRequest that controls the Order is not approved"},
		"an Order by hand":                  {[]func(*called){func(c *called) { c.order.OwnerReferences = nil }}, notAsked + ": The Order is not controlled by a CertificateRequest; nothing is asked of the ACME server for it"},
		"issuer not ready":                  {[]func(*called){notReady}, unready},
		"no account yet":                    {[]func(*called){func(c *called) { c.account = &issueracme.Accounts{} }}, unready},
		"issuer gone":                       {[]func(*called){func(c *called) { c.issuer.Name = "two" }}, notAsked + `: there is no ACME Issuer "one"`},
		"solver gone":                       {[]func(*called){ended, notReady, func(c *called) { c.issuer.Spec.ACME.Solvers = nil }}, notAsked + ": its solver is not one of its issuer's"},
		"an Order that cannot be named":     {[]func(*called){ended, func(c *called) { c.challenge.OwnerReferences[0].Name = "a/b" }}, notAsked + ": its Order cannot be looked up: invalid resource name"},
		"not presented":                     {[]func(*called){func(c *called) { c.challenge.Status.Presented = false }}, "the challenge is not presented, so that there is nothing to see"},
		"cleaned up":                        {[]func(*called){ended, func(c *called) { c.challenge.Status.Presented = false }}, "the challenge is not presented, so that there is nothing to see"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCalled()
			for _, change := range test.change {
				change(c)
			}
			s := c.questioned(t, seer{}, map[string]string{diagnosis.AskAnnotation: "1"})
			s.Deps.API = strict{s.api, "a/b"}
			s.asks(t)
			want := diagnosis.Answer{ID: "1", Problem: test.want}
			if test.want == "" {
				want.View = &propagation.View{Name: "seen."}
			}
			if diff := cmp.Diff(want, s.answered(t)); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
			s.over(t)
		})
	}
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
