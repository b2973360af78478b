package certificaterequest

import (
	"strings"

	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Named = (*work)(nil)

// ControllerOf implements controller.Named: every action is the issuer's.
func (w *work) ControllerOf(plan.Action) string {
	return strings.TrimPrefix(core.ManagerOf(w.State.Issuer), "cert-manager-")
}
