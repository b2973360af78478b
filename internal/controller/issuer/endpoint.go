package issuer

import (
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/issuer"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Remote[cmv1.IssuerStatus] = (*work)(nil)

// Endpoint implements controller.Remote. The check of an issuer that has its CA
// in the cluster asks no server.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	if _, checks := action.(core.CheckIssuer); !checks {
		return "", 0
	}
	spec := w.State.Object.GetSpec()
	if acme := spec.ACME; acme != nil {
		return controller.ACMEServer(acme.Server), checkTimeout
	}
	return w.Types.Server(spec), checkTimeout
}

// Waiting implements controller.Remote.
func (w *work) Waiting(_ cmv1.IssuerStatus, cause string, now time.Time) cmv1.IssuerStatus {
	return w.State.Waiting(cause, now)
}
