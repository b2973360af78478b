package http01

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/solver"
)

// httpRoute is the HTTPRoute that leads a CA's request for a Challenge to its Service. What
// the API server fills in is spelt out, so that the two can be compared.
func httpRoute(c solver.Challenge, extra map[string]string) *gwapi.HTTPRoute {
	with := c.Solver.HTTP01.GatewayHTTPRoute
	parents := slices.Clone(with.ParentRefs)
	for i := range parents {
		if parents[i].Group == nil {
			parents[i].Group = ptr.To(gwapi.Group(gwapi.GroupName))
		}
		if parents[i].Kind == nil {
			parents[i].Kind = ptr.To(gwapi.Kind("Gateway"))
		}
	}
	route := &gwapi.HTTPRoute{
		ObjectMeta: metadata(c, labels(c, extra, with.Labels), nil),
		Spec: gwapi.HTTPRouteSpec{
			CommonRouteSpec: gwapi.CommonRouteSpec{ParentRefs: parents},
			Rules: []gwapi.HTTPRouteRule{{
				Matches: []gwapi.HTTPRouteMatch{{
					Path: &gwapi.HTTPPathMatch{Type: ptr.To(gwapi.PathMatchExact), Value: ptr.To(path(c))},
				}},
				BackendRefs: []gwapi.HTTPBackendRef{{BackendRef: gwapi.BackendRef{
					BackendObjectReference: gwapi.BackendObjectReference{
						Group: ptr.To(gwapi.Group("")), Kind: ptr.To(gwapi.Kind("Service")), Name: gwapi.ObjectName(nameOf(c)),
						Namespace: ptr.To(gwapi.Namespace(c.Namespace)), Port: ptr.To(gwapi.PortNumber(Port)),
					},
					Weight: ptr.To(int32(1)),
				}}},
			}},
		},
	}
	if h := host(c); h != "" {
		route.Spec.Hostnames = []gwapi.Hostname{gwapi.Hostname(h)}
	}
	return route
}

// correctRoute is correctIngress for an HTTPRoute: labels and spec are as wanted,
// annotations stay.
func correctRoute(have, want *gwapi.HTTPRoute) bool {
	before := have.DeepCopy()
	have.Spec, have.Labels = want.Spec, want.Labels
	own(have, want)
	return !equality.Semantic.DeepEqual(before, have)
}

// ipFamilies are the families of a Service's addresses. One without an address has IPv4.
func ipFamilies(s *corev1.Service) []corev1.IPFamily {
	if len(s.Spec.IPFamilies) > 0 {
		return s.Spec.IPFamilies
	}
	return []corev1.IPFamily{corev1.IPv4Protocol}
}
