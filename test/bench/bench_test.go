package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, tc := range []struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
	} {
		if got := percentile(tc.values, tc.p); got != tc.want {
			t.Errorf("percentile %d of %d values = %d, want %d", tc.p, len(tc.values), got, tc.want)
		}
	}
}

const auditLog = `
{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"events"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"events"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:01.000000Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"certificates","subresource":"status"},"responseStatus":{"code":409},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":404},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"selfsubjectaccessreviews"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"watch","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"everleaf-admin"},"objectRef":{"resource":"certificates"},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z"}
{"stage":"ResponseComplete","verb":"crea`

func TestCount(t *testing.T) {
	p := &plane{audit: filepath.Join(t.TempDir(), "audit.log")}
	if err := os.WriteFile(p.audit, []byte(auditLog), 0o600); err != nil {
		t.Fatal(err)
	}
	writes, reads, err := p.count(time.Date(2026, 1, 1, 0, 0, 0, 500, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(calls{"create events": 1, "update certificates/status (409)": 1}, writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(calls{"get secrets": 1}, reads); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

const crowdedLog = `
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stageTimestamp":"2026-01-01T00:00:09.000000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"requestReceivedTimestamp":"2026-01-01T00:00:01.000000Z","stageTimestamp":"2026-01-01T00:00:03.000000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z","stageTimestamp":"2026-01-01T00:00:06.000000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:cert-manager:cert-manager"},"objectRef":{"resource":"secrets"},"requestReceivedTimestamp":"2026-01-01T00:00:03.000000Z","stageTimestamp":"2026-01-01T00:00:04.000000Z"}
`

// TestCrowd: a call that ends when another begins is not there at the same time, and calls
// before the measurement do not count.
func TestCrowd(t *testing.T) {
	p := &plane{audit: filepath.Join(t.TempDir(), "audit.log")}
	if err := os.WriteFile(p.audit, []byte(crowdedLog), 0o600); err != nil {
		t.Fatal(err)
	}
	most, slowest, err := p.crowd(time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC))
	if most != 2 || slowest != 4*time.Second || err != nil {
		t.Errorf("%d calls at once, %s, %v", most, slowest, err)
	}
}

func TestTargets(t *testing.T) {
	verdicts := map[string]bool{}
	for _, target := range targets([]*result{
		{name: nameCA, n: 1000, total: 11 * time.Second, writes: calls{"x": 5004}, cpu: usage{"controllers": 4600 * time.Millisecond}},
		{name: nameFloor, n: 1000, total: 9 * time.Second},
		{
			name: nameMany, n: 10_000, total: 130 * time.Second, writes: calls{"x": 51_000}, cpu: usage{"controllers": 44 * time.Second},
			memory: 151 << 20, restart: 9 * time.Second, restartWrites: calls{"x": 1},
		},
		{name: nameRecursive, n: 50, total: 4 * time.Second, single: 700 * time.Millisecond, writes: calls{"x": 1101}},
		{name: nameAuthoritative, skipped: "needs root"},
		{name: nameLagging, n: 100, total: 16 * time.Second, mostProbes: 9},
		{name: nameHeld, n: 10_000, memory: 150 << 20, anonymous: 80 << 20, restart: 11 * time.Second},
		{name: "present-100", n: 200, cpu: usage{"controllers": 800 * time.Millisecond}, writes: calls{"x": 1000}, p50: time.Second},
		{name: "present-10000", n: 200, cpu: usage{"controllers": 890 * time.Millisecond}, writes: calls{"x": 1000}, p50: 1090 * time.Millisecond},
		{
			name: "issuer-change-spec", n: 15_000, cpu: usage{"controllers": 501 * time.Millisecond},
			writes: calls{"update clusterissuers/status": 1, "update certificates/status": 1}, reads: calls{"get secrets": 1},
		},
		{
			name: nameWave, n: 2000, total: 20 * time.Second, cpu: usage{"controllers": 8 * time.Second}, crowd: 61,
			writes: calls{"x": 11_999, "create events (429)": 1},
		},
		{name: nameWaveFloor, n: 500, total: 4 * time.Second},
		{name: nameHTTP01, n: 100, total: 15 * time.Second, single: 4 * time.Second, writes: calls{"x": 2601}, objects: 301, pods: 1},
		{name: nameVault, n: 500, total: 6 * time.Second, writes: calls{"x": 3501}, asked: 525},
		{name: nameVaultFloor, n: 500, total: 5 * time.Second},
	}) {
		verdicts[target.title] = target.ok
	}
	want := map[string]bool{
		"ca, API writes each":                true,
		"ca, CPU controllers per 1,000":      false,
		"ca, of the floor":                   false,
		"ca-many, API writes each":           false,
		"ca-many, CPU controllers per 1,000": true,
		"ca-many, of the rate of ca":         false,
		"ca-many, peak memory":               false,
		"ca-many, idle after a restart":      true,
		"ca-many, writes after a restart":    false,
		"acme-recursive, 100 certificates":   false,
		"acme-recursive, API writes each":    false,
		"acme-recursive, one alone":          true,
		"acme-lagging, 200 certificates":     false,

		"acme-lagging, probes of a challenge and server": true,

		"held, peak memory":            true,
		"held, idle after a restart":   false,
		"held, writes after a restart": true,

		"present-100, API writes each":             true,
		"present-100, CPU controllers per 1,000":   true,
		"present-10000, API writes each":           true,
		"present-10000, CPU controllers per 1,000": true,

		"present-10000, CPU controllers each": false,
		"present-10000, API calls each":       true,
		"present-10000, p50 until Ready":      true,

		"issuer-change-spec, API calls":                                true,
		"issuer-change-spec, writes on and reconciles of Certificates": false,
		"issuer-change-spec, CPU controllers":                          false,

		"wave, API writes each":           true,
		"wave, CPU controllers per 1,000": true,
		"wave, calls at once":             false,
		"wave, calls refused for load":    false,
		"wave, of its floor":              true,

		"vault, API writes each":        true,
		"vault, requests to Vault each": true,
		"vault, of its floor":           true,

		"http01, 200 certificates":       true,
		"http01, API writes each":        false,
		"http01, objects of a challenge": false,
		"http01, pods":                   false,
		"http01, one alone":              false,
	}
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestOwnProcess(t *testing.T) {
	used, err := cpuTime(os.Getpid())
	if err != nil || used < 0 {
		t.Errorf("CPU time %v, %v", used, err)
	}
	m, err := memoryOf(os.Getpid())
	if err != nil || m.anonymous < 1<<20 || m.peak < m.anonymous {
		t.Errorf("memory %+v, %v", m, err)
	}
}
