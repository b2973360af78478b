// Package lifecycle decides what a Certificate, a CertificateRequest, an Order
// and a Challenge need next. Its functions are pure: values and the time in, a
// plan out. They read no cluster, ask no server, sleep nowhere and log nothing;
// package controller loads what they need and carries their plans out.
//
// A plan names one step. When the step is done, the same function is asked
// again with what the step has changed, until there is nothing left to do but
// wait: for an event, or until a time.
package lifecycle

import "time"

// Event is a Kubernetes event that a plan wants to be seen.
type Event struct {
	// Warning is the event's type: Warning if true, else Normal.
	Warning bool
	// Reason and Message as in the API's contract.
	Reason, Message string
	// Component is the event's source, the name of the upstream controller
	// that users filter by, such as "cert-manager-certificates-issuing".
	Component string
	// Detail marks a Normal event that is only sent with --events=all: each
	// event is a write, and the API server is the scarce resource.
	Detail bool
}

// Persist says when a plan's status is to be stored.
type Persist int

const (
	// AtEnd stores it with whatever else this reconcile changes, once.
	AtEnd Persist = iota
	// Before stores it before the step: the step is only safe, or can only be
	// found again after a crash, once the status is stored.
	Before
	// NotYet keeps it back: the state is expected to pass within the second.
	NotYet
)

// earliest returns the earlier of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
