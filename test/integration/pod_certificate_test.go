package integration

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

// podLab is a lab whose controllers sign PodCertificateRequests.
type podLab struct{ *csrLab }

func newPodLab(t *testing.T, how harness.Controllers) podLab {
	t.Helper()
	change := how.Options
	how.Options = func(o *operator.Options) {
		o.PodCertificates.Enabled = true
		if change != nil {
			change(o)
		}
	}
	return podLab{newCSRLab(t, how)}
}

// podRequest is what a kubelet asks for. The API server checks who asks only if it is a
// node: an administrator may ask for any pod, whether it exists or not.
type podRequest struct {
	name, signer string
	// signed is the request that the pod's key has signed; without it, there is only the
	// key with a signature, as from a kubelet of Kubernetes 1.35.
	signed      bool
	key         crypto.Signer
	life        time.Duration
	annotations map[string]string
}

func (l podLab) ask(t *testing.T, r podRequest) *certificatesv1beta1.PodCertificateRequest {
	t.Helper()
	seconds := int32(r.life.Seconds())
	object := &certificatesv1beta1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: r.name},
		Spec: certificatesv1beta1.PodCertificateRequestSpec{
			SignerName: r.signer, PodName: "web-0", PodUID: "pod", ServiceAccountName: "web", ServiceAccountUID: "account",
			NodeName: "node-1", NodeUID: "node", MaxExpirationSeconds: &seconds, UnverifiedUserAnnotations: r.annotations,
		},
	}
	var err error
	if r.signed {
		object.Spec.StubPKCS10Request, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, r.key)
	} else {
		digest := sha256.Sum256([]byte(object.Spec.PodUID))
		if object.Spec.ProofOfPossession, err = r.key.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
			object.Spec.PKIXPublicKey, err = x509.MarshalPKIXPublicKey(r.key.Public())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// ended waits for a condition of a request, and returns it.
func (l podLab) ended(t *testing.T, object *certificatesv1beta1.PodCertificateRequest) metav1.Condition {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if len(object.Status.Conditions) == 0 {
			return fmt.Errorf("%s has no condition", object.Name)
		}
		return nil
	})
	return object.Status.Conditions[0]
}

// warned waits for a Warning about a request.
func (l podLab) warned(t *testing.T, object client.Object, reason, message string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		events := l.EventsOf(t, object)
		for _, e := range events {
			if e.Type == corev1.EventTypeWarning && e.Reason == reason && e.Message == message && e.InvolvedObject.Kind == "PodCertificateRequest" {
				return nil
			}
		}
		return fmt.Errorf("no event %s %q, but %+v", reason, message, events)
	})
}

