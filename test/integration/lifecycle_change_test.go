package integration

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
)

func metaNamed(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// patch merges JSON into an object.
func (l *lab) patch(t *testing.T, object client.Object, name, merge string) {
	t.Helper()
	object.SetNamespace(l.ns)
	object.SetName(name)
	if err := l.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(merge))); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) requests(t *testing.T, certificate string) []cmv1.CertificateRequest {
	t.Helper()
	list := &cmv1.CertificateRequestList{}
	if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(r cmv1.CertificateRequest) bool {
		return r.Annotations[cmv1.CertificateNameKey] != certificate
	})
}

// events waits for an event about an object with these words.
func (l *lab) event(t *testing.T, kind, name, reason string, words ...string) corev1.Event {
	t.Helper()
	var found corev1.Event
	harness.Eventually(t, patience, func() error {
		list := &corev1.EventList{}
		if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.InvolvedObject.Kind != kind || e.InvolvedObject.Name != name {
				continue
			}
			seen = append(seen, e.Reason+": "+e.Message)
			if e.Reason == reason && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(e.Message, w) }) {
				found = e
				return nil
			}
		}
		return fmt.Errorf("no event %s %v about %s %s: %v", reason, words, kind, name, seen)
	})
	return found
}

// simple is a Certificate of the CA issuer with an ECDSA key.
func simple(name, more string) string {
	return fmt.Sprintf(`{secretName: %s, dnsNames: [%s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}%s}`, name, name, more)
}

func TestLifecycleSecretTemplate(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "tpl", simple("tpl", `, secretTemplate: {labels: {app: a, team: x}, annotations: {note: one}}`))
	l.revision(t, "tpl", 1)
	before := l.secret(t, "tpl")
	if before.Labels["app"] != "a" || before.Labels["team"] != "x" || before.Annotations["note"] != "one" {
		t.Fatalf("the template is not on the Secret: %v %v", before.Labels, before.Annotations)
	}
	l.patch(t, &corev1.Secret{}, "tpl", `{"metadata":{"labels":{"foreign":"1"},"annotations":{"foreign":"2"}},"data":{"foreign.key":"Zm9v"}}`)
	l.certificate(t, "tpl", simple("tpl", `, secretTemplate: {labels: {app: b}}`))
	harness.Eventually(t, patience, func() error {
		s := l.secret(t, "tpl")
		_, team := s.Labels["team"]
		_, note := s.Annotations["note"]
		if s.Labels["app"] != "b" || team || note {
			return fmt.Errorf("the Secret still has %v %v", s.Labels, s.Annotations)
		}
		return nil
	})
	l.traffic.Settle(t, l.ns, time.Second)
	after := l.secret(t, "tpl")
	if after.Labels["foreign"] != "1" || after.Annotations["foreign"] != "2" || string(after.Data["foreign.key"]) != "foo" {
		t.Errorf("what others had put there is gone: %v %v", after.Labels, after.Annotations)
	}
	if !bytes.Equal(before.Data[corev1.TLSCertKey], after.Data[corev1.TLSCertKey]) {
		t.Error("a change of the template issued a new certificate")
	}
	// A re-issue leaves them alone, too.
	l.certificate(t, "tpl", `{secretName: tpl, dnsNames: [other.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`)
	l.revision(t, "tpl", 2)
	again := l.secret(t, "tpl")
	if again.Labels["foreign"] != "1" || again.Annotations["foreign"] != "2" || string(again.Data["foreign.key"]) != "foo" {
		t.Errorf("a re-issue removed what others had put there: %v %v", again.Labels, again.Annotations)
	}
	if _, ok := again.Labels["app"]; ok {
		t.Error("the label of a template that is gone stays")
	}
}

