package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/metrics"
	"github.com/everleaf/everleaf/internal/plan"
)

func requestOf(kind, name string, failed bool) *cmv1.CertificateRequest {
	r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", CreationTimestamp: *after(-25 * time.Second)}}
	r.Spec.IssuerRef = cmmeta.IssuerReference{Name: name, Kind: kind}
	if failed {
		r.Status.FailureTime = after(0)
	}
	return r
}

// TestIssuances holds that a request counts once, at its end.
func TestIssuances(t *testing.T) {
	m, reg := setUp(t)
	issued := plan.Event{Reason: cmv1.EventReasonCertificateIssued}
	signing := plan.Event{Warning: true, Reason: cmv1.EventReasonSigningError}
	m.ObserveEvent(requestOf("", "ca", false), issued)
	m.ObserveEvent(requestOf("ClusterIssuer", "le", true), signing)
	m.ObserveEvent(requestOf("", "ca", false), plan.Event{Warning: true, Reason: "OutlivesIssuer"})
	m.ObserveEvent(requestOf("", "ca", false), plan.Event{Reason: cmv1.EventReasonOrderPending})
	m.ObserveEvent(&cmv1.Certificate{}, issued)
	expect(t, reg, `
# HELP everleaf_issuance_duration_seconds Time from the creation of a CertificateRequest to its certificate, in seconds.
# TYPE everleaf_issuance_duration_seconds histogram
`+buckets(`issuer_kind="Issuer",issuer_name="ca",issuer_namespace="shop"`)+`
# HELP everleaf_issuance_failures_total Number of CertificateRequests that failed.
# TYPE everleaf_issuance_failures_total counter
everleaf_issuance_failures_total{issuer_kind="ClusterIssuer",issuer_name="le",issuer_namespace="",reason="SigningError"} 1
`, "everleaf_issuance_duration_seconds", "everleaf_issuance_failures_total")

	for i := range 300 {
		m.ObserveEvent(requestOf("", fmt.Sprint(i), true), signing)
	}
	if n, err := testutil.GatherAndCount(reg, "everleaf_issuance_failures_total"); n != 256 || err != nil {
		t.Errorf("error %v, %d series of failures, want 256: one of 256 issuers has had no failure, and one series is for the others", err, n)
	}
}

// TestSteps holds that each step counts under the name of the controller of
// cert-manager whose work it is, and that all of them are there from the start.
func TestSteps(t *testing.T) {
	m, reg := setUp(t)
	none := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return reconcile.Result{}, nil })
	if _, err := m.Count("certificates", none).Reconcile(t.Context(), reconcile.Request{}); err != nil {
		t.Fatal(err)
	}
	m.Count("certificaterequests", none)
	m.Failed("certificates")()
	m.Step("certificates-issuing", true)
	m.Step("certificates-issuing", false)
	want := map[string][2]int{
		"certificates-trigger": {1, 1}, "certificates-readiness": {1, 0}, "certificates-issuing": {2, 1},
		"certificates-key-manager": {}, "certificates-request-manager": {}, "certificates-revision-manager": {}, "certificaterequests-approver": {},
		"certificaterequests-issuer-acme": {}, "certificaterequests-issuer-ca": {}, "certificaterequests-issuer-selfsigned": {},
		"certificaterequests-issuer-vault": {}, "certificaterequests-issuer-venafi": {},
	}
	got := map[string][2]int{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		at, ok := map[string]int{"certmanager_controller_sync_call_count": 0, "certmanager_controller_sync_error_count": 1}[family.GetName()]
		for _, metric := range family.Metric {
			if ok {
				counts := got[metric.Label[0].GetValue()]
				counts[at] = int(metric.Counter.GetValue())
				got[metric.Label[0].GetValue()] = counts
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls and errors (-want +got):\n%s", diff)
	}
}

// buckets is the text of a histogram with one value of 25 s.
func buckets(labels string) string {
	var text strings.Builder
	for _, le := range []string{"1", "2", "5", "10", "20", "30", "60", "120", "300", "600", "1800", "3600", "+Inf"} {
		n := 1
		if len(le) == 1 || le == "10" || le == "20" {
			n = 0
		}
		fmt.Fprintf(&text, "everleaf_issuance_duration_seconds_bucket{%s,le=%q} %d\n", labels, le, n)
	}
	fmt.Fprintf(&text, "everleaf_issuance_duration_seconds_sum{%s} 25\neverleaf_issuance_duration_seconds_count{%s} 1\n", labels, labels)
	return strings.TrimSuffix(text.String(), "\n")
}

// TestOverdue holds that the gauge is how long the certificate that should have
// been renewed first has waited.
func TestOverdue(t *testing.T) {
	due := func(name string, renewal *metav1.Time) *cmv1.Certificate {
		return certificate(name, cmmeta.IssuerReference{}, cmv1.CertificateStatus{RenewalTime: renewal})
	}
	for name, test := range map[string]struct {
		certificates []client.Object
		want         int
	}{
		"none":    {nil, 0},
		"in time": {[]client.Object{due("a", after(time.Hour)), due("b", nil)}, 0},
		"late":    {[]client.Object{due("a", after(-time.Minute)), due("b", after(-time.Hour)), due("c", after(time.Hour))}, 3600},
	} {
		t.Run(name, func(t *testing.T) {
			_, reg := setUp(t, test.certificates...)
			expect(t, reg, fmt.Sprintf(`
# HELP everleaf_oldest_overdue_renewal_seconds How long the renewal of a certificate is overdue, in seconds: of the one that should have been renewed first; 0 if none is overdue.
# TYPE everleaf_oldest_overdue_renewal_seconds gauge
everleaf_oldest_overdue_renewal_seconds %d
`, test.want), "everleaf_oldest_overdue_renewal_seconds")
		})
	}
}

// roundTrip answers every request.
type roundTrip struct{}

func (roundTrip) RoundTrip(*http.Request) (*http.Response, error) { return &http.Response{}, nil }

func TestWrites(t *testing.T) {
	w := metrics.NewWrites()
	transport := w.Wrap(roundTrip{})
	for _, line := range []string{
		"GET /api/v1/namespaces/a/secrets/b", "PATCH /api/v1/namespaces/a/secrets/b", "POST /api/v1/namespaces/a/events",
		"PUT /apis/cert-manager.io/v1/namespaces/a/certificates/b/status", "PUT /apis/cert-manager.io/v1/namespaces/a/certificates/c/status",
		"PUT /apis/cert-manager.io/v1/clusterissuers/b/status", "DELETE /apis/acme.cert-manager.io/v1/namespaces/a/challenges/b",
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST /elsewhere",
	} {
		method, path, _ := strings.Cut(line, " ")
		r, err := http.NewRequest(method, "https://server"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := testutil.CollectAndCompare(w, strings.NewReader(`
# HELP everleaf_api_writes_total Number of requests to the API server other than get, list and watch.
# TYPE everleaf_api_writes_total counter
everleaf_api_writes_total{resource="certificates/status",verb="update"} 2
everleaf_api_writes_total{resource="challenges",verb="delete"} 1
everleaf_api_writes_total{resource="clusterissuers/status",verb="update"} 1
everleaf_api_writes_total{resource="events",verb="create"} 1
everleaf_api_writes_total{resource="other",verb="create"} 1
everleaf_api_writes_total{resource="secrets",verb="patch"} 1
everleaf_api_writes_total{resource="selfsubjectaccessreviews",verb="create"} 1
`)); err != nil {
		t.Error(err)
	}
}
