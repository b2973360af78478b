package order

import (
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
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
			// With the group, which the API server would fill in: what is stored is compared
			// with what is wanted.
			group, of, in := gwapi.Group(gwapi.GroupName), gwapi.Kind(kind), gwapi.Namespace(namespace)
			route.ParentRefs = append(route.ParentRefs, gwapi.ParentReference{Group: &group, Kind: &of, Namespace: &in, Name: gwapi.ObjectName(name)})
		}
	}
	if len(route.ParentRefs) == 0 {
		return "must specify parentRefs either through annotations or solver config"
	}
	return ""
}

// overrides are the keys of the annotations that change a solver.
var overrides = []string{
	acmev1.ACMECertificateHTTP01IngressNameOverride, acmev1.ACMECertificateHTTP01IngressClassOverride, acmev1.ACMECertificateHTTP01IngressClassNameOverride,
	acmev1.ACMECertificateHTTP01ParentRefName, acmev1.ACMECertificateHTTP01ParentRefKind, acmev1.ACMECertificateHTTP01ParentRefNamespace,
}

// overridesOf are those annotations that change a solver, and whose keys are copied.
func overridesOf(annotations map[string]string, copied func(key string) bool) map[string]string {
	found := map[string]string{}
	for _, key := range overrides {
		if value, ok := annotations[key]; ok && copied(key) {
			found[key] = value
		}
	}
	return found
}

// OtherOverrides reports whether an Order has other annotations that change a solver than
// would be copied to it from its Certificate now.
func OtherOverrides(o *acmev1.Order, certificate map[string]string, copied func(key string) bool) bool {
	return !maps.Equal(overridesOf(certificate, copied), overridesOf(o.Annotations, everything))
}

func everything(string) bool { return true }

// WithOverrides returns a copy of an Order with annotations that change a solver, in the
// place of those that it has.
func WithOverrides(o *acmev1.Order, annotations map[string]string) *acmev1.Order {
	changed := o.DeepCopy()
	for _, key := range overrides {
		delete(changed.Annotations, key)
	}
	for key, value := range annotations {
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, key, value)
	}
	return changed
}

// newOverrides is the plan that takes over the annotations of the Certificate that change a
// solver, if these have changed since the request was made, and if that changes a Challenge
// that is not proved. The Challenges follow as they follow the issuer. A Challenge that the
// CA has been asked for is left to it, one that has failed ends the Order, and annotations
// that contradict each other are left to the next Order.
func (s State) newOverrides() Plan {
	p := s.wait()
	if s.Certificate == nil || !OtherOverrides(s.Object, s.Certificate.Annotations, s.Copied) ||
		slices.ContainsFunc(s.Challenges, func(c *acmev1.Challenge) bool {
			return c.Status.State == acmev1.Processing || Failed(c.Status.State)
		}) {
		return p
	}
	annotations := overridesOf(s.Certificate.Annotations, s.Copied)
	before, mistake, _ := wantedChallenges(s.Object, s.Account)
	after, still, _ := wantedChallenges(WithOverrides(s.Object, annotations), s.Account)
	same := func(a, b acmev1.ChallengeSpec) bool { return SameChallenge(&a, &b) }
	if still != "" || mistake == "" && (slices.EqualFunc(before, after, same) || compareChallenges(after, s.Challenges).valid == len(after)) {
		return p
	}
	p.Do = Override{Annotations: annotations}
	// An older version of the Certificate would bring the old ones back.
	p.Confirm = []plan.Confirm{plan.AsSeen(cmv1.CertificateKind, s.Certificate)}
	return p
}

// either is what a field of a reference says, or its default.
func either[T ~string](field *T, otherwise string) string {
	if field == nil {
		return otherwise
	}
	return string(*field)
}