// issueByHand has a certificate issued, as "renew" of cmctl does.
func (l *lab) issueByHand(t *testing.T, name string) {
	t.Helper()
	crt := l.crt(t, name)
	crt.Status.Conditions = append(crt.Status.Conditions, cmv1.CertificateCondition{
		Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue,
		Reason: "ManuallyTriggered", Message: "Certificate re-issuance manually triggered",
	})
	if err := l.Status().Update(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
}

func TestLifecycleReissue(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	tests := []struct {
		name   string
		change func(t *testing.T, name string)
		reason string
	}{
		{"deleted", func(t *testing.T, name string) {
			if err := l.Delete(t.Context(), &corev1.Secret{ObjectMeta: metaNamed(l.ns, name)}); err != nil {
				t.Fatal(err)
			}
		}, "Issuing certificate as Secret does not exist"},
		{"key-tampered", func(t *testing.T, name string) {
			other := l.secret(t, "root").Data[corev1.TLSPrivateKeyKey]
			l.patch(t, &corev1.Secret{}, name, fmt.Sprintf(`{"data":{"tls.key":%q}}`, b64(other)))
		}, "private key that does not match the certificate"},
		{"key-garbage", func(t *testing.T, name string) {
			l.patch(t, &corev1.Secret{}, name, fmt.Sprintf(`{"data":{"tls.key":%q}}`, b64([]byte("garbage"))))
		}, "invalid private key data"},
		{"crt-removed", func(t *testing.T, name string) {
			// The API server insists on both entries of a TLS Secret.
			l.patch(t, &corev1.Secret{}, name, `{"data":{"tls.crt":""}}`)
		}, "does not contain a certificate"},
		{"names", func(t *testing.T, name string) {
			l.patch(t, &cmv1.Certificate{}, name, `{"spec":{"dnsNames":["changed.example.com"]}}`)
		}, "Fields on existing CertificateRequest resource not up to date: [spec.dnsNames]"},
		{"key-algorithm", func(t *testing.T, name string) {
			l.patch(t, &cmv1.Certificate{}, name, `{"spec":{"privateKey":{"algorithm":"Ed25519"}}}`)
		}, "Existing private key is not up to date for spec: [spec.privateKey.algorithm]"},
		{"issuer", func(t *testing.T, name string) {
			l.patch(t, &cmv1.Certificate{}, name, `{"spec":{"issuerRef":{"name":"selfsigned"}}}`)
		}, "Issuing certificate as Secret was previously issued by"},
		{"by-hand", l.issueByHand, ""},
	}
	for _, tt := range tests {
		l.certificate(t, tt.name, simple(tt.name, ""))
	}
	for _, tt := range tests {
		l.revision(t, tt.name, 1)
	}
	l.traffic.Settle(t, l.ns, time.Second)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := l.secret(t, tt.name)
			began := len(l.traffic.Writes(l.ns))
			tt.change(t, tt.name)
			l.revision(t, tt.name, 2)
			after := l.secret(t, tt.name)
			chainOf(t, after)
			if bytes.Equal(before.Data[corev1.TLSPrivateKeyKey], after.Data[corev1.TLSPrivateKeyKey]) {
				t.Error("the private key was not rotated")
			}
			if tt.reason != "" {
				l.event(t, "Certificate", tt.name, "Issuing", tt.reason)
			}
			writes := l.traffic.Settle(t, l.ns, time.Second)
			if n := len(writes) - began; n > 12 {
				t.Errorf("%d writes: %v", n, writes[began:])
			}
			requests := l.requests(t, tt.name)
			if len(requests) != 1 || requests[0].Annotations[cmv1.CertificateRequestRevisionAnnotationKey] != "2" {
				t.Errorf("%d requests are left, the first %v; want that of revision 2", len(requests), requests[0].Annotations)
			}
		})
	}
}

