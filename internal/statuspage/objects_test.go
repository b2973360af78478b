package statuspage

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/pki"
)

func TestSecretOf(t *testing.T) {
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x03ff), Subject: pkix.Name{CommonName: "R3", Country: []string{"US"}, Organization: []string{"CA"}},
		NotBefore: at(0), NotAfter: at(60), SubjectKeyId: []byte{10, 11}, AuthorityKeyId: []byte{12, 13},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	chain := pki.EncodeChain(cert)
	want := Secret{
		Name: "s", IssuerCountry: []string{"US"}, IssuerOrganisation: []string{"CA"}, IssuerCommonName: "R3",
		KeyUsage:          []string{"Digital Signature", "Key Encipherment", "Cert Sign"},
		ExtendedKeyUsages: []string{"Server Authentication", "Client Authentication"}, PublicKeyAlgorithm: "ECDSA", SignatureAlgorithm: "ECDSA-SHA256",
		SubjectKeyID: "0a0b", AuthorityKeyID: "0a0b", SerialNumber: "03ff",
	}
	got := SecretOf("s", chain)
	// Go takes the authority's key ID of a self-signed certificate from its subject's.
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "AuthorityKeyID" }, cmp.Ignore())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := SecretOf("s", nil); got.Problem != `error: 'tls.crt' of Secret "s" is not set` {
		t.Errorf("an empty Secret: %q", got.Problem)
	}
	if got := SecretOf("s", []byte("x")); !strings.HasPrefix(got.Problem, `error when parsing 'tls.crt' of Secret "s": `) {
		t.Errorf("no PEM: %q", got.Problem)
	}
}

// TestEventOf has the ways in which events say when and how often.
func TestEventOf(t *testing.T) {
	stamp := func(minutes int) metav1.Time { return metav1.NewTime(at(minutes)) }
	for name, test := range map[string]struct {
		event corev1.Event
		want  Event
	}{
		"of client-go's recorder": {
			corev1.Event{Type: "Normal", Reason: "R", FirstTimestamp: stamp(-9), LastTimestamp: stamp(-1), Count: 4, Source: corev1.EventSource{Component: "c"}, Message: "m"},
			Event{Type: "Normal", Reason: "R", First: at(-9), Last: at(-1), Count: 4, From: "c", Message: "m"},
		},
		"of the new API": {
			corev1.Event{EventTime: metav1.NewMicroTime(at(-9)), ReportingController: "c", Series: &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(at(-2))}},
			Event{First: at(-9), Last: at(-2), Count: 2, From: "c"},
		},
		"of somebody who says nothing": {
			corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: stamp(-3)}},
			Event{First: at(-3), Last: at(-3), Count: 1},
		},
	} {
		if diff := cmp.Diff(test.want, EventOf(&test.event), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
