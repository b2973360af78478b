package order

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

// Created is the status right after the server has made the order. It is
// stored before anything else is done: an order whose URL is lost counts
// against the account's limits.
func Created(status acmev1.OrderStatus, server acme.Order) acmev1.OrderStatus {
	status.URL, status.FinalizeURL = server.URL, server.Finalize
	status.State, status.Reason = acmev1.Pending, ""
	status.Authorizations = nil
	for _, url := range server.Authorizations {
		status.Authorizations = append(status.Authorizations, acmev1.ACMEAuthorization{URL: url})
	}
	return status
}

// Authorized is the status once the authorizations are known.
func Authorized(status acmev1.OrderStatus, authorizations []acme.Authorization) acmev1.OrderStatus {
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

// Completed is the status, and the event, once the chain has been
// downloaded. A chain for another key means that the server answered another
// request's order to ours: this order is given up and replaced.
func Completed(o State, chainPEM []byte, ours bool, now time.Time) Plan {
	p := Plan{Status: *o.Object.Status.DeepCopy()}
	if !ours {
		return p.fail(acmev1.Expired, "The ACME server returned a certificate for another key: the order was shared with another request and is replaced", now)
	}
	p.Status.State, p.Status.Reason, p.Status.Certificate = acmev1.Valid, "", chainPEM
	p.Events = []plan.Event{{Reason: "Complete", Message: "Order completed successfully", Component: componentOrders}}
	return p
}
