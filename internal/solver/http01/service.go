package http01

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/everleaf/everleaf/internal/solver"
)

// slicesManager is the value of the label that says who manages an EndpointSlice. The
// controllers of Kubernetes leave those of others alone.
const slicesManager = "http01.everleaf.io"

// serviceTypeOf is the serviceType of a Challenge's solver, empty if it has none.
func serviceTypeOf(c solver.Challenge) corev1.ServiceType {
	switch http01 := c.Solver.HTTP01; {
	case http01.Ingress != nil:
		return http01.Ingress.ServiceType
	case http01.GatewayHTTPRoute != nil:
		return http01.GatewayHTTPRoute.ServiceType
	default:
		return ""
	}
}

// service is the Service to which the route of a Challenge leads. That of a pod selects the
// pod, and is a NodePort unless the solver says otherwise; that of the shared responder has
// no selector, and needs no port on nodes.
func service(c solver.Challenge, m mode, extra map[string]string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metadata(c, labels(c, extra, nil), map[string]string{"auth.istio.io/8089": "NONE"}),
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{Name: portName, Port: Port, TargetPort: intstr.FromInt32(Port)}},
		},
	}
	if m == inPod {
		s.Spec.Type, s.Spec.Selector = corev1.ServiceTypeNodePort, identity(c)
	}
	if kind := serviceTypeOf(c); kind != "" {
		s.Spec.Type = kind
	}
	return s
}

// correctService gives a Service what it must have to serve a Challenge, and reports whether
// that changes it. What others have added stays.
func correctService(have, want *corev1.Service) bool {
	before := have.DeepCopy()
	if len(have.Spec.Selector) == 0 && len(want.Spec.Selector) > 0 {
		// A pod takes the place of the shared responder.
		have.Spec.Type = want.Spec.Type
	}
	have.Spec.Selector = want.Spec.Selector
	served := func(p corev1.ServicePort) bool {
		return p.Port == Port && p.TargetPort == want.Spec.Ports[0].TargetPort && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP)
	}
	if !slices.ContainsFunc(have.Spec.Ports, served) {
		have.Spec.Ports = want.Spec.Ports
	}
	own(have, want)
	return !equality.Semantic.DeepEqual(before, have)
}

// Backends are where the shared responder can be reached.
type Backends struct {
	// Addresses are those of the pods that are ready.
	Addresses []netip.Addr
	// Port is where they listen.
	Port int32
}

// endpointSlice leads a Service to the addresses of a family.
func endpointSlice(c solver.Challenge, family corev1.IPFamily, to Backends, extra map[string]string) *discoveryv1.EndpointSlice {
	all := labels(c, extra, nil)
	all[discoveryv1.LabelServiceName], all[discoveryv1.LabelManagedBy] = nameOf(c), slicesManager
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metadata(c, all, nil),
		AddressType: discoveryv1.AddressType(family),
	}
	s.Name = sliceName(c, family)
	lead(s, to)
	return s
}

// sliceName is the name of the EndpointSlice for a family. IPv4 needs no suffix: nearly all
// Services have one family.
func sliceName(c solver.Challenge, family corev1.IPFamily) string {
	if family == corev1.IPv6Protocol {
		return nameOf(c) + "-6"
	}
	return nameOf(c)
}

// correctSlice is correctService for an EndpointSlice: as a whole, it is ours.
func correctSlice(have, want *discoveryv1.EndpointSlice) bool {
	before := have.DeepCopy()
	have.Endpoints, have.Ports = want.Endpoints, want.Ports
	own(have, want)
	return !equality.Semantic.DeepEqual(before, have)
}
