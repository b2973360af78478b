package validation

import (
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

func acmeIssuer(path *field.Path, spec *acmev1.ACMEIssuer) Result {
	var r Result
	r.add(required(path.Child("privateKeySecretRef", "name"), spec.PrivateKey.Name, "private key secret name is a required field")...)
	r.add(required(path.Child("server"), spec.Server, "acme server URL is a required field")...)
	if len(spec.CABundle) > 0 && spec.SkipTLSVerify {
		const exclusive = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set"
		r.add(field.Invalid(path.Child("caBundle"), "", exclusive), field.Invalid(path.Child("skipTLSVerify"), true, exclusive))
	}
	r.add(bundle(path.Child("caBundle"), spec.CABundle, "")...)
	if binding := spec.ExternalAccountBinding; binding != nil {
		path := path.Child("externalAccountBinding")
		r.add(required(path.Child("keyID"), binding.KeyID, "the keyID field is required when using externalAccountBinding")...)
		r.add(selector(path.Child("keySecretRef"), binding.Key)...)
		if binding.KeyAlgorithm != "" {
			r.warn("ACME issuer spec field 'externalAccount.keyAlgorithm' is deprecated. The value of this field will be ignored.")
		}
	}
	for i := range spec.Solvers {
		r = r.With(Solver(path.Child("solvers").Index(i), &spec.Solvers[i]))
	}
	return r
}

// Solver checks a solver of an ACME issuer.
func Solver(path *field.Path, solver *acmev1.ACMEChallengeSolver) Result {
	var r Result
	switch {
	case solver.HTTP01 == nil && solver.DNS01 == nil:
		r.add(field.Required(path, "no solver type configured"))
	case solver.HTTP01 != nil && solver.DNS01 != nil:
		r.add(field.Forbidden(path, "may not specify more than one solver type in a single solver"))
	}
	if wait := solver.WaitInsteadOfSelfCheck; wait != nil && wait.Duration < 0 {
		r.add(field.Invalid(path.Child("waitInsteadOfSelfCheck"), wait.Duration.String(), "waitInsteadOfSelfCheck must not be negative"))
	}
	switch {
	case solver.HTTP01 != nil:
		r = r.With(http01(path.Child("http01"), solver.HTTP01))
	case solver.DNS01 != nil:
		r = r.With(DNS01(path.Child("dns01"), solver.DNS01))
	}
	return r
}

func http01(path *field.Path, solver *acmev1.ACMEChallengeSolverHTTP01) Result {
	var r Result
	ingress, gateway := solver.Ingress, solver.GatewayHTTPRoute
	switch {
	case ingress == nil && gateway == nil:
		r.add(field.Required(path, "no HTTP01 solver type configured"))
	case ingress != nil && gateway != nil:
		r.add(field.Required(path, "only 1 HTTP01 solver type may be configured"))
	}
	if ingress != nil {
		r = r.With(http01Ingress(path.Child("ingress"), ingress))
	}
	if gateway != nil {
		// cert-manager's errors name the field so.
		path := path.Child("gateway")
		r.add(serviceType(path, gateway.ServiceType)...)
		r.add(parentRefs(path.Child("parentRefs"), gateway.ParentRefs)...)
	}
	return r
}

func http01Ingress(path *field.Path, ingress *acmev1.ACMEChallengeSolverHTTP01Ingress) Result {
	var r Result
	ways := 0
	for _, set := range []bool{ingress.IngressClassName != nil, ingress.Class != nil, ingress.Name != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		r.add(field.Forbidden(path, "only one of 'ingressClassName', 'name' or 'class' should be specified"))
	}
	if class := ingress.IngressClassName; class != nil {
		r.add(faulty(path.Child("ingressClassName"), *class, validation.IsDNS1123Subdomain(*class), "must be a valid IngressClass name: ")...)
	}
	r.add(serviceType(path, ingress.ServiceType)...)
	return r
}

func serviceType(path *field.Path, of corev1.ServiceType) field.ErrorList {
	switch of {
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return nil
	default:
		return field.ErrorList{field.Invalid(path.Child("serviceType"), of, `must be empty, "ClusterIP" or "NodePort"`)}
	}
}

// parentRefs checks the Gateways of a solver, up to the first that is wrong. The
// kind has a default, which a file does not show.
func parentRefs(path *field.Path, refs []gwapi.ParentReference) field.ErrorList {
	for i, ref := range refs {
		kind := ptr.Deref(ref.Kind, "Gateway")
		switch path := path.Index(i); {
		case ref.Name == "" && kind != "":
			return field.ErrorList{field.Required(path.Child("name"), "name is required when kind is specified")}
		case ref.Name != "" && kind == "":
			return field.ErrorList{field.Required(path.Child("kind"), "kind is required when name is specified")}
		}
	}
	return nil
}

// nameservers checks the recursive resolvers of a solver.
func (r *Result) nameservers(path *field.Path, servers []string) {
	for i, server := range servers {
		switch {
		case strings.HasPrefix(server, "https://"):
			if u, err := url.Parse(server); err != nil || u.Host == "" {
				r.invalid(path, i, server, "must be in the format https://<DoH RFC 8484 server address>")
			}
		case strings.HasPrefix(server, "tls://"), strings.HasPrefix(server, "tcp://"):
			// These are everleaf's own.
		case !isHostPort(server):
			r.invalid(path, i, server, "must be in the format <ip address>:<port>")
		}
	}
}
