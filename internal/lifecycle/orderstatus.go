package lifecycle

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
)

// OrderCreated is the status right after the server has made the order. It is
// stored before anything else is done: an order whose URL is lost counts
// against the account's limits.
func OrderCreated(status acmev1.OrderStatus, server acme.Order) acmev1.OrderStatus {
	status.URL, status.FinalizeURL = server.URL, server.Finalize
	status.State, status.Reason = acmev1.Pending, ""
	status.Authorizations = nil
	for _, url := range server.Authorizations {
		status.Authorizations = append(status.Authorizations, acmev1.ACMEAuthorization{URL: url})
	}
	return status
}

// OrderAuthorized is the status once the authorizations are known.
func OrderAuthorized(status acmev1.OrderStatus, authorizations []acme.Authorization) acmev1.OrderStatus {
	status.Reason = ""
	status.Authorizations = make([]acmev1.ACMEAuthorization, 0, len(authorizations))
	for _, a := range authorizations {
		wildcard := a.Wildcard
		item := acmev1.ACMEAuthorization{
			URL: a.URL, Identifier: a.Identifier.Value, Wildcard: &wildcard, InitialState: acmev1.State(a.Status),
		}
		for _, c := range a.Challenges {
			item.Challenges = append(item.Challenges, acmev1.ACMEChallenge{URL: c.URL, Token: c.Token, Type: c.Type})
		}
		status.Authorizations = append(status.Authorizations, item)
	}
	return status
}

// OrderCompleted is the status, and the event, once the chain has been
// downloaded. A chain for another key means that the server answered another
// request's order to ours: this order is given up and replaced.
func OrderCompleted(o Order, chainPEM []byte, ours bool, now time.Time) OrderPlan {
	plan := OrderPlan{Status: *o.Object.Status.DeepCopy()}
	if !ours {
		return plan.fail(acmev1.Expired, "The ACME server returned a certificate for another key: the order was shared with another request and is replaced", now)
	}
	plan.Status.State, plan.Status.Reason, plan.Status.Certificate = acmev1.Valid, "", chainPEM
	plan.Events = []Event{{Reason: "Complete", Message: "Order completed successfully", Component: componentOrders}}
	return plan
}
