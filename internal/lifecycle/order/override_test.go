package order

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

func TestOverride(t *testing.T) {
	const (
		name, class, className = acmev1.ACMECertificateHTTP01IngressNameOverride, acmev1.ACMECertificateHTTP01IngressClassOverride, acmev1.ACMECertificateHTTP01IngressClassNameOverride
		parent, kind, in       = acmev1.ACMECertificateHTTP01ParentRefName, acmev1.ACMECertificateHTTP01ParentRefKind, acmev1.ACMECertificateHTTP01ParentRefNamespace
		twice                  = "may not specify more than one of: name, class, ingressClassName override annotations"
		half                   = "cannot specify only one of parentRefName, parentRefKind override annotations"
	)
	type annotations = map[string]string
	ingress := func(i acmev1.ACMEChallengeSolverHTTP01Ingress) acmev1.ACMEChallengeSolver {
		i.ServiceType = "ClusterIP"
		return acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{Ingress: &i}}
	}
	gateway := func(refs ...gwapi.ParentReference) acmev1.ACMEChallengeSolver {
		return acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{GatewayHTTPRoute: &acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{ParentRefs: refs}}}
	}
	ref := func(kind, namespace, name string) gwapi.ParentReference {
		r := gwapi.ParentReference{Name: gwapi.ObjectName(name)}
		if kind != "" {
			r.Kind = ptr(gwapi.Kind(kind))
		}
		if namespace != "" {
			r.Namespace = ptr(gwapi.Namespace(namespace))
		}
		return r
	}
	// What is added has what the API server would fill in.
	added := func(kind, namespace, name string) gwapi.ParentReference {
		r := ref(kind, namespace, name)
		r.Group = ptr(gwapi.Group(gwapi.GroupName))
		return r
	}
	section := ref("", "infra", "gw")
	section.SectionName = ptr(gwapi.SectionName("acme"))
	named := acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "web"}
	for _, test := range []struct {
		title string
		annotations
		chosen, want acmev1.ACMEChallengeSolver
		why          string
	}{
		{"nothing to change", nil, ingress(named), ingress(named), ""},
		{"other annotations", annotations{"a": "b"}, ingress(named), ingress(named), ""},
		{"DNS-01", annotations{class: "nginx", parent: "gw"}, rfc2136("a"), rfc2136("a"), ""},
		{"class", annotations{class: "nginx"}, ingress(named), ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{Class: ptr("nginx")}), ""},
		{"ingressClassName", annotations{className: "public"}, ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{Class: ptr("nginx")}), ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: ptr("public")}), ""},
		{"name", annotations{name: "cafe"}, ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{Class: ptr("nginx")}), ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "cafe"}), ""},
		{"an empty name", annotations{name: ""}, ingress(named), ingress(acmev1.ACMEChallengeSolverHTTP01Ingress{}), ""},
		{"two", annotations{name: "", class: "nginx"}, ingress(named), acmev1.ACMEChallengeSolver{}, twice},
		{"a parent", annotations{parent: "gw", kind: "Gateway"}, gateway(), gateway(added("Gateway", "lab", "gw")), ""},
		{"a parent beside the issuer's", annotations{parent: "ls", kind: "ListenerSet", in: "apps"}, gateway(ref("", "infra", "gw")), gateway(ref("", "infra", "gw"), added("ListenerSet", "apps", "ls")), ""},
		{"the issuer's parent", annotations{parent: "gw", kind: "Gateway", in: "infra"}, gateway(section), gateway(section), ""},
		{"the issuer's parent, in the Order's namespace", annotations{parent: "gw", kind: "Gateway"}, gateway(ref("", "", "gw")), gateway(ref("", "", "gw")), ""},
		{"another kind of the name", annotations{parent: "gw", kind: "ListenerSet"}, gateway(ref("", "", "gw")), gateway(ref("", "", "gw"), added("ListenerSet", "lab", "gw")), ""},
		{"half a parent", annotations{parent: "gw"}, gateway(section), acmev1.ACMEChallengeSolver{}, half},
		{"the other half", annotations{kind: "Gateway"}, gateway(section), acmev1.ACMEChallengeSolver{}, half},
		{"no parent", annotations{"a": "b"}, gateway(), acmev1.ACMEChallengeSolver{}, "must specify parentRefs either through annotations or solver config"},
	} {
		t.Run(test.title, func(t *testing.T) {
			before := test.chosen.DeepCopy()
			got, why := override(&acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Annotations: test.annotations}}, &test.chosen)
			if why != test.why {
				t.Errorf("why: %q, want %q", why, test.why)
			}
			if diff := cmp.Diff(test.want, got); test.why == "" && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(before, &test.chosen); diff != "" {
				t.Errorf("the issuer's solver was changed:\n%s", diff)
			}
		})
	}
}
