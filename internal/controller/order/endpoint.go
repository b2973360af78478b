package order

import (
	"cmp"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Remote[acmev1.OrderStatus] = (*work)(nil)

// Endpoint implements controller.Remote.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	switch action.(type) {
	case core.CreateOrder, core.FetchOrder, core.FetchAuthorizations, core.Finalize, core.Download:
		if w.Account != nil {
			return controller.ACMEServer(w.Account.Issuer.Server), requestTimeout
		}
	}
	return "", 0
}

// Waiting implements controller.Remote.
func (*work) Waiting(status acmev1.OrderStatus, cause string, _ time.Time) acmev1.OrderStatus {
	status.Reason = cmp.Or(status.Reason, cause)
	return status
}
