package order

import (
	"cmp"
	"slices"

	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// ingressOverrides are the annotations of an Order that take the place of an Ingress
// solver's class, ingressClassName and name: at most one of them may be there. One with an
// empty value counts.
var ingressOverrides = []struct {
	annotation string
	set        func(*acmev1.ACMEChallengeSolverHTTP01Ingress, string)
}{
	{acmev1.ACMECertificateHTTP01IngressNameOverride, func(i *acmev1.ACMEChallengeSolverHTTP01Ingress, v string) { i.Name = v }},
	{acmev1.ACMECertificateHTTP01IngressClassOverride, func(i *acmev1.ACMEChallengeSolverHTTP01Ingress, v string) { i.Class = &v }},
	{acmev1.ACMECertificateHTTP01IngressClassNameOverride, func(i *acmev1.ACMEChallengeSolverHTTP01Ingress, v string) { i.IngressClassName = &v }},
}

// override returns a copy of the solver that was chosen for an Order, with what the Order's
// annotations change of it, or why they cannot. Solvers for DNS-01 have nothing to change.
func override(o *acmev1.Order, chosen *acmev1.ACMEChallengeSolver) (acmev1.ACMEChallengeSolver, string) {
	solver := *chosen.DeepCopy()
	if solver.HTTP01 == nil || len(o.Annotations) == 0 {
		return solver, ""
	}
	if ingress := solver.HTTP01.Ingress; ingress != nil {
		if why := overrideIngress(o.Annotations, ingress); why != "" {
			return solver, why
		}
	}
	if route := solver.HTTP01.GatewayHTTPRoute; route != nil {
		if why := overrideParents(o, route); why != "" {
			return solver, why
		}
	}
	return solver, ""
}

func overrideIngress(annotations map[string]string, ingress *acmev1.ACMEChallengeSolverHTTP01Ingress) string {
	found := false
	for _, one := range ingressOverrides {
		value, ok := annotations[one.annotation]
		switch {
		case !ok:
			continue
		case found:
			return "may not specify more than one of: name, class, ingressClassName override annotations"
		}
		found = true
		ingress.Name, ingress.Class, ingress.IngressClassName = "", nil, nil
		one.set(ingress, value)
	}
	return ""
}

// overrideParents adds the parent that an Order's annotations name. The issuer's own
// reference to the same parent is kept in its place: it may name a listener.
func overrideParents(o *acmev1.Order, route *acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute) string {
	name, kind := o.Annotations[acmev1.ACMECertificateHTTP01ParentRefName], o.Annotations[acmev1.ACMECertificateHTTP01ParentRefKind]
	if (name == "") != (kind == "") {
		return "cannot specify only one of parentRefName, parentRefKind override annotations"
	}
	if name != "" {
		namespace := cmp.Or(o.Annotations[acmev1.ACMECertificateHTTP01ParentRefNamespace], o.Namespace)
		same := func(p gwapi.ParentReference) bool {
			return string(p.Name) == name && either(p.Kind, "Gateway") == kind && either(p.Group, gwapi.GroupName) == gwapi.GroupName &&
				either(p.Namespace, o.Namespace) == namespace
		}
		if !slices.ContainsFunc(route.ParentRefs, same) {
			of, in := gwapi.Kind(kind), gwapi.Namespace(namespace)
			route.ParentRefs = append(route.ParentRefs, gwapi.ParentReference{Kind: &of, Namespace: &in, Name: gwapi.ObjectName(name)})
		}
	}
	if len(route.ParentRefs) == 0 {
		return "must specify parentRefs either through annotations or solver config"
	}
	return ""
}

// either is what a field of a reference says, or its default.
func either[T ~string](field *T, otherwise string) string {
	if field == nil {
		return otherwise
	}
	return string(*field)
}
