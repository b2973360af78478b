package challenge

import (
	"container/heap"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// quick is how long a server takes that answers.
const quick = 50 * time.Millisecond

// play is Challenges that share slots, in simulated time: the decisions, the slots and
// the ledger are real, the servers are not.
type play struct {
	t      *testing.T
	now    time.Time
	agenda agenda
	slots  *Slots
	max    int
	ledger propagation.Ledger
	actors map[types.NamespacedName]*actor
}

// actor is a Challenge in a play.
type actor struct {
	core.State
	key    types.NamespacedName
	issuer core.Issuer
	// stuck reports whether one of two name servers never gets its record, probe how
	// long a probe takes.
	stuck bool
	probe time.Duration
	// busy reports whether an action goes on, timer counts the times at which it is to
	// come back.
	busy  bool
	timer int

	came, presented, ended, probed time.Time
	probes                         int
	// gap is the longest time without a probe since the record was presented.
	gap time.Duration
}

type happening struct {
	at time.Time
	f  func()
}

type agenda []happening

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

func newPlay(t *testing.T, slots int) *play {
	return &play{t: t, now: start, slots: NewSlots(slots), max: slots, actors: map[types.NamespacedName]*actor{}}
}

func (p *play) at(at time.Time, f func()) { heap.Push(&p.agenda, happening{at, f}) }

func (p *play) run(d time.Duration) {
	end := p.now.Add(d)
	for len(p.agenda) > 0 && !p.agenda[0].at.After(end) {
		next := heap.Pop(&p.agenda).(happening)
		p.now = next.at
		next.f()
	}
	p.now = end
}

// add adds a Challenge of an issuer.
func (p *play) add(issuer, namespace, name string, stuck bool, probe time.Duration) *actor {
	c := &acmev1.Challenge{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(p.now)}}
	c.Spec = acmev1.ChallengeSpec{
		Type: acmev1.ACMEChallengeTypeDNS01, DNSName: name + "." + namespace + ".example", Key: name, URL: "challenge", AuthorizationURL: "authorization",
		IssuerRef: cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: issuer},
	}
	a := &actor{
		key: types.NamespacedName{Namespace: namespace, Name: name}, issuer: core.IssuerOf(c), stuck: stuck, probe: probe, came: p.now,
		State: core.State{Object: c, CA: "ca", Account: &facts.Account{}, OwnSolver: true, Slots: p.max, CheckRetry: 10 * time.Second},
	}
	p.actors[a.key] = a
	p.at(p.now, func() { p.step(a) })
	return a
}

// step decides until there is an action that takes time, or nothing to do.
func (p *play) step(a *actor) {
	for a.timer++; !a.busy; {
		a.Slot = p.slots.Of(a.key)
		next := a.Next(p.now)
		if next.Do == nil || next.Persist == plan.Before {
			changed := !equality.Semantic.DeepEqual(a.Object.Status, next.Status)
			if a.Object.Status = next.Status; changed && next.Do == nil {
				continue
			}
		}
		switch action := next.Do.(type) {
		case nil:
			switch {
			case order.Final(a.Object.Status.State), a.Memory.Authorization != nil:
				a.ended = p.now
				delete(p.actors, a.key)
			case !next.Until.IsZero():
				timer := a.timer
				p.at(next.Until, func() {
					if a.timer == timer {
						p.step(a)
					}
				})
			}
			return
		case core.NoteWait:
			a.Memory.Waiting, a.Memory.WaitingSince = action.Reason, p.now
		case core.TakeSlot:
			p.slots.Acquire(a.key, a.issuer, a.Object.Status.Presented, p.now)
		case core.ReleaseSlot:
			for _, k := range p.slots.Release(a.key) {
				other := p.actors[k]
				p.at(p.now, func() { p.step(other) })
			}
		default:
			p.ask(a, action)
		}
	}
}

// ask carries an action at a server out.
func (p *play) ask(a *actor, action plan.Action) {
	takes, m := quick, &a.Memory
	var then func()
	switch action.(type) {
	case core.AddFinalizer:
		a.Object.Finalizers, m.Began = []string{acmev1.ACMEFinalizer}, true
		return
	case core.Present:
		then = func() { m.Presented, m.PresentedAt, a.presented = true, p.now, p.now }
	case core.Probe:
		takes, then = a.probe, func() { p.probe(a) }
	case core.Accept:
		then = func() { m.AcceptedAt, m.Accepts = p.now, m.Accepts+1 }
	case core.FetchAuthorization:
		then = func() { m.Authorization, m.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, p.now }
	default:
		p.t.Fatalf("unexpected action %s", action)
	}
	a.busy = true
	p.at(p.now.Add(takes), func() {
		then()
		a.busy = false
		p.step(a)
	})
}

