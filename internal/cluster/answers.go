package cluster

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
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
// from the API server.
type Answers struct{ items *lru.Cache }

// NewAnswers returns Answers without any.
func NewAnswers() *Answers { return &Answers{lru.New(maxAnswers)} }

// Put notes the certificate of an object. The oldest goes if there are too many.
func (a *Answers) Put(uid types.UID, answer Answer) { a.items.Add(uid, answer) }

// Take returns the certificate of an object once, and whether there is one.
func (a *Answers) Take(uid types.UID) (Answer, bool) {
	answer, ok := a.items.Get(uid)
	a.items.Remove(uid)
	if !ok {
		return Answer{}, false
	}
	return answer.(Answer), true
}
