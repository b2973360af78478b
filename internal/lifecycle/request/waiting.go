package request

import (
	"fmt"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/facts"
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

// orderFailed is the message of a request whose Order has ended without a
// certificate, as the API's contract has it. CauseOfFailure reads it.
func orderFailed(o *facts.Order) string {
	return fmt.Sprintf("%s%q to become ready: order is in %q%s%s", failedOrder, o.Name, o.State, failedCause, o.Reason)
}

const (
	failedOrder = "Failed to wait for order resource "
	failedCause = " state: "
)

// CauseOfFailure returns why a request failed according to the message of its
// Ready condition: that of its Order, if the Order gives one.
func CauseOfFailure(message string) string {
	order, ok := strings.CutPrefix(message, failedOrder)
	if _, cause, found := strings.Cut(order, failedCause); ok && found && cause != "" {
		return cause
	}
	return message
}
