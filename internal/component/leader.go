package component

import (
	"time"

	"github.com/spf13/pflag"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// LeaderElection says whether and how one of several processes is chosen.
type LeaderElection struct {
	Enabled                                   bool
	Namespace                                 string
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// DefaultLeaderElection has cert-manager's values.
func DefaultLeaderElection() LeaderElection {
	return LeaderElection{
		Enabled: true, Namespace: "kube-system",
		LeaseDuration: 60 * time.Second, RenewDeadline: 40 * time.Second, RetryPeriod: 15 * time.Second,
	}
}

const (
	// cancelTime is how long steps that are canceled may take to return. They are
	// canceled by as much before another process may take the lease, if there is time.
	cancelTime = time.Second

	flagLease, flagRenew, flagRetry = "leader-election-lease-duration", "leader-election-renew-deadline", "leader-election-retry-period"
)

// MaxDrainTime is how long a step that has begun may go on at most after its process
// has received a signal to stop, or has lost its lease. Where another process may have
// the lease earlier, steps end earlier.
const MaxDrainTime = 10 * time.Second

// AddFlags adds the flags, with l's values as defaults.
func (l *LeaderElection) AddFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&l.Enabled, "leader-elect", l.Enabled, "let one of several processes work at a time")
	fs.StringVar(&l.Namespace, "leader-election-namespace", l.Namespace, "namespace of the lease")
	fs.DurationVar(&l.LeaseDuration, flagLease, l.LeaseDuration, "how long a leader that is silent is waited for")
	fs.DurationVar(&l.RenewDeadline, flagRenew, l.RenewDeadline, "how long a leader tries to renew its lease before it stops")
	fs.DurationVar(&l.RetryPeriod, flagRetry, l.RetryPeriod, "time between two attempts at the lease")
}

// Check complains about values that do not fit together.
func (l *LeaderElection) Check(bad Complaint) {
	CheckNamespace("leader-election-namespace", l.Namespace, !l.Enabled, bad)
	if !l.Enabled {
		return
	}
	ok := true
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{flagLease, l.LeaseDuration}, {flagRenew, l.RenewDeadline}, {flagRetry, l.RetryPeriod}} {
		if d.value <= 0 {
			bad(d.flag, "must be greater than 0, not %s", d.value)
			ok = false
		}
	}
	switch {
	case !ok:
	case l.RenewDeadline <= l.RetryPeriod*6/5:
		// client-go's leader election waits up to a fifth longer.
		bad(flagRenew, "is %s, and must be greater than 1.2 times --%s, which is %s", l.RenewDeadline, flagRetry, l.RetryPeriod)
	case l.LeaseDuration <= l.RenewDeadline:
		bad(flagLease, "is %s, and must be greater than --%s, which is %s", l.LeaseDuration, flagRenew, l.RenewDeadline)
	}
}

// Elect has a manager run only while it has the lease of a name. The lease is
// released when the manager has stopped. A lease that is too short to end steps in
// order is reported in the manager's log.
func (l *LeaderElection) Elect(options *manager.Options, name string) {
	options.LeaderElection = l.Enabled
	options.LeaderElectionID = name
	options.LeaderElectionNamespace = l.Namespace
	options.LeaderElectionReleaseOnCancel = true
	options.LeaderElectionLabels = map[string]string{"app.kubernetes.io/managed-by": "cert-manager"}
	options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = &l.LeaseDuration, &l.RenewDeadline, &l.RetryPeriod
	options.GracefulShutdownTimeout = ptr.To(l.graceTime())
	if l.Enabled && l.DrainTime() < cancelTime {
		options.Logger.Info("Warning: steps in progress are cut off when this process loses its lease, because the next leader may begin soon after: set --"+flagLease+" to 11s or more above --"+flagRenew,
			"leaseDuration", l.LeaseDuration.String(), "renewDeadline", l.RenewDeadline.String(), "drainTime", l.DrainTime().String())
	}
}

// margin is the time that a process has after it lost its lease and before another
// process may have it.
func (l *LeaderElection) margin() time.Duration { return l.LeaseDuration - l.RenewDeadline }

// DrainTime is how long steps that have begun may go on when the process stops:
// the next leader must not work beside them.
func (l *LeaderElection) DrainTime() time.Duration {
	if !l.Enabled {
		return MaxDrainTime
	}
	return min(MaxDrainTime, max(0, l.margin()-cancelTime))
}

// graceTime is how long the workers are waited for when the process stops: until
// their steps have been canceled and have returned, which takes a busy machine more
// than cancelTime, but not until another process may have the lease.
func (l *LeaderElection) graceTime() time.Duration {
	const busy = 5 * time.Second
	if !l.Enabled {
		return l.DrainTime() + busy
	}
	return min(l.DrainTime()+busy, l.margin())
}
