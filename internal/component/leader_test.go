package component

import (
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// TestDrainEndsWithTheLease holds that the steps of a process which has lost its
// lease have ended before another process may take it.
func TestDrainEndsWithTheLease(t *testing.T) {
	for name, test := range map[string]struct {
		election LeaderElection
		want     time.Duration
	}{
		"defaults":     {DefaultLeaderElection(), MaxDrainTime},
		"client-go's":  {LeaderElection{Enabled: true, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second}, 4 * time.Second},
		"shortest":     {LeaderElection{Enabled: true, LeaseDuration: 12 * time.Second, RenewDeadline: 10 * time.Second}, time.Second},
		"drained less": {LeaderElection{Enabled: true, LeaseDuration: 11500 * time.Millisecond, RenewDeadline: 10 * time.Second}, 500 * time.Millisecond},
		"not drained":  {LeaderElection{Enabled: true, LeaseDuration: 10500 * time.Millisecond, RenewDeadline: 10 * time.Second}, 0},
		"none":         {LeaderElection{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second}, MaxDrainTime},
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
		"least margin": {LeaderElection{Enabled: true, LeaseDuration: 10500 * time.Millisecond, RenewDeadline: 10 * time.Second}, 500 * time.Millisecond},
	} {
		if got := test.election.graceTime(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestShortLeaseIsReported holds that a lease that leaves no time to drain is said in the
// log, once.
func TestShortLeaseIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		election LeaderElection
		want     []string
	}{
		"defaults":     {DefaultLeaderElection(), nil},
		"not elected":  {LeaderElection{LeaseDuration: 41 * time.Second, RenewDeadline: 40 * time.Second}, nil},
		"short margin": {LeaderElection{Enabled: true, LeaseDuration: 42 * time.Second, RenewDeadline: 40 * time.Second}, nil},
		"least margin": {LeaderElection{Enabled: true, LeaseDuration: 41 * time.Second, RenewDeadline: 40 * time.Second}, []string{
			`"level"=0 "msg"="Warning: steps in progress are cut off when this process loses its lease, because the next leader may begin soon after: set --leader-election-lease-duration to 11s or more above --leader-election-renew-deadline" "leaseDuration"="41s" "renewDeadline"="40s" "drainTime"="0s"`,
		}},
	} {
		var lines []string
		options := manager.Options{Logger: funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})}
		test.election.Elect(&options, "lease")
		if diff := cmp.Diff(test.want, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
