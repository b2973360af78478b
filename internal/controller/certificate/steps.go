package certificate

import (
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/plan"
)

var _ controller.Named = (*work)(nil)

// ControllerOf implements controller.Named.
func (*work) ControllerOf(action plan.Action) string {
	switch action.(type) {
	case core.GenerateKey, core.ReuseKey, core.StoreKey, core.DeleteKeys:
		return "certificates-key-manager"
	case core.CreateRequest, core.DeleteRequests:
		return "certificates-request-manager"
	case core.DeleteRevisions:
		return "certificates-revision-manager"
	case core.StoreSecret, core.StoreTemporary, core.CheckKeystores, core.RepairSecret:
		return "certificates-issuing"
	default:
		return ""
	}
}
