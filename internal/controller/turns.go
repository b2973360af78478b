package controller

import (
	"container/list"

	"k8s.io/apimachinery/pkg/types"
)

// newEvery is how many offers of a server contain one for an object that has not
// begun, if objects of both kinds wait.
const newEvery = 4

// queue puts an object into the queue of its server.
func (e *endpoints) queue(w *waiter, first bool) {
	if first {
		w.queued = w.queueOf().PushFront(w)
	} else {
		w.queued = w.queueOf().PushBack(w)
	}
	e.line(w.server)
}

// drop forgets that an object waits. A place that was offered to it is free.
func (e *endpoints) drop(w *waiter) {
	delete(e.waiting, w.key)
	switch {
	case w.invited:
		e.uninvite(w)
	case w.queued != nil:
		w.unqueue()
		e.line(w.server)
	}
}

// queueOf returns the queue for an object.
func (w *waiter) queueOf() *list.List {
	if w.begun {
		return &w.server.queues[0]
	}
	return &w.server.queues[1]
}

func (w *waiter) unqueue() {
	w.queueOf().Remove(w.queued)
	w.queued = nil
}

// line puts a server into the line that it belongs to, if it has a queue.
func (e *endpoints) line(s *endpoint) {
	waits := s.queues[0].Len()+s.queues[1].Len() > 0
	if s.turn != nil && (!waits || s.line != s.standing) {
		e.turns[s.line].Remove(s.turn)
		s.turn = nil
	}
	if s.turn == nil && waits {
		s.turn, s.line = e.turns[s.standing].PushBack(s), s.standing
	}
}

// invite offers the places that are free to those that wait. The servers take
// turns, and so do those that answer, new ones, and those that hang.
func (e *endpoints) invite() {
	var keys []types.NamespacedName
	for none := standing(0); none < standings; {
		line := e.turn
		e.turn = (e.turn + 1) % standings
		if s := e.next(line); s != nil {
			keys = append(keys, e.offer(s))
			none = 0
		} else {
			none++
		}
	}
	if len(keys) > 0 {
		e.wake(keys...)
	}
}

// next returns the next server of a line that has a place. No more servers are
// passed over than there are places, because each of these has one at least.
func (e *endpoints) next(line standing) *endpoint {
	if !e.admits(line) {
		return nil
	}
	turns := &e.turns[line]
	for range turns.Len() {
		front := turns.Front()
		turns.MoveToBack(front)
		if s := front.Value.(*endpoint); e.room(s) {
			return s
		}
	}
	return nil
}

// offer keeps a place for the first in a server's queue. Of newEvery offers one goes
// to the objects that have not begun, because those that have may fail again and
// again.
func (e *endpoints) offer(s *endpoint) types.NamespacedName {
	first, other := s.queues[0].Front(), s.queues[1].Front()
	if first != nil && other != nil {
		s.offers++
	}
	if first == nil || other != nil && s.offers%newEvery == 0 {
		first = other
	}
	w := first.Value.(*waiter)
	w.unqueue()
	w.invited, w.counted = true, s.standing
	s.invited++
	e.busy[w.counted]++
	e.line(s)
	return w.key
}

// uninvite takes back a place that was offered.
func (e *endpoints) uninvite(w *waiter) {
	w.invited = false
	w.server.invited--
	e.busy[w.counted]--
}
