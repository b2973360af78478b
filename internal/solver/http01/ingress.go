package http01

import (
	"maps"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver"
)

const (
	// classAnnotation names the class of an Ingress for controllers that go by it.
	classAnnotation = "kubernetes.io/ingress.class"
	// whitelist is the end of the annotations by which controllers limit who may ask.
	whitelist = "whitelist-source-range"
)

// ingress is the Ingress that leads a CA's request for a Challenge to its Service.
func ingress(c solver.Challenge, pathType networkingv1.PathType, extra map[string]string) (*networkingv1.Ingress, error) {
	with := c.Solver.HTTP01.Ingress
	if with.Class != nil && with.IngressClassName != nil {
		return nil, fault.New(fault.User, "InvalidSolver", "the fields ingressClassName and class cannot be set at the same time")
	}
	template := with.IngressTemplate
	if template == nil {
		template = &acmev1.ACMEChallengeSolverHTTP01IngressTemplate{}
	}
	annotations := map[string]string{"nginx.ingress.kubernetes.io/" + whitelist: "0.0.0.0/0,::/0"}
	for key := range template.Annotations {
		if key == whitelist || strings.HasSuffix(key, "/"+whitelist) {
			annotations = map[string]string{}
		}
	}
	if with.Class != nil {
		annotations[classAnnotation] = *with.Class
	}
	maps.Copy(annotations, template.Annotations)
	return &networkingv1.Ingress{
		ObjectMeta: metadata(c, labels(c, extra, template.Labels), annotations),
		Spec: networkingv1.IngressSpec{
			IngressClassName: with.IngressClassName,
			Rules:            []networkingv1.IngressRule{rule(c, pathType)},
		},
	}, nil
}

func rule(c solver.Challenge, pathType networkingv1.PathType) networkingv1.IngressRule {
	return networkingv1.IngressRule{
		Host: host(c),
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{ingressPath(c, pathType, nameOf(c))},
		}},
	}
}

func ingressPath(c solver.Challenge, pathType networkingv1.PathType, service string) networkingv1.HTTPIngressPath {
	return networkingv1.HTTPIngressPath{
		Path: path(c), PathType: ptr.To(pathType),
		Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
			Name: service, Port: networkingv1.ServiceBackendPort{Number: Port},
		}},
	}
}

// correctIngress gives an Ingress of ours the rule and the class that it must have, and
// reports whether that changes it. Without a class in the solver, the cluster chooses one.
func correctIngress(have, want *networkingv1.Ingress) bool {
	before := have.DeepCopy()
	have.Spec.Rules = want.Spec.Rules
	if class, ok := want.Annotations[classAnnotation]; ok || want.Spec.IngressClassName != nil {
		have.Spec.IngressClassName = want.Spec.IngressClassName
		delete(have.Annotations, classAnnotation)
		if ok {
			if have.Annotations == nil {
				have.Annotations = map[string]string{}
			}
			have.Annotations[classAnnotation] = class
		}
	}
	own(have, want)
	return !equality.Semantic.DeepEqual(before, have)
}

// refusesExact reports whether an admission controller refused a path because of its type.
// The one of ingress-nginx admits no path with a dot under type Exact.
func refusesExact(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "pathtype")
}
