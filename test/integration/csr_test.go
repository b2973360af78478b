package integration

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

// csrLab is a lab whose controllers sign CertificateSigningRequests. They have no
// namespace, so no other test runs at the same time.
type csrLab struct {
	*lab
	core kubernetes.Interface
}

func newCSRLab(t *testing.T, how harness.Controllers) *csrLab {
	t.Helper()
	change := how.Options
	how.Options = func(o *operator.Options) {
		o.SigningRequests, o.AllEvents = true, true
		if change != nil {
			change(o)
		}
	}
	l := &csrLab{lab: newLabAlone(t, how)}
	l.core = kubernetes.NewForConfigOrDie(l.RESTConfig())
	return l
}

// csr is a CertificateSigningRequest in the making. The name is completed by the lab's
// namespace, because the kind has none.
type csr struct {
	name, signer string
	template     pki.Template
	// key signs the request; without one, a key is made.
	key crypto.Signer
	// pem takes the place of what the template makes.
	pem         []byte
	usages      []certificatesv1.KeyUsage
	annotations map[string]string
	labels      map[string]string
	expires     *int32
	unapproved  bool
	// by creates it; nil is the administrator.
	by kubernetes.Interface
}

var serverUsages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ask creates a CertificateSigningRequest and approves it.
func (l *csrLab) ask(t *testing.T, c csr) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	if c.pem == nil {
		if c.key == nil {
			c.key = newKey(t)
		}
		var err error
		if c.pem, err = pki.BuildRequest(c.template, c.key, pki.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if c.usages == nil {
		c.usages = serverUsages
	}
	if c.by == nil {
		c.by = l.core
	}
	object, err := c.by.CertificatesV1().CertificateSigningRequests().Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: l.ns + "-" + c.name, Annotations: c.annotations, Labels: c.labels},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: c.pem, SignerName: c.signer, Usages: c.usages, ExpirationSeconds: c.expires,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Delete(context.Background(), object) })
	if !c.unapproved {
		l.approveCSR(t, object, certificatesv1.CertificateApproved)
	}
	return object
}

// approveCSR decides on a request as kubectl certificate approve and deny do.
func (l *csrLab) approveCSR(t *testing.T, object *certificatesv1.CertificateSigningRequest, how certificatesv1.RequestConditionType) {
	t.Helper()
	object.Status.Conditions = append(object.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: how, Status: corev1.ConditionTrue, Reason: "Test", Message: "Decided by a test",
	})
	if _, err := l.core.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), object.Name, object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// issued waits for the certificate of a request, and returns its chain.
func (l *csrLab) issued(t *testing.T, object *certificatesv1.CertificateSigningRequest) []*x509.Certificate {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if len(object.Status.Certificate) == 0 {
			return fmt.Errorf("%s has no certificate: %+v", object.Name, object.Status.Conditions)
		}
		return nil
	})
	chain, err := pki.ParseChain(object.Status.Certificate, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// failed waits until a request has failed for a reason, with a message that begins with
// words, and checks that a Warning says the same.
func (l *csrLab) failed(t *testing.T, object *certificatesv1.CertificateSigningRequest, reason, words string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		for _, c := range object.Status.Conditions {
			if c.Type != certificatesv1.CertificateFailed {
				continue
			}
			if c.Status != corev1.ConditionTrue || c.Reason != reason || !strings.HasPrefix(c.Message, words) || c.LastUpdateTime.IsZero() {
				t.Fatalf("%s failed as %s %s: %s, want %s: %s", object.Name, c.Status, c.Reason, c.Message, reason, words)
			}
			return nil
		}
		return fmt.Errorf("%s has not failed: %+v", object.Name, object.Status)
	})
	l.says(t, object, corev1.EventTypeWarning, reason, words)
}

// says waits for an event about a request, in the namespace default.
func (l *csrLab) says(t *testing.T, object *certificatesv1.CertificateSigningRequest, kind, reason, words string) corev1.Event {
	t.Helper()
	var found corev1.Event
	harness.Eventually(t, patience, func() error {
		list := &corev1.EventList{}
		if err := l.List(t.Context(), list, client.InNamespace(metav1.NamespaceDefault)); err != nil {
			return err
		}
		var said []string
		for _, e := range list.Items {
			if e.InvolvedObject.UID != object.UID {
				continue
			}
			if e.Type == kind && e.Reason == reason && strings.HasPrefix(e.Message, words) && e.InvolvedObject.Kind == "CertificateSigningRequest" {
				found = e
				return nil
			}
			said = append(said, e.Type+" "+e.Reason+": "+e.Message)
		}
		return fmt.Errorf("no event %s %s %q, but %q", kind, reason, words, said)
	})
	return found
}

// untouched checks that nobody has answered a request.
func (l *csrLab) untouched(t *testing.T, object *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	if err := l.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	failed := slices.ContainsFunc(object.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == certificatesv1.CertificateFailed
	})
	if failed || len(object.Status.Certificate) > 0 {
		t.Errorf("%s was answered: %+v", object.Name, object.Status)
	}
}

func (l *csrLab) issuerSigner(name string) string {
	return "issuers.cert-manager.io/" + l.ns + "." + name
}

// clusterCA makes a ClusterIssuer whose CA is the root of the lab.
func (l *csrLab) clusterCA(t *testing.T) (name string) {
	t.Helper()
	name = l.ns + "-mesh.ca"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: local.Namespace, Name: name}, Data: l.secret(t, "root").Data}
	issuer := &cmv1.ClusterIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: name}}},
	}
	for _, o := range []client.Object{secret, issuer} {
		if err := l.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Delete(context.Background(), o) })
	}
	return name
}

// meshRequest is what Istio's agents ask for, made by OpenSSL: no subject, a SPIFFE id
// in a SAN that is critical or not.
func meshRequest(t *testing.T, critical string) []byte {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	out := filepath.Join(t.TempDir(), "mesh.csr")
	command := exec.Command(openssl, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", os.DevNull, "-out", out, "-subj", "/", "-addext", "subjectAltName="+critical+"URI:spiffe://cluster.local/ns/x/sa/y")
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	pem, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

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

// user is a client that may create CertificateSigningRequests.
func (l *csrLab) user(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	config, err := l.ConfigFor(name)
	if err != nil {
		t.Fatal(err)
	}
	l.bind(t, "", name, rbacv1.PolicyRule{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create"}})
	return kubernetes.NewForConfigOrDie(rest.CopyConfig(config))
}

// mayReference lets a user use an Issuer for requests.
func (l *csrLab) mayReference(t *testing.T, user, issuer string) {
	t.Helper()
	l.bind(t, l.ns, user, rbacv1.PolicyRule{APIGroups: []string{"cert-manager.io"}, Resources: []string{"signers"}, Verbs: []string{"reference"}, ResourceNames: []string{issuer}})
}

// bind gives a user rights, in all namespaces or in one.
func (l *csrLab) bind(t *testing.T, namespace, user string, rule rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	role, binding := client.Object(&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}), client.Object(nil)
	if namespace != "" {
		role = &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}
	}
	if err := l.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if namespace == "" {
		binding = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.GetName()}}
	} else {
		binding = &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.GetName()}}
	}
	if err := l.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Delete(context.Background(), binding)
		_ = l.Delete(context.Background(), role)
	})
}
