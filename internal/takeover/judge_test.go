package takeover

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	crt := func(namespace, name string, ref cmmeta.IssuerReference) cmv1.Certificate {
		return cmv1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)},
			Spec:       cmv1.CertificateSpec{SecretName: name + "-tls", DNSNames: []string{"www.example.com"}, IssuerRef: ref},
		}
	}
	due := crt("b", "due", cmmeta.IssuerReference{Name: "vault"})
	due.Status.RenewalTime = &metav1.Time{Time: now.Add(time.Hour)}
	ingress := func(name string, annotations map[string]string) networkingv1.Ingress {
		return networkingv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: name, Annotations: annotations},
			Spec:       networkingv1.IngressSpec{TLS: []networkingv1.IngressTLS{{Hosts: []string{"shop.example.com"}, SecretName: name + "-tls"}}},
		}
	}
	c := Cluster{
		ClusterIssuers: []cmv1.ClusterIssuer{
			{ObjectMeta: metav1.ObjectMeta{Name: "venafi"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Venafi: &cmv1.VenafiIssuer{}}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}}},
		},
		Issuers: []cmv1.Issuer{{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "vault"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}}}},
		Certificates: []cmv1.Certificate{
			due,
			// There is no such Issuer in this namespace.
			crt("a", "elsewhere", cmmeta.IssuerReference{Name: "vault", Kind: "Issuer", Group: "other.example.com"}),
			crt("a", "cluster", cmmeta.IssuerReference{Name: "venafi", Kind: "ClusterIssuer"}),
			crt("a", "new", cmmeta.IssuerReference{Name: "ca", Kind: "ClusterIssuer"}),
		},
		Ingresses: []networkingv1.Ingress{
			ingress("none", nil),
			ingress("left", map[string]string{cmv1.IngressIssuerNameAnnotationKey: "vault"}),
			ingress("made", map[string]string{cmv1.IngressClusterIssuerNameAnnotationKey: "ca", "cert-manager.io/duration": "forever"}),
			ingress("served", map[string]string{cmv1.IngressClusterIssuerNameAnnotationKey: "ca"}),
		},
	}
	serves := func(t facts.IssuerType) bool { return t == facts.IssuerCA }
	got := Judge(c, Settings{Serves: serves, Backoff: plan.DefaultIssuance, Shim: shim.Settings{}}, now)
	want := Report{Certificates: 4, Issuers: 3, Ingresses: 3, Findings: []Finding{
		{"Certificate", "a", "cluster", Unserved, `ClusterIssuer "venafi" is of type "venafi", which this version does not have: it is not issued or renewed`},
		{"Certificate", "b", "due", Unserved, `Issuer "vault" is of type "vault", which this version does not have: it is not issued or renewed; its renewal is due at 2026-11-22T07:00:00Z`},
		{"ClusterIssuer", "", "venafi", Unserved, `this version has no issuers of type "venafi": the requests to it stay as they are`},
		{"Ingress", "b", "left", Unserved, `it asks for certificates of Issuer "vault", whose type "vault" this version does not have`},
		{"Issuer", "b", "vault", Unserved, `this version has no issuers of type "vault": the requests to it stay as they are`},
		{"Certificate", "a", "elsewhere", Touched, "it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)"},
		{"Certificate", "a", "new", Touched, "it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)"},
		{"Ingress", "b", "made", Touched, `the Warning event BadConfig says: invalid ingress annotation "cert-manager.io/duration": time: invalid duration "forever"; write it in hours, minutes and seconds, such as 2160h`},
		{"Ingress", "b", "served", Touched, "everleaf would create Certificate served-tls"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Unserved() != 5 {
		t.Errorf("%d are not served, want 5", got.Unserved())
	}
	if got := Judge(Cluster{}, Settings{Serves: serves}, now); !cmp.Equal(got, Report{}) {
		t.Errorf("an empty cluster: %+v", got)
	}
}
