package cluster

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// gatewayVersion is the version of the Gateway API that is used.
var gatewayVersion = schema.GroupVersion(gwapi.GroupVersion)

// gatewayOffer is what an API server has of the Gateway API.
type gatewayOffer struct {
	// asked is false as long as the API server has not been asked.
	asked bool
	// served is whether it has v1, and kinds are those that it has there.
	served bool
	kinds  []string
	// answer is what it has answered if it has no v1, and versions are those that it
	// has instead.
	answer   string
	versions []string
}

const (
	// gatewayMissing and listenerSetMissing are the words of cert-manager.
	gatewayMissing     = "the Gateway API CRDs do not seem to be present, but ExperimentalGatewayAPISupport is set to true. Please install the gateway-api CRDs."
	listenerSetMissing = "found GatewayAPI CRDs; however the Gateway API ListenerSet CRD do not seem to be present, but ListenerSets is set to true. Please install the gateway-api ListenerSet CRD."
)

// problem says why a kind cannot be used; it is "" if it can.
func (o gatewayOffer) problem(kind string) string {
	switch {
	case !o.asked:
		return "the API server has not said yet whether it has the Gateway API"
	case !o.served && len(o.versions) > 0:
		return fmt.Sprintf("%s (the API server has %s of %s; everleaf needs %s)", gatewayMissing, strings.Join(o.versions, ", "), gatewayVersion.Group, gatewayVersion.Version)
	case !o.served:
		return fmt.Sprintf("%s (%s)", gatewayMissing, o.answer)
	case len(o.kinds) == 0:
		return fmt.Sprintf("%s (found 0 APIResources in %s)", gatewayMissing, gatewayVersion)
	case slices.Contains(o.kinds, kind):
		return ""
	case kind == shim.KindListenerSet:
		return listenerSetMissing
	default:
		return fmt.Sprintf("%s (%s has no %s)", gatewayMissing, gatewayVersion, kind)
	}
}

// problems are those of some kinds, each once.
func (o gatewayOffer) problems(kinds []string) []string {
	var all []string
	for _, kind := range kinds {
		if problem := o.problem(kind); problem != "" && !slices.Contains(all, problem) {
			all = append(all, problem)
		}
	}
	return all
}
