package podcertificate

import (
	"time"

	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/podcertificate"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Remote[status] = (*work)(nil)

// Endpoint implements controller.Remote. An issuer that has its CA in the cluster asks no
// server.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	if _, signs := action.(core.Sign); signs && w.issuer != nil {
		return w.Types.Server(w.issuer.GetSpec()), controller.SignTimeout
	}
	return "", 0
}

// Waiting implements controller.Remote. The kind has no condition for what waits.
func (*work) Waiting(s status, _ string, _ time.Time) status { return s }
