package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/metrics"
)

func TestCertificates(t *testing.T) {
	_, reg := setUp(t,
		certificate("api", cmmeta.IssuerReference{Name: "ca"}, cmv1.CertificateStatus{
			Conditions: []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}},
		}),
		certificate("web", cmmeta.IssuerReference{Name: "acme", Kind: "ClusterIssuer", Group: "cert-manager.io"}, cmv1.CertificateStatus{
			Conditions: []cmv1.CertificateCondition{
				{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionFalse},
				{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionTrue},
			},
			NotBefore: after(-time.Hour), NotAfter: after(90 * 24 * time.Hour), RenewalTime: after(60 * 24 * time.Hour),
		}),
	)
	expect(t, reg, clockText+unusedText+overdueText+fmt.Sprintf(ownText, 0, 0)+`
# HELP certmanager_certificate_expiration_timestamp_seconds The timestamp after which the certificate expires, expressed in Unix Epoch Time.
# TYPE certmanager_certificate_expiration_timestamp_seconds gauge
certmanager_certificate_expiration_timestamp_seconds{issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_expiration_timestamp_seconds{issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 1.7906832e+09
# HELP certmanager_certificate_not_after_timestamp_seconds The timestamp after which the certificate is invalid, expressed as a Unix Epoch Time.
# TYPE certmanager_certificate_not_after_timestamp_seconds gauge
certmanager_certificate_not_after_timestamp_seconds{issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_not_after_timestamp_seconds{issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 1.7906832e+09
# HELP certmanager_certificate_not_before_timestamp_seconds The timestamp before which the certificate is invalid, expressed as a Unix Epoch Time.
# TYPE certmanager_certificate_not_before_timestamp_seconds gauge
certmanager_certificate_not_before_timestamp_seconds{issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_not_before_timestamp_seconds{issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 1.7829036e+09
# HELP certmanager_certificate_ready_status The ready status of the certificate.
# TYPE certmanager_certificate_ready_status gauge
certmanager_certificate_ready_status{condition="False",issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_ready_status{condition="False",issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 0
certmanager_certificate_ready_status{condition="True",issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_ready_status{condition="True",issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 1
certmanager_certificate_ready_status{condition="Unknown",issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 1
certmanager_certificate_ready_status{condition="Unknown",issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 0
# HELP certmanager_certificate_renewal_timestamp_seconds The timestamp after which the certificate should be renewed, expressed in Unix Epoch Time.
# TYPE certmanager_certificate_renewal_timestamp_seconds gauge
certmanager_certificate_renewal_timestamp_seconds{issuer_group="",issuer_kind="",issuer_name="ca",name="api",namespace="shop"} 0
certmanager_certificate_renewal_timestamp_seconds{issuer_group="cert-manager.io",issuer_kind="ClusterIssuer",issuer_name="acme",name="web",namespace="shop"} 1.7880912e+09
`)
}

const challengeMetric = "certmanager_certificate_challenge_status"

func TestChallenges(t *testing.T) {
	_, reg := setUp(t,
		challenge("one", acmev1.Pending, "Waiting for DNS-01 challenge propagation: ns1.example.com says \"no\""),
		challenge("two", "", ""),
	)
	const waits = `processing="true",reason="Waiting for DNS-01 challenge propagation: ns1.example.com says \"no\""`
	const fresh = `processing="true",reason=""`
	want := "# HELP " + challengeMetric + " The status of certificate challenges\n# TYPE " + challengeMetric + " gauge\n"
	for _, status := range []string{"", "errored", "expired", "invalid", "pending", "processing", "ready", "valid"} {
		for _, c := range []struct{ name, text, state string }{{"one", waits, "pending"}, {"two", fresh, ""}} {
			value := 0
			if status == c.state {
				value = 1
			}
			want += fmt.Sprintf(`%s{domain="www.example.com",name="%s",namespace="shop",%s,status="%s",type="DNS-01"} %d`+"\n",
				challengeMetric, c.name, c.text, status, value)
		}
	}
	expect(t, reg, want, challengeMetric)
}

func TestChallengeStates(t *testing.T) {
	for _, state := range []acmev1.State{
		acmev1.Ready, acmev1.Valid, acmev1.Errored, acmev1.Expired, acmev1.Invalid, acmev1.Processing, acmev1.Unknown, acmev1.Pending,
	} {
		_, reg := setUp(t, challenge("one", state, ""))
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]float64{}
		for _, family := range families {
			if family.GetName() != challengeMetric {
				continue
			}
			for _, series := range family.GetMetric() {
				for _, l := range series.GetLabel() {
					if l.GetName() == "status" {
						shown[l.GetValue()] = series.GetGauge().GetValue()
					}
				}
			}
		}
		sum := 0.0
		for _, v := range shown {
			sum += v
		}
		if len(shown) != 8 || sum != 1 || shown[string(state)] != 1 {
			t.Errorf("state %q is shown as %v", state, shown)
		}
	}
}

