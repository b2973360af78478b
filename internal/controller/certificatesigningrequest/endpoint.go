package certificatesigningrequest

import (
	"time"

	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Remote[status] = (*work)(nil)

// Endpoint implements controller.Remote.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	return controller.SigningEndpoint[core.Sign](action, w.Signers.Types, w.issuer)
}

// Waiting implements controller.Remote. The kind has no condition for what waits.
func (*work) Waiting(s status, _ string, _ time.Time) status { return s }
