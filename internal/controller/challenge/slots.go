package challenge

import (
	"container/list"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/metrics"
)

// newEvery is how many offers of a namespace contain one for a Challenge that is not
// presented, if Challenges of both kinds wait.
const newEvery = 4

// Slots bound how many Challenges of each issuer are in flight
// (--max-concurrent-challenges). Those that find no slot are queued, each namespace
// apart, and the namespaces of an issuer take turns. Within a namespace, Challenges
// that are presented come first, so that what has begun is finished; of newEvery
// slots, one goes to the others all the same, because what has begun may be stuck.
// No call takes longer because more Challenges wait.
type Slots struct {
	mu     sync.Mutex
	max    int
	shares map[types.NamespacedName]*share
	lines  map[core.Issuer]*line
}

// NewSlots returns n slots for each issuer.
func NewSlots(n int) *Slots {
	return &Slots{max: n, shares: map[types.NamespacedName]*share{}, lines: map[core.Issuer]*line{}}
}

// share is a Challenge that has a slot, or a place in a queue.
type share struct {
	key    types.NamespacedName
	issuer core.Issuer
	slot   core.Slot
	begun  bool
	// queued is its element of the namespace's queue, nil if it is not queued; since is
	// when it was queued.
	queued *list.Element
	since  time.Time
}

// line is the Challenges of an issuer that have a share.
type line struct {
	// taken counts the slots that are held or offered.
	taken, waiting int
	namespaces     map[string]*tenant
	// turns are the namespaces with a queue, in the sequence in which they are served.
	turns list.List
}

// tenant is a namespace that waits.
type tenant struct {
	// queues are the Challenges that are presented, and the others.
	queues [2]list.List
	// offers counts the slots that were offered while both waited.
	offers int
	turn   *list.Element
}

// Of returns a Challenge's share.
func (s *Slots) Of(key types.NamespacedName) core.Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.shares[key]; one != nil {
		return one.slot
	}
	return core.NoSlot
}

// Acquire takes one of an issuer's slots for a Challenge, or queues it. begun reports
// whether the Challenge is presented.
func (s *Slots) Acquire(key types.NamespacedName, issuer core.Issuer, begun bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.shares[key]
	if one != nil {
		if one.slot == core.Offered {
			one.slot = core.Held
		}
		return one.slot == core.Held
	}
	one = &share{key: key, issuer: issuer, begun: begun, since: now}
	s.shares[key] = one
	l := s.lines[issuer]
	if l == nil {
		l = &line{namespaces: map[string]*tenant{}}
		s.lines[issuer] = l
	}
	if l.taken < s.max {
		// Nobody waits: what is free is offered at once.
		one.slot = core.Held
		l.taken++
		return true
	}
	one.slot = core.Queued
	l.queue(one)
	return false
}

// Release gives a Challenge's slot, or its place in the queue, back, and returns
// those whose turn it is now.
func (s *Slots) Release(key types.NamespacedName) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.shares[key]
	if one == nil {
		return nil
	}
	delete(s.shares, key)
	l := s.lines[one.issuer]
	if one.slot == core.Queued {
		l.unqueue(one)
	} else {
		l.taken--
	}
	var next []types.NamespacedName
	for l.taken < s.max && l.waiting > 0 {
		next = append(next, l.offer())
	}
	if l.taken+l.waiting == 0 {
		delete(s.lines, one.issuer)
	}
	return next
}

// Queues returns what waits for slots, for each issuer that has Challenges in flight,
// in no order.
func (s *Slots) Queues() []metrics.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]metrics.Queue, 0, len(s.lines))
	for issuer, l := range s.lines {
		q := metrics.Queue{Kind: issuer.Kind, Namespace: issuer.Namespace, Name: issuer.Name, Challenges: l.waiting}
		for _, t := range l.namespaces {
			for i := range t.queues {
				if front := t.queues[i].Front(); front != nil {
					if since := front.Value.(*share).since; q.Oldest.IsZero() || since.Before(q.Oldest) {
						q.Oldest = since
					}
				}
			}
		}
		all = append(all, q)
	}
	return all
}

// queueOf returns the queue for a Challenge.
func (t *tenant) queueOf(one *share) *list.List {
	if one.begun {
		return &t.queues[0]
	}
	return &t.queues[1]
}

func (l *line) queue(one *share) {
	t := l.namespaces[one.key.Namespace]
	if t == nil {
		t = &tenant{}
		l.namespaces[one.key.Namespace] = t
		t.turn = l.turns.PushBack(t)
	}
	one.queued = t.queueOf(one).PushBack(one)
	l.waiting++
}

func (l *line) unqueue(one *share) {
	t := l.namespaces[one.key.Namespace]
	t.queueOf(one).Remove(one.queued)
	one.queued = nil
	l.waiting--
	if t.queues[0].Len()+t.queues[1].Len() == 0 {
		l.turns.Remove(t.turn)
		delete(l.namespaces, one.key.Namespace)
	}
}

// offer keeps a slot for the Challenge whose turn it is.
func (l *line) offer() types.NamespacedName {
	turn := l.turns.Front()
	l.turns.MoveToBack(turn)
	t := turn.Value.(*tenant)
	first, other := t.queues[0].Front(), t.queues[1].Front()
	if first != nil && other != nil {
		t.offers++
	}
	if first == nil || other != nil && t.offers%newEvery == 0 {
		first = other
	}
	one := first.Value.(*share)
	l.unqueue(one)
	one.slot = core.Offered
	l.taken++
	return one.key
}
