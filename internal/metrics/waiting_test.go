package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/everleaf/everleaf/internal/metrics"
)

// inProgress are challenges in progress, with two records left behind.
type inProgress []metrics.Queue

func (p inProgress) Queues() []metrics.Queue { return p }
func (inProgress) LeftBehind() int           { return 2 }

func TestWaitingChallenges(t *testing.T) {
	m, reg := setUp(t)
	m.ObserveChallenges(inProgress{
		{Kind: "ClusterIssuer", Name: "acme", Challenges: 3, Oldest: now.Add(-90 * time.Second)},
		{Kind: "Issuer", Namespace: "shop", Name: "acme"},
	})
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP everleaf_challenges_waiting Number of Challenges of an issuer that wait for a place among the challenges in progress (--max-concurrent-challenges).
# TYPE everleaf_challenges_waiting gauge
everleaf_challenges_waiting{issuer_kind="ClusterIssuer",issuer_name="acme",issuer_namespace=""} 3
everleaf_challenges_waiting{issuer_kind="Issuer",issuer_name="acme",issuer_namespace="shop"} 0
# HELP everleaf_dns01_records_left_behind Number of DNS-01 TXT records of Challenges that are gone, which are still tried to be removed.
# TYPE everleaf_dns01_records_left_behind gauge
everleaf_dns01_records_left_behind 2
# HELP everleaf_oldest_waiting_challenge_seconds How long the Challenge of an issuer that has waited longest for a place has waited, 0 if none waits.
# TYPE everleaf_oldest_waiting_challenge_seconds gauge
everleaf_oldest_waiting_challenge_seconds{issuer_kind="ClusterIssuer",issuer_name="acme",issuer_namespace=""} 90
everleaf_oldest_waiting_challenge_seconds{issuer_kind="Issuer",issuer_name="acme",issuer_namespace="shop"} 0
`), "everleaf_challenges_waiting", "everleaf_oldest_waiting_challenge_seconds", "everleaf_dns01_records_left_behind"); err != nil {
		t.Error(err)
	}
}
