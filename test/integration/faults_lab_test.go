package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// canary is what an ACME server may say where nobody asked it to: it must
// reach no status, event or log.
const canary = "canary-7f3a9c"

// faultLab is a namespace with controllers, an ACME server, and a proxy before
// it for each case.
type faultLab struct {
	*lab
	quick *harness.Quick
	log   *harness.Lines
}

// newFaultLab returns a lab whose test runs beside others. options changes the
// controllers' options; it may be nil.
func newFaultLab(t *testing.T, o harness.QuickOptions, options func(*operator.Options)) *faultLab {
	t.Helper()
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	return startFaultLab(t, cluster, ns, harness.QuickACME(t, o), within(ns, options))
}

// newFaultLabAlone returns a lab for a test that measures: no other test runs at the
// same time.
func newFaultLabAlone(t *testing.T, o harness.QuickOptions) *faultLab {
	t.Helper()
	cluster := harness.Shared(t)
	return startFaultLab(t, cluster, cluster.Namespace(t), harness.QuickACME(t, o), func(*operator.Options) {})
}

func startFaultLab(t *testing.T, cluster *harness.Cluster, ns string, quick *harness.Quick, options func(*operator.Options)) *faultLab {
	t.Helper()
	f := &faultLab{lab: &lab{Cluster: cluster, ns: ns, traffic: &harness.Traffic{}}, quick: quick, log: &harness.Lines{}}
	cluster.Run(t, harness.Controllers{
		Log: f.log.Logger(5), Config: f.traffic.Record,
		Options: func(o *operator.Options) {
			f.quick.Resolve(o)
			options(o)
		},
	})
	cluster.Key(t, f.ns, f.quick.Key)
	return f
}

// issuer makes an Issuer behind a proxy of its own, with an account key that
// need not be generated first.
func (f *faultLab) issuer(t *testing.T, name string) *faultproxy.Proxy {
	t.Helper()
	return f.issuerWith(t, name, func(*faultproxy.Proxy) {})
}

// issuerWith is issuer with faults from the first request on.
func (f *faultLab) issuerWith(t *testing.T, name string, faults func(*faultproxy.Proxy)) *faultproxy.Proxy {
	t.Helper()
	proxy := faultproxy.Start(t, f.quick.CA, canary)
	faults(proxy)
	f.behind(t, name, proxy)
	return proxy
}

// behind makes an Issuer, with an account of its own, behind a proxy that others may
// use too.
func (f *faultLab) behind(t *testing.T, name string, proxy *faultproxy.Proxy) {
	t.Helper()
	f.account(t, name)
	f.Apply(t, f.ns, harness.IssuerManifest(name,
		&pebble.Server{DirectoryURL: proxy.DirectoryURL, CABundle: proxy.CABundle}, f.quick.Solver()))
}

func (f *faultLab) account(t *testing.T, issuer string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f.Secret(t, f.ns, issuer+"-account", "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

// registered waits until an Issuer is ready.
func (f *faultLab) registered(t *testing.T, name string) {
	t.Helper()
	harness.Eventually(t, patience, func() error { return f.isRegistered(t, name) })
}

// isRegistered returns an error if an Issuer is not ready.
func (f *faultLab) isRegistered(t *testing.T, name string) error {
	t.Helper()
	i := &cmv1.Issuer{}
	if err := f.Get(t.Context(), client.ObjectKey{Namespace: f.ns, Name: name}, i); err != nil {
		return err
	}
	for _, c := range i.Status.Conditions {
		if c.Type == cmv1.IssuerConditionReady && c.Status == cmmeta.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("Issuer %s is not ready: %+v", name, i.Status.Conditions)
}

// orders are those of a Certificate, and their Challenges.
func (f *faultLab) orders(t *testing.T, certificate string) ([]acmev1.Order, []acmev1.Challenge) {
	t.Helper()
	orders, challenges := &acmev1.OrderList{}, &acmev1.ChallengeList{}
	for _, list := range []client.ObjectList{orders, challenges} {
		if err := f.List(t.Context(), list, client.InNamespace(f.ns)); err != nil {
			t.Fatal(err)
		}
	}
	var found []acmev1.Order
	for _, o := range orders.Items {
		if strings.HasPrefix(o.Name, certificate+"-") {
			found = append(found, o)
		}
	}
	var solving []acmev1.Challenge
	for _, c := range challenges.Items {
		if strings.HasPrefix(c.Name, certificate+"-") {
			solving = append(solving, c)
		}
	}
	return found, solving
}

// state describes all objects of an issuance.
func (f *faultLab) state(t *testing.T, certificate string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "Certificate: %s\n", conditions(f.crt(t, certificate)))
	for _, r := range f.requests(t, certificate) {
		for _, c := range r.Status.Conditions {
			fmt.Fprintf(&b, "CertificateRequest %s: %s=%s (%s): %s\n", r.Name, c.Type, c.Status, c.Reason, c.Message)
		}
	}
	orders, challenges := f.orders(t, certificate)
	for _, o := range orders {
		fmt.Fprintf(&b, "Order %s: %q: %s\n", o.Name, o.Status.State, o.Status.Reason)
	}
	for _, c := range challenges {
		fmt.Fprintf(&b, "Challenge %s: %q: %s\n", c.Name, c.Status.State, c.Status.Reason)
	}
	return b.String()
}

// failed waits until a Certificate's issuance has failed, and the words are in
// the reasons of the Order, the CertificateRequest and the Certificate.
func (f *faultLab) failed(t *testing.T, name string, within time.Duration, words ...string) {
	t.Helper()
	harness.Eventually(t, within, func() error {
		crt := f.crt(t, name)
		issuing := certificateCondition(crt, cmv1.CertificateConditionIssuing)
		if issuing == nil || issuing.Status != cmmeta.ConditionFalse || crt.Status.FailedIssuanceAttempts == nil {
			return fmt.Errorf("the issuance has not failed:\n%s", f.state(t, name))
		}
		orders, _ := f.orders(t, name)
		if len(orders) != 1 {
			return fmt.Errorf("%d Orders:\n%s", len(orders), f.state(t, name))
		}
		said := []string{issuing.Message, orders[0].Status.Reason}
		for _, r := range f.requests(t, name) {
			said = append(said, requestCondition(&r, cmv1.CertificateRequestConditionReady).Message)
		}
		for _, text := range said {
			for _, w := range words {
				if !strings.Contains(text, w) {
					return fmt.Errorf("%q is not in %q:\n%s", w, text, f.state(t, name))
				}
			}
		}
		return nil
	})
}

// waits waits until a Certificate's Issuing condition says why it must wait.
func (f *faultLab) waits(t *testing.T, name string, within time.Duration, words ...string) {
	t.Helper()
	harness.Eventually(t, within, func() error {
		issuing := certificateCondition(f.crt(t, name), cmv1.CertificateConditionIssuing)
		if issuing == nil || issuing.Status != cmmeta.ConditionTrue {
			return fmt.Errorf("it does not wait:\n%s", f.state(t, name))
		}
		for _, w := range words {
			if !strings.Contains(issuing.Message, w) {
				return fmt.Errorf("%q is not in the Issuing condition:\n%s", w, f.state(t, name))
			}
		}
		return nil
	})
}
