package request

import (
	"fmt"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// The messages of a request that waits for its Order, and of one that its Order
// has failed, are part of the API's contract. Whoever wants to know what the Order
// waits for, or why it failed, asks the Order; the beginning of the message only
// says that the Order knows.
const (
	waitingOnOrder = "Waiting on certificate issuance from order "
	failedOrder    = "Failed to wait for order resource "
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

// OnOrder reports whether a message of a request is about its Order.
func OnOrder(message string) bool {
	return strings.HasPrefix(message, waitingOnOrder) || strings.HasPrefix(message, failedOrder)
}

// orderFailed is the message of a request whose Order has ended without a
// certificate.
func orderFailed(o *facts.Order) string {
	return fmt.Sprintf("%s%q to become ready: order is in %q state: %s", failedOrder, o.Name, o.State, o.Reason)
}
