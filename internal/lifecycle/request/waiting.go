package request

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
)

// Waiting is the status of a request whose issuer cannot be asked yet. What the issuer
// has answered before says more.
func Waiting(status cmv1.CertificateRequestStatus, cause string, now time.Time) cmv1.CertificateRequestStatus {
	if condition.Find(status.Conditions, cmv1.CertificateRequestConditionReady) != nil {
		return status
	}
	status = *status.DeepCopy()
	status.Conditions = condition.Set(status.Conditions, cmv1.CertificateRequestCondition{
		Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: cmv1.CertificateRequestReasonPending,
		Message: notSigned + cause, LastTransitionTime: &metav1.Time{Time: now},
	})
	return status
}

// notSigned begins the message of a request whose issuer cannot be asked yet.
const notSigned = "Not signed yet: "

// IsWaiting reports whether a message of a request is one of Waiting.
func IsWaiting(message string) bool { return strings.HasPrefix(message, notSigned) }

// The messages of a request that waits for its Order, and of one that its Order
// has failed, are part of the API's contract. Whoever wants to know what the Order
// waits for, or why it failed, asks the Order; the beginning of the message only
// says that the Order knows.
const (
	waitingOnOrder = "Waiting on certificate issuance from order "
	failedOrder    = "Failed to wait for order resource "
	orderIsIn      = " to become ready: order is in "
	orderState     = " state: "
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

// StateOfOrder is the state of the Order that a message of a failed request is about,
// and its reason; empty if it is about none.
func StateOfOrder(message string) (state acmev1.State, reason string) {
	_, rest, about := strings.Cut(message, orderIsIn)
	quoted, reason, ended := strings.Cut(rest, orderState)
	if !strings.HasPrefix(message, failedOrder) || !about || !ended {
		return "", ""
	}
	return acmev1.State(strings.Trim(quoted, `"`)), reason
}

// orderFailed is the message of a request whose Order has ended without a
// certificate.
func orderFailed(o *facts.Order) string {
	return fmt.Sprintf("%s%q%s%q%s%s", failedOrder, o.Name, orderIsIn, o.State, orderState, o.Reason)
}
