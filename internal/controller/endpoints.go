package controller

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// shortTime is how long an action at a server may take that has not answered
	// before, or did not answer the last time.
	shortTime = 15 * time.Second
	// usualTime is how long an action may take at a server that answers. One that
	// takes longer shows that the server may have stopped answering.
	usualTime = 30 * time.Second
	// overdue is how long an action takes at a server that does not answer, if
	// the action fails.
	overdue = shortTime / 2
	// fullAgain is the wait between two actions that have all their time, at a
	// server that does not answer in shortTime.
	fullAgain = 10 * time.Minute
	// firstAsk is when an object that waits for a place asks again: by then it is
	// known whether the server answers. Later it asks every placeRetry, if it has
	// not been invited to a place.
	firstAsk   = shortTime
	placeRetry = 2 * time.Minute
)

// Remote is implemented by the Work of kinds that have actions at foreign
// servers. S is the type of the status.
type Remote[S any] interface {
	// Endpoint returns the server that an action asks, in the words of a message
	// such as ACMEServer's, and how long the action may take. An action that asks
	// none has no server.
	Endpoint(action plan.Action) (server string, longest time.Duration)
	// Waiting returns a status which says that the object waits, and why, unless
	// the status has a cause that says more. It is pure.
	Waiting(status S, cause string, now time.Time) S
}

// Unanswered is implemented by a Work with actions that succeed even if the servers
// that they ask do not answer in time.
type Unanswered interface {
	// Unanswered reports whether an action, which has succeeded, got no answer.
	Unanswered(action plan.Action) bool
}

// ACMEServer names the server of a directory URL for Remote.
func ACMEServer(directory string) string {
	host := directory
	if u, err := url.Parse(directory); err == nil {
		host = strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	}
	return "the ACME server " + host
}

// inTurn ends the cause of a wait for a place. How long the wait is depends on those before:
// each has shortTime at a server that does not answer.
const inTurn = "; the next try is when its turn comes, by itself"

// endpoints bounds how many workers of a controller ask a foreign server, and for
// how long, so that a server that hangs does not occupy what others need.
//
//   - A quarter of the workers, one at least, asks no foreign server.
//   - One server that answers leaves, besides these, an eighth of the workers, one at
//     least, to others. One that has not answered yet occupies at most a quarter.
//   - All servers together that have not answered yet, or not the last time,
//     occupy at most half of the workers, and those that did not the last time at
//     most a quarter: a new server, which is likely to answer, does not stand in
//     one line with them. An action at such a server ends after shortTime. If that is too short, one action at a time has all its time,
//     every fullAgain, and those occupy at most a quarter of the workers.
//   - At a server that answers an action ends after usualTime; then the next one
//     has all its time. A server that needed more, and answered, is given it from
//     then on.
//
// An object that finds no place does not occupy a worker: it stands in the queue of
// the server and is invited when there is a place. No call takes longer because more
// objects wait.
type endpoints struct {
	clock clock.PassiveClock
	// wake has objects reconciled.
	wake func(...types.NamespacedName)

	mu      sync.Mutex
	workers int
	servers map[string]*endpoint
	// sweepAt is the number of servers at which some that nobody asks are
	// forgotten.
	sweepAt int
	// busy counts the places that are taken or offered, by the standing that their
	// server had then, full those with all their time.
	busy [standings]int
	full int
	// waiting has the objects in the queues, and those that are invited.
	waiting map[types.NamespacedName]*waiter
	// turns are the servers with a queue, a line for each standing, in the sequence
	// in which they are served. turn is the line that is next.
	turns [standings]list.List
	turn  standing
}

// place is the right to ask a server.
type place struct {
	server *endpoint
	began  time.Time
	// limit is how long the action may take.
	limit time.Duration
	// counted is how endpoints.busy counts the place.
	counted standing
	full    bool
}

// waiter is an object that has no place.
type waiter struct {
	key    types.NamespacedName
	server *endpoint
	since  time.Time
	begun  bool
	// queued is its element of the server's queue, nil if it is invited.
	queued *list.Element
	// invited reports whether a place is kept for it until it comes, or declines,
	// counted how endpoints.busy counts that place.
	invited bool
	counted standing
}

// refusal is why there is no place, "" if the wait is not long, and when to ask
// again at the latest.
type refusal struct {
	cause string
	again time.Duration
}

func newEndpoints(c clock.PassiveClock, wake func(...types.NamespacedName)) *endpoints {
	return &endpoints{
		clock: c, wake: wake, servers: map[string]*endpoint{}, sweepAt: maxEndpoints, waiting: map[types.NamespacedName]*waiter{},
	}
}

// setWorkers sets the number of workers. Without it there is no limit.
func (e *endpoints) setWorkers(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.workers = n
}