func TestLifecycleRotationPolicyNever(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	const spec = `{secretName: keeps, dnsNames: [%s], privateKey: {algorithm: ECDSA, rotationPolicy: Never}, issuerRef: {name: ca}}`
	l.certificate(t, "keeps", fmt.Sprintf(spec, "a.example.com"))
	l.revision(t, "keeps", 1)
	before := l.secret(t, "keeps")
	l.certificate(t, "keeps", fmt.Sprintf(spec, "b.example.com"))
	l.revision(t, "keeps", 2)
	after := l.secret(t, "keeps")
	if !bytes.Equal(before.Data[corev1.TLSPrivateKeyKey], after.Data[corev1.TLSPrivateKeyKey]) {
		t.Error("the private key was rotated")
	}
	verify(t, after, "b.example.com")
	l.patch(t, &cmv1.Certificate{}, "keeps", `{"spec":{"privateKey":{"size":384}}}`)
	l.event(t, "Certificate", "keeps", "CannotRegenerateKey", "rotationPolicy is unset or set to Never")
	l.patch(t, &cmv1.Certificate{}, "keeps", `{"spec":{"privateKey":{"rotationPolicy":"Always"}}}`)
	l.revision(t, "keeps", 3)
}

func TestLifecycleTwoCertificatesOneSecret(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "one", `{secretName: shared, dnsNames: [one.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`)
	l.revision(t, "one", 1)
	l.certificate(t, "two", `{secretName: shared, dnsNames: [two.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`)
	harness.Eventually(t, patience, func() error {
		c := certificateCondition(l.crt(t, "two"), cmv1.CertificateConditionReady)
		if c == nil || c.Status != cmmeta.ConditionFalse || !strings.Contains(c.Message, "one") {
			return fmt.Errorf("the Ready condition does not say whose Secret it is: %+v", c)
		}
		return nil
	})
	l.traffic.Settle(t, l.ns, 2*time.Second)
	verify(t, l.secret(t, "shared"), "one.example.com")
	if got := l.requests(t, "two"); len(got) != 0 {
		t.Errorf("the Certificate without a Secret made %d requests", len(got))
	}
	l.revision(t, "one", 1)
	// The way is free when the owner goes.
	if err := l.Delete(t.Context(), l.crt(t, "one")); err != nil {
		t.Fatal(err)
	}
	l.revision(t, "two", 1)
	verify(t, l.secret(t, "shared"), "two.example.com")
}

func TestLifecycleDeletion(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	const n = 20
	for i := range n {
		l.certificate(t, fmt.Sprintf("gone-%d", i), simple(fmt.Sprintf("gone-%d", i), ""))
	}
	// At any moment: each is deleted when some other number of them is ready.
	for i := range n {
		crt := &cmv1.Certificate{ObjectMeta: metaNamed(l.ns, fmt.Sprintf("gone-%d", i))}
		if i%4 == 3 {
			l.Ready(t, l.ns, crt.Name, patience)
		}
		if err := l.Delete(t.Context(), crt); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, patience, func() error { return leftovers(t.Context(), l, "gone-") })
	l.traffic.Settle(t, l.ns, time.Second)
	if err := leftovers(t.Context(), l, "gone-"); err != nil {
		t.Error(err)
	}
}

// leftovers names what is left of Certificates besides their Secrets.
func leftovers(ctx context.Context, l *lab, prefix string) error {
	requests := &cmv1.CertificateRequestList{}
	if err := l.List(ctx, requests, client.InNamespace(l.ns)); err != nil {
		return err
	}
	for _, r := range requests.Items {
		if strings.HasPrefix(r.Name, prefix) {
			return fmt.Errorf("CertificateRequest %s is left", r.Name)
		}
	}
	secrets := &corev1.SecretList{}
	if err := l.List(ctx, secrets, client.InNamespace(l.ns), client.HasLabels{cmv1.IsNextPrivateKeySecretLabelKey}); err != nil {
		return err
	}
	for _, s := range secrets.Items {
		return fmt.Errorf("next private key %s is left", s.Name)
	}
	return nil
}

func TestLifecycleNamespaceDeletion(t *testing.T) {
	l := newLabAlone(t, harness.Controllers{})
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "doomed-"}}
	if err := l.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	l.Apply(t, ns.Name, labIssuers)
	for i := range 10 {
		l.Apply(t, ns.Name, certificateManifest(fmt.Sprintf("c-%d", i), simple(fmt.Sprintf("c-%d", i), "")))
	}
	if err := l.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, func() error {
		err := l.Get(t.Context(), client.ObjectKeyFromObject(ns), &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there: %v", err)
	})
}
