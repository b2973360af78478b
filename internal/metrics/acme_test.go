package metrics_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestACMERequests(t *testing.T) {
	m, reg := setUp(t)
	for i := range 10 {
		m.ObserveACME("get_order", "POST", "acme.example.com", "https", 200, time.Duration(i+1)*100*time.Millisecond)
	}
	m.ObserveACME("authorize_order", "POST", "acme.example.com", "https", 429, time.Second)
	m.ObserveACME("discover", "GET", "acme\xff.example.com:14000", "https", 0, 30*time.Second)
	expect(t, reg, clockText+unusedText+overdueText+fmt.Sprintf(ownText, 0, 0)+`
# HELP certmanager_http_acme_client_request_count Number of requests to ACME servers.
# TYPE certmanager_http_acme_client_request_count counter
certmanager_http_acme_client_request_count{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429"} 1
certmanager_http_acme_client_request_count{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999"} 1
certmanager_http_acme_client_request_count{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200"} 10
# HELP certmanager_http_acme_client_request_duration_seconds Time from a request to an ACME server to the header of its answer, in seconds, over the last 10 minutes.
# TYPE certmanager_http_acme_client_request_duration_seconds summary
certmanager_http_acme_client_request_duration_seconds{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429",quantile="0.5"} 1
certmanager_http_acme_client_request_duration_seconds{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429",quantile="0.9"} 1
certmanager_http_acme_client_request_duration_seconds{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429",quantile="0.99"} 1
certmanager_http_acme_client_request_duration_seconds_sum{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429"} 1
certmanager_http_acme_client_request_duration_seconds_count{action="authorize_order",host="acme.example.com",method="POST",scheme="https",status="429"} 1
certmanager_http_acme_client_request_duration_seconds{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999",quantile="0.5"} 30
certmanager_http_acme_client_request_duration_seconds{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999",quantile="0.9"} 30
certmanager_http_acme_client_request_duration_seconds{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999",quantile="0.99"} 30
certmanager_http_acme_client_request_duration_seconds_sum{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999"} 30
certmanager_http_acme_client_request_duration_seconds_count{action="discover",host="acme�.example.com:14000",method="GET",scheme="https",status="999"} 1
certmanager_http_acme_client_request_duration_seconds{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200",quantile="0.5"} 0.5
certmanager_http_acme_client_request_duration_seconds{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200",quantile="0.9"} 0.9
certmanager_http_acme_client_request_duration_seconds{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200",quantile="0.99"} 1
certmanager_http_acme_client_request_duration_seconds_sum{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200"} 5.5
certmanager_http_acme_client_request_duration_seconds_count{action="get_order",host="acme.example.com",method="POST",scheme="https",status="200"} 10
`)
}

// TestACMESeriesAreBounded checks that a server cannot fill the memory with new
// hosts or invented statuses.
func TestACMESeriesAreBounded(t *testing.T) {
	m, reg := setUp(t)
	for i := range 2000 {
		m.ObserveACME("get_order", "POST", fmt.Sprintf("h%d.example.com", i), "https", 200+i%300, time.Second)
	}
	m.ObserveACME("get_order", "POST", "h0.example.com", "https", 200, time.Second)
	const count = "certmanager_http_acme_client_request_count"
	if n, err := testutil.GatherAndCount(reg, count); err != nil || n != 513 {
		t.Errorf("%d series, want 513: %v", n, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if host := series.GetLabel()[min(1, len(series.GetLabel())):]; family.GetName() == count {
				got[host[0].GetValue()+" "+host[3].GetValue()] = series.GetCounter().GetValue()
			}
		}
	}
	if got["other other"] != 2000-512 || got["h0.example.com 200"] != 2 {
		t.Errorf("%v requests to others, want %d; %v to the first, want 2", got["other other"], 2000-512, got["h0.example.com 200"])
	}
}
