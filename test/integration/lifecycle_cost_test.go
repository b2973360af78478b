package integration

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/test/harness"
)

// expiredLike issues a certificate like the one in a Secret, for its key, that
// has expired an hour ago.
func expiredLike(t *testing.T, ca, s *corev1.Secret) (crt, key []byte) {
	t.Helper()
	pair, err := tls.X509KeyPair(ca.Data[corev1.TLSCertKey], ca.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	chain, _ := chainOf(t, s)
	template := *chain[0]
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-91*24*time.Hour), time.Now().Add(-time.Hour)
	parent, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, chain[0].PublicKey, pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), s.Data[corev1.TLSPrivateKeyKey]
}

// What a certificate may cost the API server: every call except get, list
// and watch.
const (
	mostWritesCA   = 6
	mostWritesACME = 24
)

func TestLifecycleCostOfCA(t *testing.T) {
	l := newLabAlone(t, harness.Controllers{})
	l.certificate(t, "warm", simple("warm", ""))
	l.revision(t, "warm", 1)
	began := len(l.traffic.Settle(t, l.ns, time.Second))
	const n = 10
	for i := range n {
		l.certificate(t, fmt.Sprintf("cost-%d", i), simple(fmt.Sprintf("cost-%d", i), ""))
	}
	for i := range n {
		l.revision(t, fmt.Sprintf("cost-%d", i), 1)
	}
	writes := l.traffic.Settle(t, l.ns, time.Second)[began:]
	t.Logf("%.1f writes per certificate", float64(len(writes))/n)
	if len(writes) > n*mostWritesCA {
		t.Errorf("%d writes for %d certificates, %d allowed: %v", len(writes), n, n*mostWritesCA, tally(writes))
	}
}

// tally counts calls by verb and resource.
func tally(calls []harness.Call) map[string]int {
	counts := map[string]int{}
	for _, c := range calls {
		counts[c.Verb+" "+c.Resource]++
	}
	return counts
}
