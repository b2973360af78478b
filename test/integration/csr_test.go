package integration

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

var (
	oidSAN           = asn1.ObjectIdentifier{2, 5, 29, 17}
	meshUsages       = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageServerAuth, certificatesv1.UsageClientAuth}
	oneDay     int32 = 86400
)

// TestCSRMesh has a service mesh's requests signed by a ClusterIssuer that appears after
// the approval.
func TestCSRMesh(t *testing.T) {
	l := newCSRLab(t, harness.Controllers{})
	signer := "clusterissuers.cert-manager.io/" + l.ns + "-mesh.ca"
	plain := l.ask(t, csr{name: "mesh", signer: signer, pem: meshRequest(t, ""), usages: meshUsages, expires: &oneDay})
	critical := l.ask(t, csr{
		name: "mesh-critical", signer: signer, pem: meshRequest(t, "critical,"), usages: meshUsages, expires: &oneDay,
		annotations: map[string]string{"experimental.cert-manager.io/request-duration": "36h"},
	})
	e := l.says(t, plain, corev1.EventTypeWarning, "IssuerNotFound", "Referenced ClusterIssuer /"+l.ns+"-mesh.ca not found")
	if e.Source.Component != "cert-manager-certificatesigningrequests-issuer" {
		t.Errorf("the event is from %s", e.Source.Component)
	}
	l.clusterCA(t)
	for _, test := range []struct {
		object *certificatesv1.CertificateSigningRequest
		life   time.Duration
	}{{plain, 24 * time.Hour}, {critical, 36 * time.Hour}} {
		chain := l.issued(t, test.object)
		leaf := chain[0]
		if len(chain) != 1 || leaf.Issuer.CommonName != "root" || leaf.Subject.String() != "" {
			t.Errorf("chain of %d, issued by %s for %q", len(chain), leaf.Issuer, leaf.Subject)
		}
		if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://cluster.local/ns/x/sa/y" {
			t.Errorf("URIs %v", leaf.URIs)
		}
		san := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSAN) })
		if san < 0 || !leaf.Extensions[san].Critical {
			t.Errorf("the SAN is not there or not critical")
		}
		if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment ||
			!slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}) {
			t.Errorf("CA %t, usages %b %v", leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
		}
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life != test.life {
			t.Errorf("valid for %s, want %s", life, test.life)
		}
		e := l.says(t, test.object, corev1.EventTypeNormal, "CertificateIssued", "Certificate fetched from issuer successfully")
		if e.Source.Component != "cert-manager-certificatesigningrequests-issuer-ca" {
			t.Errorf("the event is from %s", e.Source.Component)
		}
	}
}

// TestCSRGateOff has requests left alone, and the log say so.
func TestCSRGateOff(t *testing.T) {
	lines := &harness.Lines{}
	cluster := harness.Shared(t)
	l := &csrLab{lab: startLab(t, cluster, cluster.Namespace(t), harness.Controllers{Log: lines.Logger(2)}), core: kubernetes.NewForConfigOrDie(cluster.RESTConfig())}
	object := l.ask(t, csr{name: "off", signer: l.issuerSigner("ca"), template: pki.Template{DNSNames: []string{"a.example.com"}}})
	// A Certificate that is issued after it shows that the controllers have had the time.
	l.certificate(t, "later", `{secretName: later, dnsNames: [later.example.com], issuerRef: {name: ca}}`)
	l.Ready(t, l.ns, "later", patience)
	l.untouched(t, object)
	if calls := l.traffic.Calls(func(c harness.Call) bool { return strings.HasPrefix(c.Resource, "certificatesigningrequests") }); len(calls) > 0 {
		t.Errorf("the controllers ask the API server about CertificateSigningRequests: %v", calls)
	}
	if len(lines.With("CertificateSigningRequests of Kubernetes are left alone: the feature gate ExperimentalCertificateSigningRequestControllers is off")) != 1 {
		t.Error("the log does not say that they are left alone")
	}
}

