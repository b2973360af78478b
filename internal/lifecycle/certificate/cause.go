package certificate

import (
	"cmp"

	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
)

// causeOfWaiting is what a request waits for, empty if its Order takes its usual
// course.
func (c State) causeOfWaiting(r *facts.Request) string {
	if !request.OnOrder(r.Waiting) {
		return r.Waiting
	}
	return c.reasonOfOrder(r)
}

// causeOfFailure is why a request has failed: why its Order has, if the Order is
// the cause and says why.
func (c State) causeOfFailure(r *facts.Request) string {
	if !request.OnOrder(r.Failure.Message) {
		return r.Failure.Message
	}
	return cmp.Or(c.reasonOfOrder(r), r.Failure.Message)
}

// reasonOfOrder is why the Order of a request waits or has failed, empty if it
// does not say so.
func (c State) reasonOfOrder(r *facts.Request) string {
	if o := c.Orders[r.UID]; o != nil {
		return o.Reason
	}
	return ""
}
