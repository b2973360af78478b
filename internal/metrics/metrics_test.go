package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/metrics"
	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func reader(t testing.TB, objects ...client.Object) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

// setUp returns a Metrics over objects, and its registry. The registry checks
// what it gathers more strictly than the default one.
func setUp(t testing.TB, objects ...client.Object) (*metrics.Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := metrics.New(reg, reader(t, objects...), logr.Discard(), clocktesting.NewFakePassiveClock(now))
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// expect compares all metrics, or the named ones, with their text.
func expect(t *testing.T, reg prometheus.Gatherer, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func after(d time.Duration) *metav1.Time {
	at := metav1.NewTime(now.Add(d))
	return &at
}

const clockText = `
# HELP certmanager_clock_time_seconds DEPRECATED: use clock_time_seconds_gauge instead. The clock time given in seconds (from 1970/01/01 UTC).
# TYPE certmanager_clock_time_seconds counter
certmanager_clock_time_seconds 1.7829072e+09
# HELP certmanager_clock_time_seconds_gauge The clock time given in seconds (from 1970/01/01 UTC). Gauge form of the deprecated clock_time_seconds counter. No labels.
# TYPE certmanager_clock_time_seconds_gauge gauge
certmanager_clock_time_seconds_gauge 1.7829072e+09
`

// unusedText is there from the start.
const unusedText = `
# HELP certmanager_venafi_oauth_token_request_duration_seconds Duration in seconds of Venafi OAuth token requests. Buckets cover typical token-exchange latencies from 10ms to 30s.
# TYPE certmanager_venafi_oauth_token_request_duration_seconds histogram
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="0.01"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="0.05"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="0.1"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="0.25"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="0.5"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="1"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="2.5"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="5"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="10"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="30"} 0
certmanager_venafi_oauth_token_request_duration_seconds_bucket{le="+Inf"} 0
certmanager_venafi_oauth_token_request_duration_seconds_sum 0
certmanager_venafi_oauth_token_request_duration_seconds_count 0
`

const ownText = `
# HELP everleaf_dns01_records_abandoned_total Number of DNS-01 TXT records that could not be removed and were left behind.
# TYPE everleaf_dns01_records_abandoned_total counter
everleaf_dns01_records_abandoned_total %d
# HELP everleaf_events_dropped_total Number of Kubernetes events that were not sent because too many were waiting.
# TYPE everleaf_events_dropped_total counter
everleaf_events_dropped_total %d
`

// overdueText is there if the cache can list Certificates.
const overdueText = `
# HELP everleaf_oldest_overdue_renewal_seconds How long the renewal of a certificate is overdue, in seconds: of the one that should have been renewed first; 0 if none is overdue.
# TYPE everleaf_oldest_overdue_renewal_seconds gauge
everleaf_oldest_overdue_renewal_seconds 0
`

func TestEmptyCluster(t *testing.T) {
	_, reg := setUp(t)
	expect(t, reg, clockText+unusedText+overdueText+fmt.Sprintf(ownText, 0, 0))
}

func TestCounts(t *testing.T) {
	m, reg := setUp(t)
	m.EventDropped()
	m.EventDropped()
	m.RecordAbandoned()

	asked := reconcile.Request{}
	asked.Name = "web"
	answer, failure := reconcile.Result{RequeueAfter: time.Minute}, errors.New("no")
	results := []error{nil, failure, nil}
	counted := m.Count("orders", reconcile.Func(func(_ context.Context, got reconcile.Request) (reconcile.Result, error) {
		if got != asked {
			t.Errorf("reconciled %v, want %v", got, asked)
		}
		err := results[0]
		results = results[1:]
		return answer, err
	}))
	for _, want := range results {
		if got, err := counted.Reconcile(context.Background(), asked); got != answer || !errors.Is(err, want) {
			t.Errorf("got %v, %v, want %v, %v", got, err, answer, want)
		}
	}
	m.Count("issuers", nil)

	expect(t, reg, clockText+unusedText+overdueText+fmt.Sprintf(ownText, 1, 2)+`
# HELP certmanager_controller_sync_call_count The number of sync() calls made by a controller. Label: controller (fixed small set of controller names).
# TYPE certmanager_controller_sync_call_count counter
certmanager_controller_sync_call_count{controller="issuers"} 0
certmanager_controller_sync_call_count{controller="orders"} 3
# HELP certmanager_controller_sync_error_count The number of errors encountered during controller sync(). Label: controller. Use with controller_sync_call_count to derive error rates.
# TYPE certmanager_controller_sync_error_count counter
certmanager_controller_sync_error_count{controller="issuers"} 0
certmanager_controller_sync_error_count{controller="orders"} 1
`)
}

// TestIssuancesHalted: the gauge is there for what is issued no more, and for nothing else.
func TestIssuancesHalted(t *testing.T) {
	failed := func(name, reason string) *cmv1.Certificate {
		return &cmv1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       cmv1.CertificateSpec{IssuerRef: cmmeta.IssuerReference{Name: "ca"}},
			Status: cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
				{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionFalse, Reason: reason},
			}},
		}
	}
	_, reg := setUp(t, failed("halted", "TooManyIssuances"), failed("failed", "Failed"))
	expect(t, reg, `
# HELP everleaf_certificate_issuances_halted 1 for each Certificate that is not issued any more because it was issued too often: something undoes each issuance.
# TYPE everleaf_certificate_issuances_halted gauge
everleaf_certificate_issuances_halted{issuer_group="",issuer_kind="",issuer_name="ca",name="halted",namespace="shop"} 1
`, "everleaf_certificate_issuances_halted")
}