// TestCSRFromCA has the rows of the CA issuer, and those that are the same for all.
func TestCSRFromCA(t *testing.T) {
	l := newCSRLab(t, harness.Controllers{})
	named := pki.Template{CommonName: "a.example.com", DNSNames: []string{"a.example.com"}}
	duration := func(text string) map[string]string {
		return map[string]string{"experimental.cert-manager.io/request-duration": text}
	}

	t.Run("issued", func(t *testing.T) {
		object := l.ask(t, csr{name: "ok", signer: l.issuerSigner("ca"), template: named, unapproved: true})
		l.says(t, object, corev1.EventTypeNormal, "WaitingApproval", "Waiting for the Approved condition before issuing")
		l.untouched(t, object)
		l.approveCSR(t, object, certificatesv1.CertificateApproved)
		leaf := l.issued(t, object)[0]
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life != pki.DefaultDuration || leaf.IsCA {
			t.Errorf("valid for %s, CA %t", life, leaf.IsCA)
		}
	})
	t.Run("a CA", func(t *testing.T) {
		object := l.ask(t, csr{
			name: "is-ca", signer: l.issuerSigner("ca"), template: pki.Template{CommonName: "intermediate"},
			usages:      []certificatesv1.KeyUsage{certificatesv1.UsageCertSign},
			annotations: map[string]string{"experimental.cert-manager.io/request-is-ca": "true"},
		})
		if leaf := l.issued(t, object)[0]; !leaf.IsCA || leaf.KeyUsage != x509.KeyUsageCertSign {
			t.Errorf("CA %t, usage %b", leaf.IsCA, leaf.KeyUsage)
		}
	})
	t.Run("denied", func(t *testing.T) {
		object := l.ask(t, csr{name: "denied", signer: l.issuerSigner("ca"), template: named, unapproved: true})
		l.approveCSR(t, object, certificatesv1.CertificateDenied)
		other := l.ask(t, csr{name: "after-denied", signer: l.issuerSigner("ca"), template: named})
		l.issued(t, other)
		l.untouched(t, object)
	})
	t.Run("other signers", func(t *testing.T) {
		object := l.ask(t, csr{name: "other", signer: "example.com/" + l.ns + ".ca", template: named})
		l.issued(t, l.ask(t, csr{name: "after-other", signer: l.issuerSigner("ca"), template: named}))
		l.untouched(t, object)
	})
	t.Run("failures", func(t *testing.T) {
		for _, test := range []struct {
			csr           csr
			reason, words string
		}{
			{csr{name: "no-duration", annotations: duration("soon")}, "ErrorParseDuration", `Failed to parse requested duration: failed to parse requested duration on annotation "experimental.cert-manager.io/request-duration": time: invalid duration "soon"`},
			{csr{name: "short", annotations: duration("9m59s")}, "InvalidDuration", "CertificateSigningRequest minimum allowed duration is 10m0s, requested 9m59s"},
			{csr{name: "mismatch", template: pki.Template{DNSNames: named.DNSNames, EncodeUsages: true, Usages: []string{"client auth"}}}, "SigningError", "Error generating certificate template: encoded CSR error: "},
		} {
			test.csr.signer = l.issuerSigner("ca")
			if test.csr.template.DNSNames == nil {
				test.csr.template = named
			}
			l.failed(t, l.ask(t, test.csr), test.reason, test.words)
		}
	})
	t.Run("issuers that cannot sign", func(t *testing.T) {
		missing := l.ask(t, csr{name: "no-issuer", signer: l.issuerSigner("nobody"), template: named})
		l.says(t, missing, corev1.EventTypeWarning, "IssuerNotFound", "Referenced Issuer "+l.ns+"/nobody not found")
		nowhere := l.ask(t, csr{name: "no-namespace", signer: "issuers.cert-manager.io/nowhere", template: named})
		l.says(t, nowhere, corev1.EventTypeWarning, "IssuerNotFound", "Referenced Issuer /nowhere not found")
		l.Apply(t, l.ns, "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: late}, spec: {ca: {secretName: late}}}")
		late := l.ask(t, csr{name: "late", signer: l.issuerSigner("late"), template: named})
		l.says(t, late, corev1.EventTypeWarning, "IssuerNotReady", "Referenced Issuer "+l.ns+"/late does not have a Ready status condition")
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: "late"}, Data: l.secret(t, "root").Data}
		if err := l.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		l.issued(t, late)
		l.untouched(t, missing)
	})
	t.Run("reference to an Issuer", func(t *testing.T) {
		user := l.user(t, "csr-user-"+l.ns)
		l.failed(t, l.ask(t, csr{name: "stranger", signer: l.issuerSigner("ca"), template: named, by: user}),
			"DeniedReference", "Requester may not reference Namespaced Issuer "+l.ns+"/ca")
		l.mayReference(t, "csr-user-"+l.ns, "ca")
		l.issued(t, l.ask(t, csr{name: "friend", signer: l.issuerSigner("ca"), template: named, by: user}))
	})
}

