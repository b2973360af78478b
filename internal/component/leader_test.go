package component

import (
	"testing"
	"time"
)

// TestDrainEndsWithTheLease holds that the steps of a process which has lost its
// lease have ended before another process may take it.
func TestDrainEndsWithTheLease(t *testing.T) {
	for name, test := range map[string]struct {
		election LeaderElection
		want     time.Duration
	}{
		"defaults":    {DefaultLeaderElection(), MaxDrainTime},
		"client-go's": {LeaderElection{Enabled: true, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second}, 4 * time.Second},
		"shortest":    {LeaderElection{Enabled: true, LeaseDuration: 12 * time.Second, RenewDeadline: 10 * time.Second}, time.Second},
		"none":        {LeaderElection{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second}, MaxDrainTime},
	} {
		if got := test.election.DrainTime(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestGraceEndsWithTheLease(t *testing.T) {
	for name, test := range map[string]struct {
		election LeaderElection
		want     time.Duration
	}{
		"defaults":     {DefaultLeaderElection(), MaxDrainTime + 5*time.Second},
		"none":         {LeaderElection{}, MaxDrainTime + 5*time.Second},
		"short margin": {LeaderElection{Enabled: true, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second}, 5 * time.Second},
	} {
		if got := test.election.graceTime(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
