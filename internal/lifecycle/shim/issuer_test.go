package shim

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// TestIssuer has the rows of the issuer's annotations and of the options.
func TestIssuer(t *testing.T) {
	const bad = "BadConfig: Could not determine issuer for ingress due to bad annotations: "
	withDefault := options()
	withDefault.DefaultIssuer.Name = "std"
	external := withDefault
	external.DefaultIssuer = cmmeta.IssuerReference{Name: "std", Kind: "AWSPCAIssuer", Group: "awspca.example"}
	marked, twice := options(), options()
	marked.MarkedIssuers = []string{"usual"}
	twice.MarkedIssuers = []string{"a", "b"}
	both := withDefault
	both.MarkedIssuers = marked.MarkedIssuers
	for _, test := range []struct {
		name        string
		annotations []string
		settings    Settings
		want        cmmeta.IssuerReference
		warning     string
	}{
		{"an Issuer", []string{"cert-manager.io/issuer", "le"}, options(), cmmeta.IssuerReference{Name: "le", Kind: "Issuer", Group: "cert-manager.io"}, ""},
		{"a ClusterIssuer", []string{"cert-manager.io/cluster-issuer", "le"}, options(), cmmeta.IssuerReference{Name: "le", Kind: "ClusterIssuer", Group: "cert-manager.io"}, ""},
		{"a ClusterIssuer by its kind", []string{"cert-manager.io/issuer", "le", "cert-manager.io/issuer-kind", "ClusterIssuer"}, options(), cmmeta.IssuerReference{Name: "le", Kind: "ClusterIssuer", Group: "cert-manager.io"}, ""},
		{"an external issuer", []string{"cert-manager.io/issuer", "x", "cert-manager.io/issuer-kind", "K", "cert-manager.io/issuer-group", "g"}, options(), cmmeta.IssuerReference{Name: "x", Kind: "K", Group: "g"}, ""},
		{"empty kind and group are stored as given", []string{"cert-manager.io/issuer", "x", "cert-manager.io/issuer-kind", "", "cert-manager.io/issuer-group", ""}, options(), cmmeta.IssuerReference{Name: "x"}, ""},
		{"the group of an external default stays", []string{"cert-manager.io/issuer", "x"}, external, cmmeta.IssuerReference{Name: "x", Kind: "Issuer", Group: "awspca.example"}, ""},
		{"tls-acme with a default", []string{"kubernetes.io/tls-acme", "true"}, external, external.DefaultIssuer, ""},
		{"tls-acme with the kind", []string{"kubernetes.io/tls-acme", "1", "cert-manager.io/issuer-kind", "ClusterIssuer"}, withDefault, cmmeta.IssuerReference{Name: "std", Kind: "ClusterIssuer", Group: "cert-manager.io"}, ""},
		{"tls-acme without a default", []string{"kubernetes.io/tls-acme", "True"}, options(), cmmeta.IssuerReference{}, bad + "failed to determine issuer name to be used for ingress resource"},
		{"tls-acme with a marked ClusterIssuer", []string{"kubernetes.io/tls-acme", "true"}, marked, cmmeta.IssuerReference{Name: "usual", Kind: "ClusterIssuer", Group: "cert-manager.io"}, ""},
		{"the option comes before the mark", []string{"kubernetes.io/tls-acme", "true"}, both, withDefault.DefaultIssuer, ""},
		{
			"two marked ones",
			[]string{"kubernetes.io/tls-acme", "true"},
			twice,
			cmmeta.IssuerReference{},
			bad + "failed to determine issuer name to be used for ingress resource (several ClusterIssuers have the annotation everleaf.io/default-issuer: a, b)",
		},
		{"a kind without its group", []string{"cert-manager.io/issuer", "cas", "cert-manager.io/issuer-kind", "GoogleCASIssuer"}, options(), cmmeta.IssuerReference{}, `BadConfig: spec.issuerRef.kind: Invalid value: "GoogleCASIssuer": must be one of Issuer or ClusterIssuer; for an issuer of another group, set the annotation cert-manager.io/issuer-group`},
		{"an empty name", []string{"cert-manager.io/issuer", ""}, withDefault, cmmeta.IssuerReference{}, bad + "failed to determine issuer name to be used for ingress resource"},
		{"two issuers", []string{"cert-manager.io/issuer", "a", "cert-manager.io/cluster-issuer", "b"}, options(), cmmeta.IssuerReference{}, bad + `both "cert-manager.io/issuer" and "cert-manager.io/cluster-issuer" may not be set`},
		{"a ClusterIssuer with a group", []string{"cert-manager.io/cluster-issuer", "b", "cert-manager.io/issuer-group", "g"}, options(), cmmeta.IssuerReference{}, bad + `both "cert-manager.io/cluster-issuer" and "cert-manager.io/issuer-group" may not be set`},
		{
			"a ClusterIssuer with group and kind",
			[]string{"cert-manager.io/cluster-issuer", "b", "cert-manager.io/issuer-group", "g", "cert-manager.io/issuer-kind", "k"},
			options(),
			cmmeta.IssuerReference{},
			bad + `both "cert-manager.io/cluster-issuer" and "cert-manager.io/issuer-group" may not be set, both "cert-manager.io/cluster-issuer" and "cert-manager.io/issuer-kind" may not be set`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := &networkingv1.Ingress{ObjectMeta: meta(test.annotations...), Spec: ingress().Spec}
			var warnings []string
			if test.warning != "" {
				warnings = []string{test.warning}
			}
			check(t, "warnings", warned(OfIngress(i), test.settings), warnings)
			check(t, "issuer", Want(OfIngress(i), test.settings).Issuer, test.want)
			if got := len(made(t, OfIngress(i), test.settings)); got != 1-len(warnings) {
				t.Errorf("%d Certificates", got)
			}
		})
	}
}

