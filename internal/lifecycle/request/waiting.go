package request

import (
	"fmt"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// The message of a request that waits for an Order is part of the API's
// contract, and the only place where the request's owner reads what the Order
// waits for. WaitingOnOrder prints it, CauseOfWaiting reads it.
const (
	waitingOnOrder = "Waiting on certificate issuance from order "
	waitingCause   = `": `
)

// WaitingOnOrder is the message of a request that waits for an Order in a state,
// with the Order's reason if it has one.
func WaitingOnOrder(namespace, name string, state acmev1.State, reason string) string {
	if state == "" {
		state = acmev1.Pending
	}
	message := fmt.Sprintf("%s%s/%s: %q", waitingOnOrder, namespace, name, state)
	if reason != "" {
		message += ": " + reason
	}
	return message
}

// CauseOfWaiting returns what a pending request waits for according to the
// message of its Ready condition, empty if an Order takes its usual course.
func CauseOfWaiting(message string) string {
	order, ok := strings.CutPrefix(message, waitingOnOrder)
	if !ok {
		return message
	}
	_, cause, _ := strings.Cut(order, waitingCause)
	return cause
}