func TestIssuers(t *testing.T) {
	named := func(name, namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: namespace}
	}
	_, reg := setUp(t,
		&cmv1.Issuer{ObjectMeta: named("ca", "shop"), Status: issuerStatus(cmmeta.ConditionFalse)},
		&cmv1.Issuer{ObjectMeta: named("ca", "blog")},
		&cmv1.ClusterIssuer{ObjectMeta: named("acme", ""), Status: issuerStatus(cmmeta.ConditionTrue)},
		&cmv1.ClusterIssuer{ObjectMeta: named("odd", ""), Status: issuerStatus("Perhaps")},
	)
	expect(t, reg, clockText+unusedText+overdueText+fmt.Sprintf(ownText, 0, 0)+`
# HELP certmanager_clusterissuer_ready_status The ready status of the ClusterIssuer.
# TYPE certmanager_clusterissuer_ready_status gauge
certmanager_clusterissuer_ready_status{condition="False",name="acme"} 0
certmanager_clusterissuer_ready_status{condition="False",name="odd"} 0
certmanager_clusterissuer_ready_status{condition="True",name="acme"} 1
certmanager_clusterissuer_ready_status{condition="True",name="odd"} 0
certmanager_clusterissuer_ready_status{condition="Unknown",name="acme"} 0
certmanager_clusterissuer_ready_status{condition="Unknown",name="odd"} 1
# HELP certmanager_issuer_ready_status The ready status of the Issuer.
# TYPE certmanager_issuer_ready_status gauge
certmanager_issuer_ready_status{condition="False",name="ca",namespace="blog"} 0
certmanager_issuer_ready_status{condition="False",name="ca",namespace="shop"} 1
certmanager_issuer_ready_status{condition="True",name="ca",namespace="blog"} 0
certmanager_issuer_ready_status{condition="True",name="ca",namespace="shop"} 0
certmanager_issuer_ready_status{condition="Unknown",name="ca",namespace="blog"} 1
certmanager_issuer_ready_status{condition="Unknown",name="ca",namespace="shop"} 0
`)
}

// uncopied is a cache that returns its own objects if asked, as
// controller-runtime's does.
type uncopied struct {
	failing
	certificates []cmv1.Certificate
	challenges   []acmev1.Challenge
}

func (u uncopied) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(opts)
	if options.UnsafeDisableDeepCopy == nil || !*options.UnsafeDisableDeepCopy {
		return errors.New("a scrape copies all objects")
	}
	switch l := list.(type) {
	case *cmv1.CertificateList:
		l.Items = u.certificates
	case *acmev1.ChallengeList:
		l.Items = u.challenges
	}
	return nil
}

func (u uncopied) register(t testing.TB, reg prometheus.Registerer) {
	t.Helper()
	if _, err := metrics.New(reg, u, logr.Discard(), clocktesting.NewFakePassiveClock(now)); err != nil {
		t.Fatal(err)
	}
}

// TestTextThatIsNotUTF8 checks that one object with invalid text does not fail
// the whole scrape.
func TestTextThatIsNotUTF8(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	uncopied{
		certificates: []cmv1.Certificate{*certificate("web", cmmeta.IssuerReference{Name: "a\xffb"}, cmv1.CertificateStatus{})},
		challenges:   []acmev1.Challenge{*challenge("one", "", "\xc3\x28")},
	}.register(t, reg)
	expect(t, reg, `
# HELP certmanager_certificate_renewal_timestamp_seconds The timestamp after which the certificate should be renewed, expressed in Unix Epoch Time.
# TYPE certmanager_certificate_renewal_timestamp_seconds gauge
certmanager_certificate_renewal_timestamp_seconds{issuer_group="",issuer_kind="",issuer_name="a�b",name="web",namespace="shop"} 0
`, "certmanager_certificate_renewal_timestamp_seconds")
	if n, err := testutil.GatherAndCount(reg, challengeMetric); err != nil || n != 8 {
		t.Errorf("%d series of the challenge, want 8: %v", n, err)
	}
}

// BenchmarkScrape measures a scrape of 10,000 Certificates.
func BenchmarkScrape(b *testing.B) {
	var cache uncopied
	for i := range 10_000 {
		cache.certificates = append(cache.certificates, *certificate(fmt.Sprintf("web-%d", i), cmmeta.IssuerReference{Name: "acme"},
			cmv1.CertificateStatus{NotBefore: after(-time.Hour), NotAfter: after(time.Hour), RenewalTime: after(time.Minute)}))
	}
	reg := prometheus.NewRegistry()
	cache.register(b, reg)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// stores is a cache whose informers have stores.
type stores struct {
	client.Reader
	store toolscache.SharedIndexInformer
	// listed are the limits of its lists.
	listed []int64
}

func (s *stores) GetInformer(context.Context, client.Object, ...crcache.InformerGetOption) (crcache.Informer, error) {
	return s.store, nil
}

func (s *stores) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*cmv1.CertificateList); !ok {
		return &crcache.ErrCacheNotStarted{}
	}
	s.listed = append(s.listed, (&client.ListOptions{}).ApplyOptions(options).Limit)
	return nil
}

// TestScrapeCopiesNothing: a scrape reads objects from the stores of informers, and does not
// copy them into a list.
func TestScrapeCopiesNothing(t *testing.T) {
	s := &stores{store: toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &cmv1.Certificate{}, 0, nil)}
	for _, name := range []string{"b", "a"} {
		if err := s.store.GetStore().Add(certificate(name, cmmeta.IssuerReference{Name: "ca"}, cmv1.CertificateStatus{NotBefore: after(time.Hour)})); err != nil {
			t.Fatal(err)
		}
	}
	reg := prometheus.NewPedanticRegistry()
	if _, err := metrics.New(reg, s, logr.Discard(), clocktesting.NewFakePassiveClock(now)); err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(reg, "certmanager_certificate_not_before_timestamp_seconds"); err != nil || n != 2 {
		t.Errorf("%d series and the error %v, want 2", n, err)
	}
	for _, limit := range s.listed {
		if limit != 1 {
			t.Errorf("a scrape lists %d objects, want 1", limit)
		}
	}
}