func (p *play) probe(a *actor) {
	name := "_acme-challenge." + a.Object.Spec.DNSName + "."
	answer := propagation.Answer{Server: "ns1.example.", Role: propagation.RoleBoth, Zone: "example.", Name: name, Rcode: "NOERROR", Authoritative: true, Values: 1, Has: true}
	other := answer
	if other.Server = "ns2.example."; a.stuck {
		other.Rcode, other.Values, other.Has = "NXDOMAIN", 0, false
	}
	r := propagation.Report{Name: name, Final: name, Value: a.Object.Spec.Key, Zone: "example.", Answers: []propagation.Answer{answer, other}}
	a.Memory.Saw(propagation.Observation{
		Report: r, Entry: p.ledger.Observe(a.CA, r, p.now), Policy: propagation.Policy{Retry: a.CheckRetry}, At: p.now,
	}, a.presented, p.now)
	last := a.probed
	if last.IsZero() {
		last = a.presented
	}
	a.probes, a.probed, a.gap = a.probes+1, p.now, max(a.gap, p.now.Sub(last))
}

// TestStuckChallengesStarveNobody holds that Challenges whose records never appear
// stop no others: not those of another issuer, of another namespace, or later ones of
// their own namespace; and that each of them is still probed, but not more often than
// it has to be.
func TestStuckChallengesStarveNobody(t *testing.T) {
	for _, test := range []struct {
		stuck int
		// probe is how long a probe takes: a server that is silent takes its time.
		probe time.Duration
		// same, namespace and issuer are how long a new Challenge may take in all, of
		// the same namespace, another one, and another issuer. Alone it takes 300 ms.
		same, namespace, issuer time.Duration
		// gap is how long a stuck one may be without a probe.
		gap time.Duration
	}{
		{60, quick, time.Second, time.Second, time.Second, 11 * time.Second},
		{600, quick, time.Second, time.Second, time.Second, 12 * time.Second},
		// All slots can be taken by probes of a server that is silent.
		{60, 10 * time.Second, 11 * time.Second, 11 * time.Second, time.Second, 30 * time.Second},
		// 60 at a time need 100 s for 600.
		{600, 10 * time.Second, 12 * time.Second, 11 * time.Second, time.Second, 150 * time.Second},
		// They are all new, and before the others of their namespace.
		{10_000, quick, 15 * time.Second, time.Second, time.Second, 30 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d, each probe takes %s", test.stuck, test.probe), func(t *testing.T) {
			p := newPlay(t, 60)
			var stuck []*actor
			for i := range test.stuck {
				stuck = append(stuck, p.add("one", "team-a", fmt.Sprint("stuck", i), true, test.probe))
			}
			length, rounds := 10*time.Minute, 20
			if test.stuck > 1000 {
				length, rounds = 30*time.Second, 2
			}
			p.run(length)
			for i := range rounds {
				fresh := map[*actor]time.Duration{
					p.add("one", "team-a", fmt.Sprint("new", i), false, quick):  test.same,
					p.add("one", "team-b", fmt.Sprint("new", i), false, quick):  test.namespace,
					p.add("two", "team-a", fmt.Sprint("also", i), false, quick): test.issuer,
				}
				p.run(13 * time.Second)
				for a, most := range fresh {
					if took := a.ended.Sub(a.came); a.ended.IsZero() || took > most {
						t.Errorf("the new one of issuer %s in %s took %s, more than %s; it says %q", a.issuer.Name, a.key.Namespace, took, most, a.Object.Status.Reason)
					}
				}
			}
			lasted := p.now.Sub(start)
			for _, a := range stuck {
				// 5 probes come before those that are 10 s apart.
				if most := 5 + int(lasted/(10*time.Second)); a.gap > test.gap || a.probes > most || p.now.Sub(a.probed) > test.gap {
					t.Fatalf("%s: %d probes in %s, at most %d are due; the longest gap was %s, more than %s", a.key.Name, a.probes, lasted, most, a.gap, test.gap)
				}
			}
		})
	}
}
