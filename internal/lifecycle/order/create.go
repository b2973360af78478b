package order

import (
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

// create decides when the server is asked for the order.
func (s State) create(now time.Time) Plan {
	p := s.wait()
	switch {
	case s.BlockedBy != "":
		p.Status.Reason = fmt.Sprintf("Waiting for Order %s, which asks the ACME server for the same names", s.BlockedBy)
		if p.Until = s.BlockedUntil; p.Until.IsZero() {
			p.Until = now.Add(stuckAfter)
			return p
		}
		p.Status.Reason += ", until " + timestamp(p.Until)
		return p
	case s.Account.NewOrderNotBefore.After(now):
		p.Until = s.Account.NewOrderNotBefore
		p.Status.Reason = fmt.Sprintf("Waiting until %s: the ACME server limits the new orders of the account", timestamp(p.Until))
		if s.Account.NewOrdersLimited != "" {
			p.Status.Reason += ": " + s.Account.NewOrdersLimited
		}
		return p
	}
	p.Do = CreateOrder{Request: s.orderRequest(now)}
	// What is ordered is what was checked: a changed Order is decided on again.
	p.Confirm = []plan.Confirm{plan.AsSeen(acmev1.OrderKind, s.Object)}
	return p
}

func (s State) orderRequest(now time.Time) acme.OrderRequest {
	spec := &s.Object.Spec
	request := acme.OrderRequest{Identifiers: Identifiers(s.Object), Profile: spec.Profile, Replaces: spec.Replaces}
	if spec.Duration != nil {
		request.NotAfter = now.Add(spec.Duration.Duration)
	}
	return request
}

// storeURL stores the URL of an order that the server has created. An order
// whose URL is lost counts against the account's limits.
func (s State) storeURL() Plan {
	p := s.wait()
	p.Status, p.Persist = Created(p.Status, *s.Server), plan.Regardless
	return p
}

// lacksURLs reports whether the server has named URLs that the status lacks.
func (s State) lacksURLs() bool {
	status := &s.Object.Status
	return (status.FinalizeURL == "" && s.Server.Finalize != "") ||
		(len(status.Authorizations) == 0 && len(s.Server.Authorizations) > 0)
}

func (s State) storeURLs() Plan {
	p := s.wait()
	p.Status, p.Persist = Created(p.Status, *s.Server), plan.Before
	return p
}

// fetch is the action that looks at the order.
func (s State) fetch() FetchOrder { return FetchOrder{URL: s.Object.Status.URL} }
