package http01

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/everleaf/everleaf/internal/solver"
)

// addPath adds the path of a Challenge to a person's Ingress, as the first one of the rule
// for its host, and reports whether that changes the Ingress. Nothing else of it changes.
func addPath(i *networkingv1.Ingress, c solver.Challenge, pathType networkingv1.PathType) bool {
	at := slices.IndexFunc(i.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == host(c) })
	if at < 0 {
		i.Spec.Rules = append(i.Spec.Rules, rule(c, pathType))
		return true
	}
	wanted := ingressPath(c, pathType, nameOf(c))
	r := &i.Spec.Rules[at]
	if r.HTTP == nil {
		r.HTTP = &networkingv1.HTTPIngressRuleValue{}
	}
	found := slices.IndexFunc(r.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool { return p.Path == path(c) })
	switch {
	case found < 0:
		r.HTTP.Paths = slices.Insert(r.HTTP.Paths, 0, wanted)
	case leadsTo(r.HTTP.Paths[found], nameOf(c)):
		return false
	default:
		r.HTTP.Paths[found] = wanted
	}
	return true
}

// removePath removes the path of a Challenge from an Ingress, and a rule that has no other
// path, unless the API server would refuse the Ingress without it. It reports whether that
// changes the Ingress. A path that leads elsewhere than to a solver is not ours.
func removePath(i *networkingv1.Ingress, c solver.Challenge) bool {
	changed := false
	var kept []networkingv1.IngressRule
	for n, r := range i.Spec.Rules {
		if r.Host != host(c) || r.HTTP == nil {
			kept = append(kept, r)
			continue
		}
		before := len(r.HTTP.Paths)
		r.HTTP.Paths = slices.DeleteFunc(r.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool {
			return p.Path == path(c) && p.Backend.Service != nil && strings.HasPrefix(p.Backend.Service.Name, namePrefix)
		})
		removed := len(r.HTTP.Paths) != before
		changed = changed || removed
		last := n == len(i.Spec.Rules)-1
		switch {
		case !removed, len(r.HTTP.Paths) > 0:
			kept = append(kept, r)
		case last && len(kept) == 0 && i.Spec.DefaultBackend == nil:
			kept = append(kept, networkingv1.IngressRule{Host: r.Host})
		}
	}
	i.Spec.Rules = kept
	return changed
}

// leadsTo reports whether a path leads to a solver's Service.
func leadsTo(p networkingv1.HTTPIngressPath, service string) bool {
	to := p.Backend.Service
	return to != nil && to.Name == service && to.Port.Number == Port
}
