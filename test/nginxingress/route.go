package nginxingress

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// addGateway adds the certificates of a Gateway's listeners to the sites.
func (s *snapshot) addGateway(all sites, gateway *gatewayv1.Gateway) {
	for _, listener := range gateway.Spec.Listeners {
		if listener.TLS == nil || listener.Protocol != gatewayv1.HTTPSProtocolType {
			continue
		}
		site := all.at(valueOf(listener.Hostname))
		for _, ref := range listener.TLS.CertificateRefs {
			key := client.ObjectKey{Namespace: gateway.Namespace, Name: string(ref.Name)}
			if site.certificate == "" && s.pairs[key] != nil {
				site.certificate = pairFile(key)
			}
		}
	}
}

// addRoute adds what a route says to the sites, and returns the status for those of its
// parents that are Gateways of the class.
func (s *snapshot) addRoute(all sites, gateways []gatewayv1.Gateway, route *gatewayv1.HTTPRoute, f Faults) []gatewayv1.RouteParentStatus {
	var statuses []gatewayv1.RouteParentStatus
	for _, parent := range route.Spec.ParentRefs {
		i := slices.IndexFunc(gateways, func(g gatewayv1.Gateway) bool { return refersTo(route, parent, &g) })
		if i < 0 {
			continue
		}
		hosts, reason := s.attach(&gateways[i], route, parent)
		for _, host := range hosts {
			s.addRules(all.at(host.name), route, host, f)
		}
		statuses = append(statuses, gatewayv1.RouteParentStatus{
			ParentRef: parent, ControllerName: Name,
			Conditions: []metav1.Condition{
				conditionOf(string(gatewayv1.RouteConditionAccepted), reason, string(gatewayv1.RouteReasonAccepted), route.Generation),
				conditionOf(string(gatewayv1.RouteConditionResolvedRefs), s.resolve(route), string(gatewayv1.RouteReasonResolvedRefs), route.Generation),
			},
		})
	}
	return statuses
}

func refersTo(route *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference, gateway *gatewayv1.Gateway) bool {
	if parent.Kind != nil && *parent.Kind != "Gateway" || parent.Group != nil && *parent.Group != gatewayv1.GroupName {
		return false
	}
	namespace := route.Namespace
	if parent.Namespace != nil {
		namespace = string(*parent.Namespace)
	}
	return gateway.Namespace == namespace && gateway.Name == string(parent.Name)
}

// attached is a host for which a route is attached to a listener.
type attached struct {
	name  string
	https bool
}

// attach returns the hosts for which a Gateway's listeners take a route, or else the reason
// why they do not.
func (s *snapshot) attach(gateway *gatewayv1.Gateway, route *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference) ([]attached, gatewayv1.RouteConditionReason) {
	var hosts []attached
	reason := gatewayv1.RouteReasonNoMatchingParent
	for _, listener := range gateway.Spec.Listeners {
		if parent.SectionName != nil && *parent.SectionName != listener.Name || parent.Port != nil && *parent.Port != listener.Port {
			continue
		}
		if listener.Protocol != gatewayv1.HTTPProtocolType && listener.Protocol != gatewayv1.HTTPSProtocolType {
			continue
		}
		if !s.allows(gateway, listener, route.Namespace) {
			reason = gatewayv1.RouteReasonNotAllowedByListeners
			continue
		}
		names := common(valueOf(listener.Hostname), route.Spec.Hostnames)
		if len(names) == 0 {
			reason = gatewayv1.RouteReasonNoMatchingListenerHostname
		}
		for _, name := range names {
			hosts = append(hosts, attached{name: name, https: listener.Protocol == gatewayv1.HTTPSProtocolType})
		}
	}
	if len(hosts) > 0 {
		return hosts, gatewayv1.RouteReasonAccepted
	}
	return nil, reason
}

// allows reports whether a listener takes routes from a namespace.
func (s *snapshot) allows(gateway *gatewayv1.Gateway, listener gatewayv1.Listener, namespace string) bool {
	from := gatewayv1.NamespacesFromSame
	if allowed := listener.AllowedRoutes; allowed != nil && allowed.Namespaces != nil && allowed.Namespaces.From != nil {
		from = *allowed.Namespaces.From
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return gateway.Namespace == namespace
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(listener.AllowedRoutes.Namespaces.Selector)
		return err == nil && selector.Matches(labels.Set(s.namespaces[namespace]))
	default:
		return false
	}
}

// common returns the hosts that both a listener and a route name; "" means all.
func common(listener string, route []gatewayv1.Hostname) []string {
	if len(route) == 0 {
		return []string{listener}
	}
	var names []string
	for _, one := range route {
		name := string(one)
		switch {
		case listener == "" || listener == name || covers(listener, name):
			names = append(names, name)
		case covers(name, listener):
			names = append(names, listener)
		}
	}
	return names
}

// covers reports whether a wildcard covers a name.
func covers(wildcard, name string) bool {
	suffix, ok := strings.CutPrefix(wildcard, "*")
	return ok && strings.HasSuffix(name, suffix)
}

// addRules adds the rules of a route for one host.
func (s *snapshot) addRules(site *site, route *gatewayv1.HTTPRoute, host attached, f Faults) {
	for _, rule := range route.Spec.Rules {
		l := location{http: !host.https && !f.OnlyHTTPS, https: host.https, host: f.Host}
		for _, ref := range rule.BackendRefs {
			l.backends = append(l.backends, s.backendsOfRef(route, ref.BackendObjectReference)...)
		}
		for _, filter := range rule.Filters {
			if r := filter.RequestRedirect; r != nil && r.Scheme != nil && *r.Scheme == "https" {
				l.toHTTPS = true
			}
		}
		for _, match := range rule.Matches {
			l.path, l.kind = "/", networkingv1.PathTypePrefix
			if match.Path != nil && match.Path.Value != nil {
				l.path = *match.Path.Value
			}
			if match.Path != nil && match.Path.Type != nil && *match.Path.Type == gatewayv1.PathMatchExact {
				l.kind = networkingv1.PathTypeExact
			}
			if l.kind != networkingv1.PathTypeExact || !f.SkipExact {
				site.add(l)
			}
		}
	}
}

func (s *snapshot) backendsOfRef(route *gatewayv1.HTTPRoute, ref gatewayv1.BackendObjectReference) []string {
	if ref.Port == nil {
		return nil
	}
	return s.backends(client.ObjectKey{Namespace: route.Namespace, Name: string(ref.Name)}, *ref.Port, "")
}

// resolve returns whether the Services of a route exist, as the reason of a condition.
func (s *snapshot) resolve(route *gatewayv1.HTTPRoute) gatewayv1.RouteConditionReason {
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			if ref.Namespace != nil && string(*ref.Namespace) != route.Namespace {
				return gatewayv1.RouteReasonRefNotPermitted
			}
			if _, ok := s.services[client.ObjectKey{Namespace: route.Namespace, Name: string(ref.Name)}]; !ok {
				return gatewayv1.RouteReasonBackendNotFound
			}
		}
	}
	return gatewayv1.RouteReasonResolvedRefs
}

// conditionOf returns a condition that is true if its reason is the good one.
func conditionOf(kind string, reason gatewayv1.RouteConditionReason, good string, generation int64) metav1.Condition {
	status := metav1.ConditionFalse
	if string(reason) == good {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: string(reason), ObservedGeneration: generation}
}

func valueOf(hostname *gatewayv1.Hostname) string {
	if hostname == nil {
		return ""
	}
	return string(*hostname)
}
