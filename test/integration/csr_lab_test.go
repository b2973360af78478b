package integration

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