// TestCSRWithoutPermissionToSign has the event say why the certificate is not stored.
func TestCSRWithoutPermissionToSign(t *testing.T) {
	const user = "controllers-without-sign"
	cluster := harness.Shared(t)
	roleWithout(t, cluster, user, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Verbs, "sign") })
	l := newCSRLab(t, harness.Controllers{Config: asUser(t, cluster, user)})
	object := l.ask(t, csr{name: "unsigned", signer: l.issuerSigner("ca"), template: pki.Template{DNSNames: []string{"a.example.com"}}})
	l.says(t, object, corev1.EventTypeWarning, "SigningError", "Error updating certificate: ")
	l.untouched(t, object)
}

// TestCSRSelfSigned has the rows of self-signed issuers.
func TestCSRSelfSigned(t *testing.T) {
	l := newCSRLab(t, harness.Controllers{})
	const annotation = "experimental.cert-manager.io/private-key-secret-name"
	named := pki.Template{CommonName: "self", DNSNames: []string{"self.example.com"}}
	signer := l.issuerSigner("selfsigned")
	put := func(t *testing.T, namespace, name string, data []byte) {
		t.Helper()
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"tls.key": data}}
		err := l.Create(t.Context(), secret)
		if client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
		if err != nil {
			l.patch(t, &corev1.Secret{}, name, fmt.Sprintf(`{"data":{"tls.key":%q}}`, b64(data)))
		}
		t.Cleanup(func() { _ = l.Delete(context.Background(), secret) })
	}
	encode := func(t *testing.T, key crypto.Signer) []byte {
		t.Helper()
		data, err := pki.EncodeKey(key, pki.PKCS8)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	selfIssued := func(t *testing.T, object *certificatesv1.CertificateSigningRequest) {
		t.Helper()
		leaf := l.issued(t, object)[0]
		if leaf.CheckSignatureFrom(leaf) != nil && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil || !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
			t.Errorf("not self-signed: issued by %s", leaf.Issuer)
		}
		l.says(t, object, corev1.EventTypeNormal, "CertificateIssued", "Certificate self-signed successfully")
	}

	t.Run("no annotation", func(t *testing.T) {
		l.failed(t, l.ask(t, csr{name: "bare", signer: signer, template: named}), "MissingAnnotation",
			`Missing private key reference annotation: "experimental.cert-manager.io/private-key-secret-name"`)
	})
	t.Run("key comes late, and broken at first", func(t *testing.T) {
		key := newKey(t)
		object := l.ask(t, csr{name: "late-key", signer: signer, template: named, key: key, annotations: map[string]string{annotation: "late-key"}})
		l.says(t, object, corev1.EventTypeWarning, "SecretNotFound", "Referenced Secret "+l.ns+"/late-key not found")
		put(t, l.ns, "late-key", []byte("no key"))
		l.says(t, object, corev1.EventTypeWarning, "ErrorParsingKey", "Failed to parse signing key from secret "+l.ns+"/late-key: ")
		put(t, l.ns, "late-key", encode(t, key))
		selfIssued(t, object)
	})
	t.Run("key of another", func(t *testing.T) {
		put(t, l.ns, "other-key", encode(t, newKey(t)))
		l.failed(t, l.ask(t, csr{name: "other-key", signer: signer, template: named, annotations: map[string]string{annotation: "other-key"}}),
			"ErrorKeyMatch", "Referenced private key in Secret does not match that in the request")
	})
	t.Run("ClusterIssuer", func(t *testing.T) {
		name := l.ns + "-self"
		issuer := &cmv1.ClusterIssuer{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}},
		}
		if err := l.Create(t.Context(), issuer); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Delete(context.Background(), issuer) })
		key := newKey(t)
		object := l.ask(t, csr{name: "cluster-key", signer: "clusterissuers.cert-manager.io/" + name, template: named, key: key, annotations: map[string]string{annotation: name}})
		l.says(t, object, corev1.EventTypeWarning, "SecretNotFound", "Referenced Secret "+local.Namespace+"/"+name+" not found")
		put(t, local.Namespace, name, encode(t, key))
		selfIssued(t, object)
	})
}
