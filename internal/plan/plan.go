// Package plan is the vocabulary of decisions: what an object needs next, what
// must be looked at live before that, what its status says, which events are
// sent, and when it is looked at again. The packages below lifecycle decide in
// these words, and the driver in package controller carries the plans out; the
// words mean the same for every kind of object.
package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Plan is what one object needs next. S is the type of its status.
type Plan[S any] struct {
	// Do is the action to carry out now, nil to wait.
	Do Action
	// Confirm lists what must hold at the API server, and not only in a cache,
	// before the status is stored and the action is carried out.
	Confirm []Confirm
	// Status is the whole status as it should be.
	Status S
	// Persist says when the status is stored. One that equals the object's is
	// never written.
	Persist Persist
	// Manager is the field manager of the status write, empty for the kind's
	// usual one.
	Manager string
	// Events are sent once: after the action, or, without one, after the status
	// is stored. A plan that waits and changes nothing sends none, unless it
	// answers a failure.
	Events []Event
	// Until is when to decide again if nothing happens before, zero for never. A
	// plan that answers a failure and has both an action and this time carries
	// the action out and then waits.
	Until time.Time
	// Hold keeps events from bringing Until forward: a server asked to be left
	// alone. A new generation, a deletion or an explicit retry end it.
	Hold bool
}

// Action is one thing to do. Each kind has its own action types, which carry
// what they need.
type Action interface {
	// String describes the action as it follows "failed to", for logs and
	// messages.
	String() string
}

// Local is implemented by actions that change only what this process knows.
// Their success says nothing about a server: it does not end a row of failures.
type Local interface {
	Action
	Local()
}

// KindSecret is the kind of the Secrets that everleaf reads and writes.
const KindSecret = "Secret"

// Secret is an action that writes a private key: what the API server answers to
// it may repeat the key, and is not logged.
type Secret interface {
	Action
	// Secret marks the action.
	Secret()
}

// Ref names an object.
type Ref struct {
	// Kind is the API's, such as "Certificate".
	Kind string
	types.NamespacedName
}

// RefOf names an object of a kind.
func RefOf(kind string, o metav1.Object) Ref {
	return Ref{Kind: kind, NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}}
}

// Confirm is something that must hold at the API server.
type Confirm struct {
	Ref
	// Version is the resourceVersion that the object must have. If it is empty
	// there must be no such object.
	Version string
	// Owner limits a required absence to objects that this UID controls.
	Owner types.UID
}

// AsSeen confirms that an object of a kind is as it was when it was decided on.
func AsSeen(kind string, o metav1.Object) Confirm {
	return Confirm{Ref: RefOf(kind, o), Version: o.GetResourceVersion()}
}

// Persist says when a plan's status is stored.
type Persist int

const (
	// AtEnd stores it when there is no action left, with all that this
	// reconcile has changed, in one write.
	AtEnd Persist = iota
	// Before stores it before the action: the action is only safe, or its
	// result can only be found after a crash, once the status is stored.
	Before
	// Held keeps it back even while waiting: the state is expected to pass
	// within a second.
	Held
	// Regardless is Before for what must not be lost: the status is stored even
	// while the process stops, and decided again for the live object if
	// somebody else has changed the one that was decided on.
	Regardless
)

// Event is a Kubernetes event.
type Event struct {
	// Warning is the event's type: Warning if true, else Normal.
	Warning bool
	// Reason and Message are as in the API's contract.
	Reason, Message string
	// Component is the event's source, the name of the upstream controller
	// by which users filter, such as "cert-manager-certificates-issuing".
	Component string
	// Verbose marks a Normal event that is only sent with --events=all: each
	// event is a write, and the API server is the scarce resource.
	Verbose bool
}

// Failure is an action that failed.
type Failure struct {
	Action Action
	Err    error
	// Attempts counts the failures in a row before this one.
	Attempts int
	// Began is when the action began.
	Began time.Time
}

// Earliest returns the earlier of two times, where zero means never.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
