package metrics_test

import (
	"testing"
	"time"
)

func TestVaultCalls(t *testing.T) {
	m, reg := setUp(t)
	m.ObserveVaultCall("sign", 200, 20*time.Millisecond)
	m.ObserveVaultCall("sign", 204, 20*time.Second)
	m.ObserveVaultCall("sign", 0, time.Minute)
	expect(t, reg, `
# HELP everleaf_vault_client_request_duration_seconds Time that a call to a Vault server takes, in seconds, by the call and the class of its HTTP status.
# TYPE everleaf_vault_client_request_duration_seconds histogram
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="0.01"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="0.05"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="0.1"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="0.25"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="0.5"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="1"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="2.5"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="5"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="10"} 1
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="30"} 2
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="2xx",le="+Inf"} 2
everleaf_vault_client_request_duration_seconds_sum{call="sign",status="2xx"} 20.02
everleaf_vault_client_request_duration_seconds_count{call="sign",status="2xx"} 2
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="0.01"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="0.05"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="0.1"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="0.25"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="0.5"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="1"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="2.5"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="5"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="10"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="30"} 0
everleaf_vault_client_request_duration_seconds_bucket{call="sign",status="none",le="+Inf"} 1
everleaf_vault_client_request_duration_seconds_sum{call="sign",status="none"} 60
everleaf_vault_client_request_duration_seconds_count{call="sign",status="none"} 1
`, "everleaf_vault_client_request_duration_seconds")
}
