package integration

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
)

// thief takes objects away right after a write of the controllers, before they read the
// answer.
type thief struct {
	mu   sync.Mutex
	left int
	// take is nil when it has been called.
	take func()
}

// intercept takes objects away after one write. The controllers write in one namespace.
func (h *thief) intercept(call harness.Call, next func() (*http.Response, error)) (*http.Response, error) {
	answer, err := next()
	if !call.Write() {
		return answer, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.take == nil {
		return answer, err
	}
	if h.left--; h.left < 0 {
		h.take()
		h.take = nil
	}
	return answer, err
}

// after has the thief call take after the nth write from now, counted from zero.
func (h *thief) after(n int, take func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left, h.take = n, take
}

// done reports whether take was called.
func (h *thief) done() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.take == nil
}

// TestObjectsVanish: the Secret, the key under way, the CertificateRequest or the Issuer is
// deleted after each write of an issuance, one after the other. The Certificate becomes
// ready all the same, with nothing left behind, as soon as an Issuer is there again.
func TestObjectsVanish(t *testing.T) {
	t.Parallel()
	const secret, key, request, issuer = "Secret", "next private key", "CertificateRequest", "Issuer"
	for _, test := range []struct{ of, what string }{
		{"ca", secret},
		{"ca", request},
		{"ca", issuer},
		{"acme", key},
		{"acme", request},
		{"acme", issuer},
	} {
		t.Run(test.of+", "+test.what, func(t *testing.T) {
			h, quick := &thief{}, harness.QuickACME(t, harness.QuickOptions{})
			l := newLab(t, harness.Controllers{Options: quick.Resolve, Config: func(c *rest.Config) {
				harness.Intercept(c, h.intercept)
			}})
			quick.Issuer(t, l.Cluster, l.ns, "acme")
			issuers := map[string]string{"ca": labIssuers, "acme": harness.IssuerManifest("acme", quick.CA, quick.Solver())}
			take := func(name string) error {
				ctx, in := context.Background(), client.InNamespace(l.ns)
				switch test.what {
				case secret:
					return l.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: name + "-tls"}})
				case key:
					return l.DeleteAllOf(ctx, &corev1.Secret{}, in, client.HasLabels{cmv1.IsNextPrivateKeySecretLabelKey})
				case request:
					return l.DeleteAllOf(ctx, &cmv1.CertificateRequest{}, in)
				default:
					return l.Delete(ctx, &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: test.of}})
				}
			}
			writes := 0
			for again := true; again; writes++ {
				name := fmt.Sprintf("crt-%d", writes)
				h.after(writes, func() {
					if err := client.IgnoreNotFound(take(name)); err != nil {
						t.Error(err)
					}
				})
				l.Apply(t, l.ns, harness.CertificateManifest(name, test.of, name+".example.com"))
				harness.Eventually(t, patience, func() error {
					if h.done() && test.what == issuer {
						l.Apply(t, l.ns, issuers[test.of])
					}
					return l.ready(t.Context(), name)
				})
				again = h.done()
			}
			t.Logf("%d writes", writes-1)
			if writes < 5 {
				t.Errorf("only %d writes", writes-1)
			}
			harness.Eventually(t, patience, func() error { return leftOfACME(t, l.Cluster, l.ns, quick) })
		})
	}
}

// ready returns an error if a Certificate is not issued and at rest. What was taken right
// after it was stored costs another revision.
func (l *lab) ready(ctx context.Context, name string) error {
	if err := l.issued(ctx, name, 1); err != nil {
		if l.issued(ctx, name, 2) != nil {
			return err
		}
	}
	return quietFor(l.traffic.Writes(l.ns), time.Second)
}
