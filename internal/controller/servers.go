package controller

import (
	"cmp"
	"container/list"
	"slices"
	"time"
)

// maxEndpoints is how many servers are remembered before some that nobody asks
// are forgotten.
const maxEndpoints = 4096

// standing is how a server took the last action.
type standing int

const (
	// answers means that it ended soon.
	answers standing = iota
	// unheard means that there has been none.
	unheard
	// hangs means that it did not end soon.
	hangs
	standings
)

// endpoint is what is known of a server.
type endpoint struct {
	name   string
	places []*place
	// invited counts the places that are offered.
	invited  int
	standing standing
	// slow reports that the server has answered after more than usualTime, and has
	// answered since.
	slow bool
	// full is when an action last had all its time, used when one last ended.
	full, used time.Time
	// queues are those who wait: first the objects that a server has been asked
	// for before, so that what has begun is finished, then the others.
	queues [2]list.List
	// offers counts the places that were offered while both had objects.
	offers int
	// turn is the server's element of endpoints.turns, line which of these; nil
	// without a queue.
	turn *list.Element
	line standing
}

// server returns what is known of a server.
func (e *endpoints) server(name string) *endpoint {
	s := e.servers[name]
	if s != nil {
		return s
	}
	if len(e.servers) >= e.sweepAt {
		e.sweep()
	}
	s = &endpoint{name: name, standing: unheard}
	e.servers[name] = s
	return s
}

// sweep forgets servers that nobody asks, until half of the most remain: first
// those that hang, because they are the most and their next action shows it again,
// and last those that answer; of each the ones that were asked longest ago.
func (e *endpoints) sweep() {
	var idle []*endpoint
	for _, s := range e.servers {
		if len(s.places)+s.invited == 0 && s.turn == nil {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(b.standing, a.standing), a.used.Compare(b.used))
	})
	for _, s := range idle[:min(len(idle), max(0, len(e.servers)-maxEndpoints/2))] {
		delete(e.servers, s.name)
	}
	e.sweepAt = max(maxEndpoints, 2*len(e.servers))
}
