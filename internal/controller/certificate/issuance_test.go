package certificate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestIssuance issues a certificate, by one process until its request is made
// and by another from there.
func TestIssuance(t *testing.T) {
	object := crt(func(c *cmv1.Certificate) {
		c.Labels = map[string]string{"app": "web"}
		c.Annotations = map[string]string{"example.com/a": "b", "kubectl.kubernetes.io/x": "y", "venafi.cert-manager.io/pickup-id": "7"}
		c.Spec.Usages = []cmv1.KeyUsage{cmv1.UsageServerAuth}
		c.Spec.Duration = &metav1.Duration{Duration: life}
	})
	f := newFakes(t, nil, object)
	first := f.start(t, config)
	first.reconcile(t)

	status := f.certificate(t).Status
	request := &cmv1.CertificateRequest{}
	if err := f.objects.Get(t.Context(), client.ObjectKey{Namespace: "app", Name: "web-1"}, request); err != nil {
		t.Fatal(err)
	}
	secrets := f.secrets(t)
	if len(secrets) != 1 || status.NextPrivateKeySecretName == nil || secrets[0].Name != *status.NextPrivateKeySecretName ||
		secrets[0].Labels[cmv1.IsNextPrivateKeySecretLabelKey] != "true" || !metav1.IsControlledBy(&secrets[0], object) {
		t.Fatalf("the next private key: %v, in the status %v", secrets, status.NextPrivateKeySecretName)
	}
	csr, err := pki.ParseRequest(request.Spec.Request, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.ParseKey(secrets[0].Data["tls.key"], pki.Limits{})
	if err != nil || !pki.PublicKeysEqual(csr.PublicKey, key.Public()) {
		t.Errorf("the request is for another key (%v)", err)
	}
	if diff := cmp.Diff(map[string]string{
		"example.com/a": "b", "cert-manager.io/certificate-name": "web",
		"cert-manager.io/certificate-revision": "1", "cert-manager.io/private-key-secret-name": secrets[0].Name,
	}, request.Annotations); diff != "" {
		t.Errorf("annotations of the request (-want +got):\n%s", diff)
	}
	if request.Labels["app"] != "web" || !metav1.IsControlledBy(request, object) || request.Spec.IssuerRef != object.Spec.IssuerRef ||
		!slices.Equal(request.Spec.Usages, object.Spec.Usages) || *request.Spec.Duration != *object.Spec.Duration {
		t.Errorf("the request: %+v", request)
	}
	if k, _ := first.memory.Find(subject, object.UID).held(); k != nil {
		t.Error("the key is still in memory")
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("Generated: Stored new private key in temporary Secret resource %q", secrets[0].Name), `Requested: Created new CertificateRequest resource "web-1"`}, f.sent(t, first)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	lifecycletest.Signed(now, now.Add(life))(request)
	request.Status.CA = []byte("ca")
	if err := f.objects.Status().Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	second := f.start(t, config)
	second.fill(t)
	second.clock.Step(time.Second)
	second.reconcile(t)

	status = f.certificate(t).Status
	if status.Revision == nil || *status.Revision != 1 || status.NextPrivateKeySecretName != nil ||
		!condition.True(status.Conditions, cmv1.CertificateConditionReady) || condition.Find(status.Conditions, cmv1.CertificateConditionIssuing) != nil {
		t.Errorf("status %+v", status)
	}
	secrets = f.secrets(t)
	if len(secrets) != 1 || secrets[0].Name != "web-tls" || secrets[0].Type != corev1.SecretTypeTLS {
		t.Fatalf("Secrets: %v", secrets)
	}
	data := secrets[0].Data
	stored, err := pki.ParseKey(data["tls.key"], pki.Limits{})
	if err != nil || !pki.PublicKeysEqual(stored.Public(), key.Public()) || string(data["tls.crt"]) != string(request.Status.Certificate) || string(data["ca.crt"]) != "ca" {
		t.Errorf("the Secret's data do not fit (%v)", err)
	}
	if a := secrets[0].Annotations; a[cmv1.CertificateNameKey] != "web" || a[cmv1.IssuerNameAnnotationKey] != "ca" || secrets[0].Labels[cmv1.PartOfCertManagerControllerLabelKey] != "true" {
		t.Errorf("the Secret's metadata: %+v", secrets[0].ObjectMeta)
	}
	if n := second.memory.Len(); n != 0 {
		t.Errorf("%d Certificates are remembered", n)
	}
	if events := f.sent(t, second); !slices.Contains(events, "Issuing: The certificate has been successfully issued") {
		t.Errorf("events %q", events)
	}
}

// TestIssuanceInline issues a certificate whose key is stored nowhere except in
// its Secret, and whose status is written once.
func TestIssuanceInline(t *testing.T) {
	object := crt()
	f := newFakes(t, nil, object)
	f.signsInline(t)
	s := f.start(t, config)
	s.reconcile(t)
	if n := len(f.secrets(t)); n != 0 {
		t.Errorf("%d Secrets are stored before the request is issued", n)
	}
	if v := f.certificate(t).ResourceVersion; v != object.ResourceVersion {
		t.Errorf("the status is stored before the request is issued, as version %s", v)
	}
	request := &cmv1.CertificateRequest{}
	if err := f.objects.Get(t.Context(), client.ObjectKey{Namespace: "app", Name: "web-1"}, request); err != nil {
		t.Fatal(err)
	}
	lifecycletest.Signed(now, now.Add(life))(request)
	if err := f.objects.Status().Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	s.cache(t, request)
	s.reconcile(t)
	if secrets := f.secrets(t); len(secrets) != 1 || secrets[0].Name != "web-tls" {
		t.Errorf("Secrets: %v", secrets)
	}
	if r := f.certificate(t).Status.Revision; r == nil || *r != 1 || s.memory.Len() != 0 {
		t.Errorf("revision %v, %d Certificates are remembered", r, s.memory.Len())
	}
}

func (s started) reconcile(t *testing.T) {
	t.Helper()
	if _, err := s.driver.Reconcile(t.Context(), reconcile.Request{NamespacedName: subject}); err != nil {
		t.Fatal(err)
	}
}

func (f fakes) certificate(t *testing.T) *cmv1.Certificate {
	t.Helper()
	object := &cmv1.Certificate{}
	if err := f.objects.Get(t.Context(), subject, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func (f fakes) secrets(t *testing.T) []corev1.Secret {
	t.Helper()
	list, err := f.core.CoreV1().Secrets("app").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}
