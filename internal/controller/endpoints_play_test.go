package controller

import (
	"container/heap"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

// happening is something that happens at a time.
type happening struct {
	at time.Duration
	f  func()
}

type agenda []happening

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// play is objects that ask servers, in simulated time.
type play struct {
	clock  *clocktesting.FakeClock
	start  time.Time
	e      *endpoints
	agenda agenda
	ask    map[types.NamespacedName]func()
}

func newPlay(workers int) *play {
	p := &play{ask: map[types.NamespacedName]func(){}, start: time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)}
	p.clock = clocktesting.NewFakeClock(p.start)
	p.e = newEndpoints(p.clock, func(keys ...types.NamespacedName) {
		for _, key := range keys {
			p.after(0, func() {
				if p.e.invitation(key) != nil {
					p.ask[key]()
				}
			})
		}
	})
	p.e.setWorkers(workers)
	return p
}

func (p *play) now() time.Duration { return p.clock.Now().Sub(p.start) }

func (p *play) after(d time.Duration, f func()) {
	heap.Push(&p.agenda, happening{p.now() + d, f})
}

func (p *play) run(until time.Duration) {
	for len(p.agenda) > 0 && p.agenda[0].at <= until {
		next := heap.Pop(&p.agenda).(happening)
		if d := next.at - p.now(); d > 0 {
			p.clock.Step(d)
		}
		next.f()
	}
}

// fails adds an object whose every action at a server takes so long and fails. The
// wait after a failure begins with first and doubles, up to half an hour.
func (p *play) fails(name, server string, takes, first time.Duration) {
	key, begun, wait := types.NamespacedName{Namespace: "fails", Name: name}, false, first
	p.ask[key] = func() {
		place, _ := p.e.enter(key, server, time.Minute, begun)
		if place == nil {
			return
		}
		begun = true
		p.after(min(takes, place.limit), func() {
			p.e.leave(place, errSlow)
			p.after(wait, p.ask[key])
			wait = min(2*wait, 30*time.Minute)
		})
	}
	p.ask[key]()
}

// succeeds has an object ask a server that answers it soon, and returns how long
// the object waits for that, zero if more than a day.
func (p *play) succeeds(name, server string) (waited time.Duration) {
	key, came := types.NamespacedName{Namespace: "succeeds", Name: name}, p.now()
	waited = -1
	p.ask[key] = func() {
		if place, _ := p.e.enter(key, server, time.Minute, false); place != nil {
			waited = p.now() - came
			p.after(100*time.Millisecond, func() { p.e.leave(place, nil) })
		}
	}
	p.ask[key]()
	p.run(came + 24*time.Hour)
	return waited
}

// TestNewServerBesideDead holds that the first question to a server does not wait
// for those to servers that are known to hang, however many there are.
func TestNewServerBesideDead(t *testing.T) {
	for _, dead := range []int{20, 200, 1000} {
		p := newPlay(40)
		for i := range dead {
			p.fails(fmt.Sprint(i), fmt.Sprint("zone ", i), 12*time.Second, 10*time.Second)
		}
		p.run(30 * time.Minute)
		if waited := p.succeeds("good", "good zone"); waited < 0 || waited > time.Second {
			t.Errorf("beside %d servers that hang, the first question to another one waits %s", dead, waited)
		}
	}
}

// TestFirstActionBesideFailing holds that objects which have begun, and fail again
// and again, do not keep those that have not from the server.
func TestFirstActionBesideFailing(t *testing.T) {
	for _, failing := range []int{20, 30, 40, 60} {
		p := newPlay(40)
		place, _ := p.e.enter(keyOf(-1), "central", time.Minute, false)
		p.e.leave(place, nil)
		for i := range failing {
			p.fails(fmt.Sprint(i), "central", 12*time.Second, 5*time.Second)
		}
		p.run(30 * time.Minute)
		if waited := p.succeeds("good", "central"); waited < 0 || waited > time.Minute {
			t.Errorf("beside %d objects that fail, the first action of another one waits %s", failing, waited)
		}
	}
}
