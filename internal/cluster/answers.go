package cluster

import (
	"container/list"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// maxAnswers bounds the certificates that wait to be fetched by the next step.
const maxAnswers = 512

// Answer is a certificate on its way from one object to the next.
type Answer struct {
	// Chain and CA are PEM, as issuer.Outcome has them.
	Chain, CA []byte
}

// Answers hands certificates from the controller that has stored one in an
// object's status to the one that takes it from there, because the caches keep
// only facts of finished objects. It is a shortcut: what is not in it is read
// from the API server. The zero value is ready.
type Answers struct {
	mu    sync.Mutex
	items map[types.UID]*list.Element
	order list.List
}

type answered struct {
	uid    types.UID
	answer Answer
}

// Put notes the certificate of an object. The oldest goes if there are too many.
func (a *Answers) Put(uid types.UID, answer Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.items == nil {
		a.items = map[types.UID]*list.Element{}
	}
	a.remove(uid)
	a.items[uid] = a.order.PushBack(answered{uid, answer})
	if a.order.Len() > maxAnswers {
		a.remove(a.order.Front().Value.(answered).uid)
	}
}

// Take returns the certificate of an object once, and whether there is one.
func (a *Answers) Take(uid types.UID) (Answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.items[uid]
	if !ok {
		return Answer{}, false
	}
	a.remove(uid)
	return found.Value.(answered).answer, true
}

func (a *Answers) remove(uid types.UID) {
	if found, ok := a.items[uid]; ok {
		a.order.Remove(found)
		delete(a.items, uid)
	}
}