// TestPodCertificates has pods' requests signed by a ClusterIssuer that appears after
// them, and others denied.
func TestPodCertificates(t *testing.T) {
	l := newPodLab(t, harness.Controllers{Options: func(o *operator.Options) { o.PodCertificates.TrustDomain = "example.org" }})
	signer := "clusterissuers.cert-manager.io/" + l.ns + "-mesh.ca"
	key := newKey(t)
	rsa, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.RSA, Size: 3072})
	if err != nil {
		t.Fatal(err)
	}
	first := l.ask(t, podRequest{name: "ecdsa", signer: signer, signed: true, key: key, life: time.Hour})
	others := l.ask(t, podRequest{name: "others", signer: "example.org/pods", signed: true, key: key, life: time.Hour})
	l.warned(t, first, "IssuerNotFound", "Referenced ClusterIssuer "+l.ns+"-mesh.ca not found")
	l.clusterCA(t)
	second := l.ask(t, podRequest{name: "rsa", signer: signer, signed: true, key: rsa, life: 91 * 24 * time.Hour})
	third := l.ask(t, podRequest{name: "key-only", signer: signer, key: key, life: 24 * time.Hour})
	for _, test := range []struct {
		object *certificatesv1beta1.PodCertificateRequest
		key    crypto.Signer
		life   time.Duration
		usage  x509.KeyUsage
	}{
		{first, key, time.Hour, x509.KeyUsageDigitalSignature},
		{second, rsa, 91 * 24 * time.Hour, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment},
		{third, key, 24 * time.Hour, x509.KeyUsageDigitalSignature},
	} {
		if c := l.ended(t, test.object); c.Type != "Issued" || c.Reason != "CertificateIssued" {
			t.Fatalf("%s: %+v", test.object.Name, c)
		}
		status := test.object.Status
		chain, err := pki.ParseChain([]byte(status.CertificateChain), pki.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		leaf := chain[0]
		if len(chain) != 1 || leaf.Issuer.CommonName != "root" || leaf.Subject.String() != "" || !pki.PublicKeysEqual(leaf.PublicKey, test.key.Public()) {
			t.Errorf("%s: chain of %d, issued by %s for %q", test.object.Name, len(chain), leaf.Issuer, leaf.Subject)
		}
		if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://example.org/ns/"+l.ns+"/sa/web" || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 {
			t.Errorf("%s: names %v %v %v %v", test.object.Name, leaf.URIs, leaf.DNSNames, leaf.IPAddresses, leaf.EmailAddresses)
		}
		san := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSAN) })
		if san < 0 || !leaf.Extensions[san].Critical {
			t.Errorf("%s: the SAN is not there or not critical", test.object.Name)
		}
		if leaf.IsCA || leaf.KeyUsage != test.usage || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}) {
			t.Errorf("%s: CA %t, usages %b %v", test.object.Name, leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
		}
		times := []time.Time{status.NotBefore.UTC(), status.BeginRefreshAt.UTC(), status.NotAfter.UTC()}
		if diff := cmp.Diff([]time.Time{leaf.NotBefore, leaf.NotBefore.Add(test.life * 2 / 3).Truncate(time.Second), leaf.NotBefore.Add(test.life)}, times); diff != "" {
			t.Errorf("%s: times (-want +got):\n%s", test.object.Name, diff)
		}
	}
	writes := func(object client.Object) int {
		return len(l.traffic.Calls(func(c harness.Call) bool {
			return c.Resource == "podcertificaterequests/status" && c.Name == object.GetName()
		}))
	}
	for _, object := range []client.Object{first, second, third} {
		if n := writes(object); n != 1 {
			t.Errorf("%s has %d writes of its status, want 1", object.GetName(), n)
		}
	}

	l.Apply(t, l.ns, fmt.Sprintf("{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: %s-self}, spec: {selfSigned: {}}}", l.ns))
	t.Cleanup(func() {
		_ = l.Delete(context.Background(), &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: l.ns + "-self"}})
	})
	for name, test := range map[string]struct {
		signer          string
		annotations     map[string]string
		reason, message string
	}{
		"self-signed": {
			"clusterissuers.cert-manager.io/" + l.ns + "-self", nil, "UnsupportedIssuerType",
			"Referenced ClusterIssuer " + l.ns + "-self is of type selfsigned, which cannot sign for the key of a pod: use one of type ca",
		},
		"issuer": {
			l.issuerSigner("ca"), nil, "UnsupportedSigner",
			"Pods get certificates from ClusterIssuers only: the signer name has to be clusterissuers.cert-manager.io/NAME",
		},
		"annotations": {
			signer,
			map[string]string{"example.org/b": "x", "example.org/a": "y"},
			"InvalidUnverifiedUserAnnotations",
			`everleaf takes no user annotations, and the request has "example.org/a": remove userAnnotations from the volume of the pod`,
		},
	} {
		object := l.ask(t, podRequest{name: name, signer: test.signer, signed: true, key: key, life: time.Hour, annotations: test.annotations})
		c := l.ended(t, object)
		if c.Type != "Denied" || c.Reason != test.reason || c.Message != test.message || object.Status.CertificateChain != "" {
			t.Errorf("%s: %+v", name, object.Status)
		}
		l.warned(t, object, test.reason, test.message)
	}
	if err := l.Get(t.Context(), client.ObjectKeyFromObject(others), others); err != nil || len(others.Status.Conditions) > 0 || writes(others) > 0 {
		t.Errorf("a request for another signer was answered: %+v, %v", others.Status, err)
	}
}
