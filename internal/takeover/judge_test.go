package takeover

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
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
	gateway := gwapi.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "edge", Annotations: map[string]string{cmv1.IngressIssuerNameAnnotationKey: "vault"}},
	}
	host := gwapi.Hostname("edge.example.com")
	served := gwapi.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "front", Annotations: map[string]string{cmv1.IngressClusterIssuerNameAnnotationKey: "ca"}},
		Spec: gwapi.GatewaySpec{Listeners: []gwapi.Listener{{
			Name: "https", Hostname: &host, Protocol: gwapi.HTTPSProtocolType,
			TLS: &gwapi.ListenerTLSConfig{Mode: ptr.To(gwapi.TLSModeTerminate), CertificateRefs: []gwapi.SecretObjectReference{{Name: "edge-tls"}}},
		}}},
	}
	signing := func(name, signer string, conditions ...certificatesv1.RequestConditionType) certificatesv1.CertificateSigningRequest {
		r := certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}}
		r.Spec.SignerName = signer
		for _, of := range conditions {
			r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: of, Status: "True"})
		}
		return r
	}
	acme := func(solvers ...acmev1.ACMEChallengeSolver) cmv1.IssuerSpec {
		return cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{Solvers: solvers}}}
	}
	c := Cluster{
		Gateways: []gwapi.Gateway{gateway, served, {ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "plain"}}},
		SigningRequests: []certificatesv1.CertificateSigningRequest{
			signing("approved", "clusterissuers.cert-manager.io/ca", certificatesv1.CertificateApproved),
			signing("denied", "clusterissuers.cert-manager.io/ca", certificatesv1.CertificateDenied),
			signing("kubelet", "kubernetes.io/kubelet-serving"),
			signing("left", "issuers.cert-manager.io/b.vault", certificatesv1.CertificateApproved),
			signing("waits", "clusterissuers.cert-manager.io/ca"),
		},
		ClusterIssuers: []cmv1.ClusterIssuer{
			{ObjectMeta: metav1.ObjectMeta{Name: "later"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}}},
		},
		Issuers: []cmv1.Issuer{{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "acme"}, Spec: acme(acmev1.ACMEChallengeSolver{}, acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{}})}, {ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "vault"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}}}},
		Certificates: []cmv1.Certificate{
			due,
			// There is no such Issuer in this namespace.
			crt("a", "elsewhere", cmmeta.IssuerReference{Name: "vault", Kind: "Issuer", Group: "other.example.com"}),
			crt("a", "cluster", cmmeta.IssuerReference{Name: "later", Kind: "ClusterIssuer"}),
			crt("a", "new", cmmeta.IssuerReference{Name: "ca", Kind: "ClusterIssuer"}),
		},
		Ingresses: []networkingv1.Ingress{
			ingress("none", nil),
			ingress("left", map[string]string{cmv1.IngressIssuerNameAnnotationKey: "vault"}),
			ingress("made", map[string]string{cmv1.IngressClusterIssuerNameAnnotationKey: "ca", "cert-manager.io/duration": "forever"}),
			ingress("served", map[string]string{cmv1.IngressClusterIssuerNameAnnotationKey: "ca"}),
		},
	}
	serves := func(t facts.IssuerType) bool { return t == facts.IssuerCA || t == facts.IssuerACME }
	unsupported := func(s *acmev1.ACMEChallengeSolver) string {
		if s.DNS01 != nil {
			return "is no provider"
		}
		return ""
	}
	got := Judge(c, Settings{Serves: serves, Unsupported: unsupported, Backoff: plan.DefaultIssuance, Shim: shim.Settings{}}, now)
	want := Report{Certificates: 4, Issuers: 4, Ingresses: 3, Gateways: 2, SigningRequests: 3, Findings: []Finding{
		{"Certificate", "a", "cluster", Unserved, `ClusterIssuer "later" configures no type that this version has: it is not issued or renewed`},
		{"Certificate", "b", "due", Unserved, `Issuer "vault" is of type "vault", which this version does not have: it is not issued or renewed; its renewal is due at 2026-11-22T07:00:00Z`},
		{"CertificateSigningRequest", "", "left", Unserved, `Issuer "vault" is of type "vault", which this version does not have: it is not signed`},
		{"ClusterIssuer", "", "later", Unserved, `its spec configures no type that this version has: the requests to it wait`},
		{"Gateway", "b", "edge", Unserved, `it asks for certificates of Issuer "vault", which is of type "vault", which this version does not have`},
		{"Ingress", "b", "left", Unserved, `it asks for certificates of Issuer "vault", which is of type "vault", which this version does not have`},
		{"Issuer", "a", "acme", Unserved, "spec.acme.solvers[1] is no provider"},
		{"Issuer", "b", "vault", Unserved, `this version has no issuers of type "vault": the requests to it stay as they are`},
		{"Certificate", "a", "elsewhere", Touched, "it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)"},
		{"Certificate", "a", "new", Touched, "it would be issued: Issuing certificate as Secret does not exist (DoesNotExist)"},
		{"CertificateSigningRequest", "", "approved", Touched, `it would be signed by ClusterIssuer "ca", if everleaf runs with --feature-gates=ExperimentalCertificateSigningRequestControllers=true`},
		{"Gateway", "b", "front", Touched, "everleaf would create Certificate edge-tls, if it runs with --enable-gateway-api"},
		{"Ingress", "b", "made", Touched, `the Warning event BadConfig says: invalid ingress annotation "cert-manager.io/duration": time: invalid duration "forever"; write it in hours, minutes and seconds, such as 2160h`},
		{"Ingress", "b", "served", Touched, "everleaf would create Certificate served-tls"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Unserved() != 8 {
		t.Errorf("%d are not served, want 8", got.Unserved())
	}
	if got := Judge(Cluster{}, Settings{Serves: serves}, now); !cmp.Equal(got, Report{}) {
		t.Errorf("an empty cluster: %+v", got)
	}
}