func TestSecondRegistration(t *testing.T) {
	reg := prometheus.NewRegistry()
	clash := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "everleaf_events_dropped_total",
		Help: "Number of Kubernetes events that were not sent because too many were waiting.",
	})
	reg.MustRegister(clash)
	if _, err := metrics.New(reg, reader(t), logr.Discard(), clocktesting.NewFakePassiveClock(now)); err == nil {
		t.Fatal("a name that is taken has been registered")
	}
	// The failed attempt leaves nothing registered.
	reg.Unregister(clash)
	if _, err := metrics.New(reg, reader(t), logr.Discard(), clocktesting.NewFakePassiveClock(now)); err != nil {
		t.Error(err)
	}
}

// failing is a cache that cannot list.
type failing struct{ err error }

func (f failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return f.err
}

func (f failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return f.err }

func TestCacheThatCannotList(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		logs int
	}{
		"not started": {&crcache.ErrCacheNotStarted{}, 0},
		"not cached":  {&crcache.ErrResourceNotCached{}, 0},
		"broken":      {errors.New("broken"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			logs := make(chan string, 10)
			log := funcr.New(func(_, args string) { logs <- args }, funcr.Options{})
			reg := prometheus.NewPedanticRegistry()
			if _, err := metrics.New(reg, failing{test.err}, log, clocktesting.NewFakePassiveClock(now)); err != nil {
				t.Fatal(err)
			}
			expect(t, reg, clockText+unusedText+fmt.Sprintf(ownText, 0, 0))
			if len(logs) != test.logs {
				t.Errorf("%d lines logged, want %d", len(logs), test.logs)
			}
		})
	}
}

func certificate(name string, spec cmmeta.IssuerReference, status cmv1.CertificateStatus) *cmv1.Certificate {
	return &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       cmv1.CertificateSpec{SecretName: name, IssuerRef: spec},
		Status:     status,
	}
}

func challenge(name string, state acmev1.State, reason string) *acmev1.Challenge {
	return &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       acmev1.ChallengeSpec{DNSName: "www.example.com", Type: acmev1.ACMEChallengeTypeDNS01},
		Status:     acmev1.ChallengeStatus{State: state, Reason: reason, Processing: !state.Final()},
	}
}

func issuerStatus(ready cmmeta.ConditionStatus) cmv1.IssuerStatus {
	return cmv1.IssuerStatus{Conditions: []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: ready}}}
}

// A certificate that outlives its CA has a series, another one has none.
func TestOutliving(t *testing.T) {
	until := map[string]time.Time{"longer": now.Add(time.Hour), "as long": now.Add(2 * time.Hour), "no issuer": {}}
	var objects []client.Object
	for name := range until {
		cert := certificate(strings.ReplaceAll(name, " ", "-"), cmmeta.IssuerReference{Name: "ca", Kind: "Issuer"}, cmv1.CertificateStatus{})
		cert.Spec.SecretName = name
		objects = append(objects, cert)
	}
	none := certificate("none", cmmeta.IssuerReference{Name: "ca"}, cmv1.CertificateStatus{})
	none.Spec.SecretName = "none"
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(metrics.Outliving(reader(t, append(objects, none)...), func(_, name string) *facts.Secret {
		if name == "none" {
			return nil
		}
		return &facts.Secret{Leaf: &pki.LeafFacts{NotAfter: now.Add(2 * time.Hour)}, IssuerNotAfter: until[name]}
	}))
	expect(t, reg, `
# HELP everleaf_certificate_outlives_issuer 1 for each Certificate whose certificate is valid for longer than that of the CA which has signed it: clients reject it from then on.
# TYPE everleaf_certificate_outlives_issuer gauge
everleaf_certificate_outlives_issuer{issuer_group="",issuer_kind="Issuer",issuer_name="ca",name="longer",namespace="shop"} 1
`)
}