// TestAsking has the annotations that ask for Certificates.
func TestAsking(t *testing.T) {
	s := options()
	s.DefaultIssuer.Name, s.AutoAnnotations = "std", []string{"kubernetes.io/tls-acme", "example.test/tls"}
	for annotation, want := range map[string]bool{
		"cert-manager.io/issuer=": true, "cert-manager.io/cluster-issuer=le": true, "cert-manager.io/issuer-kind=Issuer": false,
		"kubernetes.io/tls-acme=true": true, "kubernetes.io/tls-acme=True": true, "kubernetes.io/tls-acme=1": true, "example.test/tls=t": true,
		"kubernetes.io/tls-acme=yes": false, "kubernetes.io/tls-acme=false": false, "kubernetes.io/tls-acme=": false, "other=true": false,
	} {
		key, value, _ := cut(annotation)
		i := &networkingv1.Ingress{ObjectMeta: meta(key, value)}
		if got := Want(OfIngress(i), s).Asked; got != want {
			t.Errorf("%s: asked %t", annotation, got)
		}
		auto := key != "cert-manager.io/issuer" && key != "cert-manager.io/cluster-issuer"
		g := gateway()
		g.ObjectMeta = meta(key, value)
		if got := Want(OfGateway(g), s).Asked; got != (want && !auto) {
			t.Errorf("%s: asked %t for a Gateway", annotation, got)
		}
	}
}

func TestNamesake(t *testing.T) {
	const clusterWide = "ClusterIssuer le not found; an Issuer le exists in lab: name it in the annotation cert-manager.io/issuer"
	const namespaced = "Issuer le not found in lab; a ClusterIssuer le exists: name it in the annotation cert-manager.io/cluster-issuer"
	for _, test := range []struct {
		annotation string
		issuer     Issuer
		want       string
	}{
		{"cert-manager.io/cluster-issuer", Issuer{Missing: true, Namesake: true}, clusterWide},
		{"cert-manager.io/issuer", Issuer{Missing: true, Namesake: true}, namespaced},
		{"cert-manager.io/issuer", Issuer{Missing: true}, ""},
		{"cert-manager.io/issuer", Issuer{Namesake: true}, ""},
	} {
		i := &networkingv1.Ingress{ObjectMeta: meta(test.annotation, "le"), Spec: ingress().Spec}
		s := stateOf(OfIngress(i), options())
		s.Issuer = test.issuer
		done, sent, _ := settle(t, s)
		check(t, "done", done, []string{"create Certificate app-tls"})
		got := ""
		if sent[0].Reason == ReasonIssuerNotFound {
			got = sent[0].Message
		}
		check(t, "message", got, test.want)
	}
	for ref, want := range map[cmmeta.IssuerReference]cmmeta.IssuerReference{
		{Name: "a"}:                        {Name: "a", Kind: "ClusterIssuer", Group: "cert-manager.io"},
		{Name: "a", Kind: "ClusterIssuer"}: {Name: "a", Kind: "Issuer", Group: "cert-manager.io"},
		{Name: "a", Kind: "K"}:             {},
		{Name: "a", Group: "g"}:            {},
	} {
		got, ok := Namesake(ref)
		if ok != (want.Name != "") || (ok && got != want) {
			t.Errorf("%v: got %v, %t", ref, got, ok)
		}
	}
}
