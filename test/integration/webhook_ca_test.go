package integration

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/servingcert"
	"github.com/everleaf/everleaf/test/harness"
)

// webhookAuthority is the data of a Secret with a CA that is valid between two times.
func webhookAuthority(t *testing.T, from, until time.Duration) map[string][]byte {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 384})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cert-manager-webhook-ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
	}
	cert, err := pki.Sign(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	crt := pki.EncodeChain(cert)
	return map[string][]byte{"tls.crt": crt, "ca.crt": crt, "tls.key": encoded}
}

// TestServingCAIsRepaired (Q47): what a cluster that was asleep for months, a clock that
// was wrong or a person leaves in the Secret of the CA is replaced without a restart,
// and what else is in the Secret stays.
func TestServingCAIsRepaired(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	good, other := webhookAuthority(t, 0, year), webhookAuthority(t, 0, year)
	with := func(key string, value []byte) map[string][]byte {
		changed := maps.Clone(good)
		changed[key] = value
		return changed
	}
	cluster := harness.Shared(t)
	namespace := cluster.Namespace(t)
	core, err := kubernetes.NewForConfig(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data map[string][]byte
		kept bool
	}{
		"good":             {good, true},
		"expired":          {webhookAuthority(t, -2*year, -year), false},
		"not valid yet":    {webhookAuthority(t, 48*time.Hour, year), false},
		"nearly expired":   {webhookAuthority(t, -year, 24*time.Hour), false},
		"ca.crt of others": {with("ca.crt", other["ca.crt"]), false},
		"key of others":    {with("tls.key", other["tls.key"]), false},
		"empty":            {map[string][]byte{"tls.crt": {}, "tls.key": {}, "ca.crt": {}}, false},
		"no data":          {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "ca-", Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}},
				Data:       maps.Clone(test.data),
			}
			if secret.Data == nil {
				secret.Data = map[string][]byte{}
			}
			secret.Data["foreign"] = []byte("kept")
			if err := cluster.Create(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			source := servingcert.New(servingcert.Config{Namespace: namespace, Name: secret.Name, DNSNames: []string{"webhook"}, Lifetime: 168 * time.Hour}, core, clock.RealClock{}, logr.Discard())
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- source.Start(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			after := &corev1.Secret{}
			harness.Eventually(t, time.Minute, func() error {
				if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(secret), after); err != nil {
					return err
				}
				serving, err := source.GetCertificate(nil)
				if err != nil {
					return err
				}
				roots := x509.NewCertPool()
				if !roots.AppendCertsFromPEM(after.Data["ca.crt"]) {
					return errors.New("no CA")
				}
				_, err = serving.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "webhook", CurrentTime: time.Now().Add(time.Second)})
				return err
			})
			if kept := bytes.Equal(after.Data["ca.crt"], test.data["ca.crt"]); kept != test.kept {
				t.Errorf("the CA was kept: %t, want %t", kept, test.kept)
			}
			if !bytes.Equal(after.Data["ca.crt"], after.Data["tls.crt"]) || string(after.Data["foreign"]) != "kept" {
				t.Error("ca.crt differs from tls.crt, or foreign data is gone")
			}
			if diff := cmp.Diff(secret.Labels, after.Labels) + cmp.Diff(secret.Annotations, after.Annotations); diff != "" {
				t.Errorf("metadata, -want +got:\n%s", diff)
			}
		})
	}
}
