package order

import (
	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
)

// maxAuthorizations exceeds the number of names that any CA takes.
const maxAuthorizations = 1000

// Created is the status with the URLs of an order that the server has created.
func Created(status acmev1.OrderStatus, server acme.Order) acmev1.OrderStatus {
	status.URL, status.FinalizeURL = server.URL, server.Finalize
	status.State, status.Reason = acmev1.Pending, ""
	status.Authorizations = nil
	for _, url := range server.Authorizations[:min(len(server.Authorizations), maxAuthorizations)] {
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