// enter takes a place for an action that may take as long as longest. Without one
// it returns nil, and the object is woken when there is one. An object that has
// begun comes before those that have not, except for one place of newEvery.
func (e *endpoints) enter(key types.NamespacedName, server string, longest time.Duration, begun bool) (*place, refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, s := e.clock.Now(), e.server(server)
	w := e.waiting[key]
	if w != nil && w.server != s {
		e.drop(w)
		e.invite()
		w = nil
	}
	invited := w != nil && w.invited
	if invited {
		e.uninvite(w)
	}
	if !e.room(s) {
		if w == nil {
			w = &waiter{key: key, server: s, since: now, begun: begun}
			e.waiting[key] = w
		}
		if w.queued == nil {
			// A server that has stopped answering takes what it has offered back.
			e.queue(w, invited)
			e.invite()
		}
		return nil, e.refusal(w, now)
	}
	if w != nil {
		e.drop(w)
	}
	p := &place{server: s, began: now, limit: longest, counted: s.standing}
	switch {
	case s.standing == answers && !s.slow:
		p.limit = min(longest, usualTime)
	case s.standing != answers:
		p.full = s.standing == hangs && now.Sub(s.full) >= fullAgain && e.full < e.quarter()
		if p.full {
			s.full = now
			e.full++
		} else {
			p.limit = min(longest, shortTime)
		}
	}
	e.busy[p.counted]++
	s.places = append(s.places, p)
	return p, refusal{}
}

// leave gives a place back after an action, and invites the objects that may find
// a place now.
func (e *endpoints) leave(p *place, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := p.server
	s.places = slices.DeleteFunc(s.places, func(o *place) bool { return o == p })
	s.used = e.clock.Now()
	switch {
	case fault.IsElsewhere(err):
	case timedOut(err) || err != nil && e.clock.Since(p.began) >= min(overdue, p.limit/2):
		s.standing = hangs
	default:
		s.standing = answers
	}
	s.slow = s.standing == answers && (s.slow || !fault.IsElsewhere(err) && e.clock.Since(p.began) > usualTime)
	if s.slow || p.full && fault.IsElsewhere(err) {
		// What has answered may have all its time again, and so may a server that was
		// not asked.
		s.full = time.Time{}
	}
	e.busy[p.counted]--
	if p.full {
		e.full--
	}
	e.line(s)
	e.invite()
}

// inTime says how long a server is given, in an error that there was no answer in
// time. Equal for all actions at the server, whatever time each has had.
func inTime(err error, took, longest time.Duration) error {
	var f *fault.Error
	if !errors.As(err, &f) || fault.IsElsewhere(err) || !timedOut(err) || took < overdue || longest <= shortTime {
		return err
	}
	told := *f
	told.Message += fmt.Sprintf("; everleaf waits up to %s for an answer, and once every %s up to %s", shortTime, plan.InWords(fullAgain), plan.InWords(longest))
	return told.Because(err)
}

// timedOut reports whether an error says that there was no answer in time: those
// who ask may wait for less time than an action may take.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// invitation returns what a reconcile of an object passes to decline, nil if the
// object is not invited.
func (e *endpoints) invitation(key types.NamespacedName) *waiter {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.waiting[key]; w != nil && w.invited {
		return w
	}
	return nil
}

// decline passes the place on that was offered to an object, if a reconcile that
// began with the invitation has not taken it.
func (e *endpoints) decline(w *waiter) {
	if w == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[w.key] == w && w.invited {
		e.drop(w)
		e.invite()
	}
}

// forget drops an object that is gone.
func (e *endpoints) forget(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.waiting[key]; w != nil {
		e.drop(w)
		e.invite()
	}
}

// room reports whether there is a place at a server.
func (e *endpoints) room(s *endpoint) bool {
	return e.workers == 0 || len(s.places)+s.invited < e.limit(s) && e.admits(s.standing)
}

// admits reports whether one more of all places may be at a server of a standing.
func (e *endpoints) admits(of standing) bool {
	doubtful := e.doubtful()
	switch {
	case e.workers == 0:
		return true
	case e.busy[answers]+doubtful >= e.places():
		return false
	case of == answers:
		return true
	default:
		return doubtful < e.half() && (of == unheard || e.busy[hangs] < e.quarter())
	}
}

// doubtful is how many places are at servers that may not answer.
func (e *endpoints) doubtful() int { return e.busy[unheard] + e.busy[hangs] }

// limit is how many places a server can have.
func (e *endpoints) limit(s *endpoint) int {
	switch s.standing {
	case hangs:
		return 1
	case answers:
		return max(1, e.places()-max(1, e.workers/8))
	default:
		return e.quarter()
	}
}

// places is how many workers may ask foreign servers.
func (e *endpoints) places() int  { return max(1, e.workers-e.quarter()) }
func (e *endpoints) quarter() int { return max(1, e.workers/4) }
func (e *endpoints) half() int    { return max(1, e.workers/2) }

// refusal says why an object has no place.
func (e *endpoints) refusal(w *waiter, now time.Time) refusal {
	s, waited := w.server, now.Sub(w.since)
	r := refusal{again: placeRetry}
	if waited < firstAsk {
		r.again = firstAsk - waited
	}
	long := s.standing == hangs
	for _, p := range s.places {
		long = long || now.Sub(p.began) >= overdue
	}
	switch {
	case long:
		r.cause = fmt.Sprintf("waiting for %s, which has not answered other requests in time%s", s.name, inTurn)
	case s.standing != answers && len(s.places) == 0 && e.doubtful() > 0:
		r.cause = fmt.Sprintf("waiting to ask %s: too many other servers have not answered yet%s", s.name, inTurn)
	case waited >= firstAsk:
		r.cause = fmt.Sprintf("waiting to ask %s: other requests are before this one%s", s.name, inTurn)
	}
	return r
}
