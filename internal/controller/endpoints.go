package controller

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// shortTime is how long an action at a server may take that has not answered
	// before, or did not answer the last time.
	shortTime = 15 * time.Second
	// overdue is how long an action takes at a server that does not answer, if
	// the action fails.
	overdue = shortTime / 2
	// fullAgain is the wait between two actions that have all their time, at a
	// server that does not answer in shortTime.
	fullAgain = 10 * time.Minute
	// placeRetry is when an object asks for a place again at the latest. A place
	// that becomes free comes first.
	placeRetry = shortTime
	// maxEndpoints bounds the servers that are remembered.
	maxEndpoints = 1024
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

// ACMEServer names the server of a directory URL for Remote.
func ACMEServer(directory string) string {
	host := directory
	if u, err := url.Parse(directory); err == nil {
		host = strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	}
	return "the ACME server " + host
}

// endpoints bounds how many workers of a controller ask a foreign server, and for
// how long, so that a server that hangs does not occupy what others need.
//
//   - One server occupies at most half of the workers while it answers, and at most
//     a quarter before it has.
//   - All servers together that have not answered yet, or not the last time,
//     occupy at most half of the workers. An action at such a server ends after
//     shortTime. If that is too short, one action at a time has all its time,
//     every fullAgain, and those occupy at most a quarter of the workers.
//   - A quarter of the workers, one at least, asks no foreign server.
//
// An object that finds no place does not occupy a worker: it is woken when there
// is a place.
type endpoints struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	workers int
	servers map[string]*endpoint
	// busy, doubtful and full count the places that are taken: all, those at
	// servers that may not answer, and of those the ones with all their time.
	busy, doubtful, full int
	waiting              []waiter
}

// endpoint is what is known of a server.
type endpoint struct {
	places []*place
	// answers reports that the last action ended soon, hangs that it did not. A
	// new server has neither.
	answers, hangs bool
	// full is when an action last had all its time.
	full time.Time
}

// place is the right to ask a server.
type place struct {
	server string
	began  time.Time
	// limit is how long the action may take.
	limit          time.Duration
	doubtful, full bool
}

type waiter struct {
	key    types.NamespacedName
	server string
}

func newEndpoints(c clock.PassiveClock) *endpoints {
	return &endpoints{clock: c, servers: map[string]*endpoint{}}
}

// setWorkers sets the number of workers. Without it there is no limit.
func (e *endpoints) setWorkers(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.workers = n
}

// enter takes a place for an action that may take as long as longest. Without
// one it returns nil, and why if the wait may be long; the object is then woken
// by leave.
func (e *endpoints) enter(key types.NamespacedName, server string, longest time.Duration) (*place, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, s := e.clock.Now(), e.server(server)
	if !e.room(s, 0, 0, 0) {
		if !slices.Contains(e.waiting, waiter{key, server}) {
			e.waiting = append(e.waiting, waiter{key, server})
		}
		return nil, e.cause(s, server, now)
	}
	e.forgetLocked(key)
	p := &place{server: server, began: now, limit: longest, doubtful: !s.answers}
	if p.doubtful {
		e.doubtful++
		p.full = s.hangs && now.Sub(s.full) >= fullAgain && e.full < e.quarter()
		if p.full {
			s.full = now
			e.full++
		} else {
			p.limit = min(longest, shortTime)
		}
	}
	e.busy++
	s.places = append(s.places, p)
	return p, ""
}

// leave gives a place back after an action, and returns the objects that may find
// a place now.
func (e *endpoints) leave(p *place, err error) []types.NamespacedName {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.servers[p.server]
	s.places = slices.DeleteFunc(s.places, func(o *place) bool { return o == p })
	s.hangs = err != nil && e.clock.Since(p.began) >= min(overdue, p.limit/2)
	s.answers = !s.hangs
	e.busy--
	if p.doubtful {
		e.doubtful--
	}
	if p.full {
		e.full--
	}
	return e.next()
}

// next takes the objects off the queue that there are places for.
func (e *endpoints) next() []types.NamespacedName {
	var keys []types.NamespacedName
	taken, doubtful := map[string]int{}, 0
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiter) bool {
		s := e.server(w.server)
		if !e.room(s, taken[w.server], len(keys), doubtful) {
			return false
		}
		taken[w.server]++
		if !s.answers {
			doubtful++
		}
		keys = append(keys, w.key)
		return true
	})
	return keys
}

// forget drops an object that is gone.
func (e *endpoints) forget(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetLocked(key)
}

func (e *endpoints) forgetLocked(key types.NamespacedName) {
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiter) bool { return w.key == key })
}

// room reports whether there is a place at a server, beside so many more there,
// in all, and at servers that may not answer.
func (e *endpoints) room(s *endpoint, here, all, doubtful int) bool {
	if e.workers == 0 {
		return true
	}
	limit := e.quarter()
	switch {
	case s.hangs:
		limit = 1
	case s.answers:
		limit = e.half()
	}
	return len(s.places)+here < limit && e.busy+all < max(1, e.workers-e.quarter()) &&
		(s.answers || e.doubtful+doubtful < e.half())
}

func (e *endpoints) quarter() int { return max(1, e.workers/4) }
func (e *endpoints) half() int    { return max(1, e.workers/2) }

// cause says why there is no place at a server, or "" if there will be one soon.
func (e *endpoints) cause(s *endpoint, server string, now time.Time) string {
	long := s.hangs
	for _, p := range s.places {
		long = long || now.Sub(p.began) >= overdue
	}
	switch {
	case long:
		return fmt.Sprintf("waiting for %s, which has not answered other requests in time", server)
	case e.doubtful > 0 && len(s.places) == 0:
		return fmt.Sprintf("waiting to ask %s: too many other servers have not answered yet", server)
	default:
		return ""
	}
}

// server returns what is known of a server. Servers that nobody asks are
// forgotten when there are too many.
func (e *endpoints) server(name string) *endpoint {
	s := e.servers[name]
	if s != nil {
		return s
	}
	if len(e.servers) >= maxEndpoints {
		for name, s := range e.servers {
			if len(s.places) == 0 {
				delete(e.servers, name)
			}
		}
	}
	s = &endpoint{}
	e.servers[name] = s
	return s
}
