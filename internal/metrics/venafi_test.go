package metrics_test

import (
	"testing"
	"time"
)

func TestVenafiTokens(t *testing.T) {
	m, reg := setUp(t)
	m.ObserveVenafiToken(true, 20*time.Millisecond)
	m.ObserveVenafiToken(true, 20*time.Millisecond)
	m.ObserveVenafiToken(false, time.Minute)
	expect(t, reg, `
# HELP certmanager_venafi_oauth_token_requests_total Total number of Venafi OAuth token requests made by cert-manager. Label: status (success/failure).
# TYPE certmanager_venafi_oauth_token_requests_total counter
certmanager_venafi_oauth_token_requests_total{status="failure"} 1
certmanager_venafi_oauth_token_requests_total{status="success"} 2
`, "certmanager_venafi_oauth_token_requests_total")
}

func TestVenafiCalls(t *testing.T) {
	m, reg := setUp(t)
	m.ObserveVenafiCall("ping", 2*time.Second)
	m.ObserveVenafiCall("request_certificate", time.Second)
	m.ObserveVenafiCall("request_certificate", time.Second)
	expect(t, reg, `
# HELP certmanager_http_venafi_client_request_duration_seconds Time that a call to Certificate Manager (Venafi) takes, in seconds, over the last 10 minutes. Label: api_call.
# TYPE certmanager_http_venafi_client_request_duration_seconds summary
certmanager_http_venafi_client_request_duration_seconds{api_call="ping",quantile="0.5"} 2
certmanager_http_venafi_client_request_duration_seconds{api_call="ping",quantile="0.9"} 2
certmanager_http_venafi_client_request_duration_seconds{api_call="ping",quantile="0.99"} 2
certmanager_http_venafi_client_request_duration_seconds_sum{api_call="ping"} 2
certmanager_http_venafi_client_request_duration_seconds_count{api_call="ping"} 1
certmanager_http_venafi_client_request_duration_seconds{api_call="request_certificate",quantile="0.5"} 1
certmanager_http_venafi_client_request_duration_seconds{api_call="request_certificate",quantile="0.9"} 1
certmanager_http_venafi_client_request_duration_seconds{api_call="request_certificate",quantile="0.99"} 1
certmanager_http_venafi_client_request_duration_seconds_sum{api_call="request_certificate"} 2
certmanager_http_venafi_client_request_duration_seconds_count{api_call="request_certificate"} 2
`, "certmanager_http_venafi_client_request_duration_seconds")
}
