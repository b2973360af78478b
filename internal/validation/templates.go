package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// templates checks the labels and annotations of what is made for HTTP-01 challenges, as
// the API server will do. cert-manager accepts them, and no challenge of the solver can
// ever be presented.
func templates(spec *cmv1.IssuerSpec) Result {
	var r Result
	if spec.ACME == nil {
		return r
	}
	for i := range spec.ACME.Solvers {
		if solver := spec.ACME.Solvers[i].HTTP01; solver != nil {
			r.solverTemplates(field.NewPath("spec", "acme", "solvers").Index(i).Child("http01"), solver)
		}
	}
	return r
}

func (r *Result) solverTemplates(path *field.Path, solver *acmev1.ACMEChallengeSolverHTTP01) {
	if ingress := solver.Ingress; ingress != nil {
		path := path.Child("ingress")
		if template := ingress.IngressTemplate; template != nil {
			r.metadata(path.Child("ingressTemplate", "metadata"), template.Annotations, template.Labels)
		}
		r.podTemplate(path, ingress.PodTemplate)
	}
	if gateway := solver.GatewayHTTPRoute; gateway != nil {
		path := path.Child("gatewayHTTPRoute")
		r.labels(path.Child("labels"), gateway.Labels)
		r.podTemplate(path, gateway.PodTemplate)
	}
}

func (r *Result) podTemplate(path *field.Path, template *acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate) {
	if template != nil {
		r.metadata(path.Child("podTemplate", "metadata"), template.Annotations, template.Labels)
	}
}

func (r *Result) metadata(path *field.Path, annotations, labels map[string]string) {
	r.annotations(path.Child("annotations"), annotations)
	r.labels(path.Child("labels"), labels)
}
