package integration

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

// TestLifecycleTemporary has requests that wait: a Secret with nothing to serve gets
// a temporary certificate, which the real one replaces once.
func TestLifecycleTemporary(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	annotated := func(name, value, spec string) {
		t.Helper()
		l.Apply(t, l.ns, fmt.Sprintf("apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: %s, annotations: {cert-manager.io/issue-temporary-certificate: %q}}\nspec: %s\n", name, value, spec))
	}
	spec := func(name, host, issuer string) string {
		return fmt.Sprintf(`{secretName: %s, dnsNames: [%s.example.com], subject: {organizations: [Example]}, privateKey: {algorithm: ECDSA}, secretTemplate: {labels: {app: web}}, issuerRef: %s}`, name, host, issuer)
	}
	const never, late = "{name: foo, kind: Bar, group: example.com}", "{name: late}"
	annotated("silent", "true", spec("silent", "silent", never))
	annotated("waits", "true", spec("waits", "waits", late))
	no := map[string]string{"not-a": "True", "not-b": "yes", "not-c": "false"}
	for name, value := range no {
		annotated(name, value, spec(name, "not", never))
	}

	var silent *corev1.Secret
	harness.Eventually(t, patience, func() (err error) {
		silent, err = secretOf(t, l, "silent")
		return err
	})
	chain, _ := chainOf(t, silent)
	if err := chain[0].VerifyHostname("silent.example.com"); err != nil || len(chain) != 1 || chain[0].IsCA || chain[0].Subject.Organization[0] != "Example" {
		t.Errorf("the temporary certificate is %v (%v)", chain[0].Subject, err)
	}
	for _, issued := range []string{cmv1.IssuerNameAnnotationKey, cmv1.IssuerKindAnnotationKey, cmv1.IssuerGroupAnnotationKey} {
		if _, ok := silent.Annotations[issued]; ok {
			t.Errorf("the Secret has the annotation %s", issued)
		}
	}
	if silent.Annotations[cmv1.CertificateNameKey] != "silent" || silent.Labels["app"] != "web" || silent.Type != corev1.SecretTypeTLS {
		t.Errorf("metadata of the Secret: %+v", silent.ObjectMeta)
	}
	next := l.secret(t, *l.crt(t, "silent").Status.NextPrivateKeySecretName)
	if key, err := pki.ParseKey(next.Data[corev1.TLSPrivateKeyKey], pki.Limits{}); err != nil || !pki.PublicKeysEqual(key.Public(), chain[0].PublicKey) {
		t.Errorf("the key is not the next one (%v)", err)
	}
	l.event(t, "Certificate", "silent", "Issuing", "Issued temporary certificate")
	harness.Eventually(t, patience, func() error {
		if c := certificateCondition(l.crt(t, "silent"), cmv1.CertificateConditionReady); c == nil || c.Message != "Issuing certificate as Secret contains a temporary certificate" {
			return fmt.Errorf("%s", conditions(l.crt(t, "silent")))
		}
		return nil
	})
	if isTrue(l.crt(t, "silent"), cmv1.CertificateConditionReady) {
		t.Error("a Certificate with a temporary certificate is ready")
	}

	// The issuer comes.
	var waits *corev1.Secret
	harness.Eventually(t, patience, func() (err error) {
		waits, err = secretOf(t, l, "waits")
		return err
	})
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: late}\nspec: {ca: {secretName: root}}\n")
	l.revision(t, "waits", 1)
	issued := l.secret(t, "waits")
	verify(t, issued, "waits.example.com")
	if issued.UID != waits.UID || issued.Annotations[cmv1.IssuerNameAnnotationKey] != "late" || bytes.Equal(issued.Data[corev1.TLSCertKey], waits.Data[corev1.TLSCertKey]) {
		t.Errorf("the Secret after the issuance: %+v", issued.ObjectMeta)
	}

	// A valid pair is served on, though it has other names.
	annotated("waits", "true", spec("waits", "changed", never))
	harness.Eventually(t, patience, func() error {
		if !isTrue(l.crt(t, "waits"), cmv1.CertificateConditionIssuing) {
			return fmt.Errorf("%s", conditions(l.crt(t, "waits")))
		}
		return nil
	})
	l.traffic.Settle(t, l.ns, 3*time.Second)
	if s := l.secret(t, "waits"); !bytes.Equal(s.Data[corev1.TLSCertKey], issued.Data[corev1.TLSCertKey]) {
		t.Error("a valid certificate was replaced")
	}
	for name := range no {
		if _, err := secretOf(t, l, name); err == nil {
			t.Errorf("there is a Secret %s", name)
		}
	}
}
