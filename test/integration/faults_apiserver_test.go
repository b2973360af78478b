package integration

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
)

// intact returns an error if a Certificate is not issued at a revision, or if it has not one
// CertificateRequest, that of the revision.
func (l *lab) intact(ctx context.Context, name string, revision int) error {
	if err := l.issued(ctx, name, revision); err != nil {
		return err
	}
	requests := &cmv1.CertificateRequestList{}
	if err := l.List(ctx, requests, client.InNamespace(l.ns)); err != nil {
		return err
	}
	var of []string
	for _, r := range requests.Items {
		if r.Annotations[cmv1.CertificateNameKey] == name {
			of = append(of, r.Name+" of revision "+r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey])
		}
	}
	if want := fmt.Sprintf("%s-%d of revision %d", name, revision, revision); len(of) != 1 || of[0] != want {
		return fmt.Errorf("%s has the requests %v, want %s", name, of, want)
	}
	return nil
}

// issued returns an error if a Certificate is not ready at a revision, with the key of its
// certificate and no other key.
func (l *lab) issued(ctx context.Context, name string, revision int) error {
	crt := &cmv1.Certificate{}
	if err := l.Get(ctx, client.ObjectKey{Namespace: l.ns, Name: name}, crt); err != nil {
		return err
	}
	if got := crt.Status.Revision; got == nil || *got != revision {
		return fmt.Errorf("%s has revision %v, want %d: %s", name, deref(got), revision, conditions(crt))
	}
	if !isTrue(crt, cmv1.CertificateConditionReady) || isTrue(crt, cmv1.CertificateConditionIssuing) || crt.Status.NextPrivateKeySecretName != nil {
		return fmt.Errorf("%s is not idle: %s", name, conditions(crt))
	}
	secret := &corev1.Secret{}
	if err := l.Get(ctx, client.ObjectKey{Namespace: l.ns, Name: crt.Spec.SecretName}, secret); err != nil {
		return err
	}
	// It compares the keys.
	if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return fmt.Errorf("Secret %s: %w", secret.Name, err)
	}
	keys := &corev1.SecretList{}
	if err := l.List(ctx, keys, client.InNamespace(l.ns), client.HasLabels{cmv1.IsNextPrivateKeySecretLabelKey}); err != nil {
		return err
	}
	for _, s := range keys.Items {
		if s.Annotations[cmv1.CertificateNameKey] == name || len(s.OwnerReferences) == 0 || s.OwnerReferences[0].Name == name {
			return fmt.Errorf("next private key %s of %s is left", s.Name, name)
		}
	}
	return nil
}

// wantIntact waits until a Certificate is intact at a revision.
func (l *lab) wantIntact(t *testing.T, name string, revision int) {
	t.Helper()
	harness.Eventually(t, patience, func() error { return l.intact(t.Context(), name, revision) })
}

// TestAPIServerFails: the API server refuses one call in eight, or does what it was asked
// and the answer is lost, and watches break. Each Certificate is issued once all the same.
func TestAPIServerFails(t *testing.T) {
	const ofCA, ofACME = 16, 3
	quick := harness.QuickACME(t, harness.QuickOptions{})
	storm := &harness.Storm{Every: 8, Seed: 10}
	l := newLab(t, harness.Controllers{Options: quick.Resolve, Config: storm.Record})
	quick.Issuer(t, l.Cluster, l.ns, "acme")
	requests := watchRequests(t, l.Cluster, l.ns)
	storm.On.Store(true)
	names := []string{"root"}
	for i := range ofCA {
		name := fmt.Sprintf("ca-%d", i)
		l.certificate(t, name, simple(name, ""))
		names = append(names, name)
	}
	for i := range ofACME {
		name := fmt.Sprintf("acme-%d", i)
		l.Apply(t, l.ns, harness.CertificateManifest(name, "acme", name+".example.com"))
		names = append(names, name)
	}
	for _, name := range names {
		l.wantIntact(t, name, 1)
	}
	harness.Eventually(t, patience, func() error { return leftOfACME(t, l.Cluster, l.ns, quick) })
	requests.wantOneEach(t, len(names))
	wantRevisions(t, l.Cluster, l.ns, 1)
	faults := storm.Faults()
	t.Logf("faults: %v; %d orders for %d Certificates", faults, quick.Orders.N(), ofACME)
	for _, fault := range []string{"409", "429", "500", "lost answer", "broken watch"} {
		if faults[fault] == 0 {
			t.Errorf("no %s was met: nothing is tested", fault)
		}
	}
}

// TestAPIServerAway: the API server is away for a minute. Meanwhile the controllers do not
// hammer it, and then they see what has changed.
func TestAPIServerAway(t *testing.T) {
	var away atomic.Bool
	var calls atomic.Int64
	cut, end := context.WithCancel(t.Context())
	l := newLab(t, harness.Controllers{Config: func(c *rest.Config) {
		harness.Intercept(c, func(call harness.Call, next func() (*http.Response, error)) (*http.Response, error) {
			if away.Load() {
				calls.Add(1)
				return nil, harness.ErrCut
			}
			answer, err := next()
			if err == nil && call.Verb == "watch" {
				context.AfterFunc(cut, func() { answer.Body.Close() })
			}
			return answer, err
		})
	}})
	requests := watchRequests(t, l.Cluster, l.ns)
	for _, name := range []string{"stays", "loses"} {
		l.certificate(t, name, simple(name, ""))
		l.wantIntact(t, name, 1)
	}
	l.certificate(t, "issued", simple("issued", ""))
	away.Store(true)
	end()
	minute, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l.certificate(t, "applied", simple("applied", ""))
	if err := l.Delete(t.Context(), l.secret(t, "loses")); err != nil {
		t.Fatal(err)
	}
	<-minute.Done()
	if err := minute.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	away.Store(false)
	back := time.Now()
	l.wantIntact(t, "loses", 2)
	for _, name := range []string{"root", "stays", "issued", "applied"} {
		l.wantIntact(t, name, 1)
	}
	t.Logf("all is as it should be %s after the API server is back; %d calls while it was away", time.Since(back).Round(time.Second), calls.Load())
	// Each of the 20 watches tries again, at intervals that grow to half a minute.
	if n := calls.Load(); n == 0 || n > 600 {
		t.Errorf("%d calls while the API server was away", n)
	}
	for name, want := range map[string]int{"root": 1, "stays": 1, "issued": 1, "applied": 1, "loses": 2} {
		if seen := requests.of(name); len(seen) != want {
			t.Errorf("Certificate %s has had the requests %v", name, seen)
		}
	}
}
