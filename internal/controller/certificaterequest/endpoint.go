package certificaterequest

import (
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Remote[cmv1.CertificateRequestStatus] = (*work)(nil)

// Endpoint implements controller.Remote.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	return controller.SigningEndpoint[core.Sign](action, w.Signers.Types, w.issuer)
}

// Waiting implements controller.Remote.
func (*work) Waiting(status cmv1.CertificateRequestStatus, cause string, now time.Time) cmv1.CertificateRequestStatus {
	return core.Waiting(status, cause, now)
}
