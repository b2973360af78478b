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
