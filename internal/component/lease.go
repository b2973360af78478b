package component

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	// tellEvery is the time between two reports that a lease may not be used.
	tellEvery = time.Minute
	// leaseCheck is how often Watch looks at a lease.
	leaseCheck = 10 * time.Second
)

// Lease observes what the API server answers about the lease of leader election.
type Lease struct {
	election LeaderElection
	name     string
	clock    clock.WithTicker
	log      logr.Logger

	mu sync.Mutex
	// refused is since when something is not allowed, zero if nothing is. renewed is the
	// last time that this process took or renewed the lease, and told that of the last
	// report.
	refused, renewed, told time.Time
	// refusedVerb is what was not allowed last, such as get.
	refusedVerb string
}

// Observe makes a Lease of the election that Elect has set up with options, and has
// the manager observe its lease. config is that of the manager.
func (l *LeaderElection) Observe(options *manager.Options, config *rest.Config, c clock.WithTicker) *Lease {
	lease := &Lease{election: *l, name: options.LeaderElectionID, clock: c, log: options.Logger}
	if !l.Enabled {
		return lease
	}
	options.LeaderElectionConfig = rest.CopyConfig(config)
	options.LeaderElectionConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return observed{lease, next} })
	if sink := options.Logger.GetSink(); sink != nil {
		options.Logger = options.Logger.WithSink(&quietAboutLeases{sink})
	}
	return lease
}

// observed is the connection that leader election uses.
type observed struct {
	*Lease
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o observed) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(r)
	if err == nil && strings.Contains(r.URL.Path, "/"+leases) {
		o.answered(r.Method, answer.StatusCode)
	}
	return answer, err
}

// WrappedRoundTripper is how client-go finds the RoundTripper inside.
func (o observed) WrappedRoundTripper() http.RoundTripper { return o.next }

const leases = "leases"

// leaseVerbs are the verbs of RBAC by the methods that leader election uses.
var leaseVerbs = map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update"}

// answered notes an answer, and reports at most once a minute that something is not
// allowed.
func (l *Lease) answered(method string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, write := l.clock.Now(), method != http.MethodGet
	if status < http.StatusMultipleChoices {
		if write {
			l.renewed = now
		}
		// Who may read a lease may still not be allowed to take it.
		if write || l.refusedVerb == leaseVerbs[method] {
			l.refused = time.Time{}
		}
		return
	}
	if status != http.StatusForbidden {
		return
	}
	if l.refused.IsZero() {
		l.refused = now
	}
	l.refusedVerb = leaseVerbs[method]
	if !l.told.IsZero() && now.Sub(l.told) < tellEvery {
		return
	}
	l.told = now
	l.log.Error(nil, "Leader election: "+l.refusal()+": this process does nothing until it has the lease. "+
		"Set global.leaderElection.namespace of the chart (--leader-election-namespace) to the namespace that has the Role for the lease, or create the Role; next try in "+l.election.RetryPeriod.String())
}

// refusal says what is not allowed.
func (l *Lease) refusal() string {
	return fmt.Sprintf("RBAC does not allow to %s %s.coordination.k8s.io %q in namespace %s", l.refusedVerb, leases, l.name, l.election.Namespace)
}

// Check returns an error if the process should be started anew: for longer than the
// duration of a lease and tolerance, it has been the leader without renewing the lease,
// or has not been allowed to use it.
func (l *Lease) Check(tolerance time.Duration) error {
	if !l.election.Enabled {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now, most := l.clock.Now(), l.election.LeaseDuration+tolerance
	switch {
	case !l.refused.IsZero() && now.Sub(l.refused) > most:
		return fmt.Errorf("leader election has failed for %s: %s", now.Sub(l.refused).Round(time.Second), l.refusal())
	case !l.renewed.IsZero() && now.Sub(l.renewed) > most:
		return fmt.Errorf("the leader has not renewed its lease %s/%s for %s", l.election.Namespace, l.name, now.Sub(l.renewed).Round(time.Second))
	default:
		return nil
	}
}

// Watch returns an error as soon as Check does, for programs that nothing probes.
func (l *Lease) Watch(ctx context.Context, tolerance time.Duration) error {
	ticker := l.clock.NewTicker(leaseCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			if err := l.Check(tolerance); err != nil {
				return err
			}
		}
	}
}

// quietAboutLeases drops the errors that a Lease reports, which client-go logs at
// each try.
type quietAboutLeases struct{ logr.LogSink }

// Error implements logr.LogSink.
func (q *quietAboutLeases) Error(err error, msg string, keysAndValues ...any) {
	var status apierrors.APIStatus
	if apierrors.IsForbidden(err) && errors.As(err, &status) {
		if details := status.Status().Details; details != nil && details.Kind == leases {
			return
		}
	}
	sink := q.LogSink
	if deep, ok := sink.(logr.CallDepthLogSink); ok {
		sink = deep.WithCallDepth(1)
	}
	sink.Error(err, msg, keysAndValues...)
}

// WithValues implements logr.LogSink.
func (q *quietAboutLeases) WithValues(keysAndValues ...any) logr.LogSink {
	return &quietAboutLeases{q.LogSink.WithValues(keysAndValues...)}
}

// WithName implements logr.LogSink.
func (q *quietAboutLeases) WithName(name string) logr.LogSink {
	return &quietAboutLeases{q.LogSink.WithName(name)}
}

// WithCallDepth implements logr.CallDepthLogSink.
func (q *quietAboutLeases) WithCallDepth(depth int) logr.LogSink {
	if deep, ok := q.LogSink.(logr.CallDepthLogSink); ok {
		return &quietAboutLeases{deep.WithCallDepth(depth)}
	}
	return q
}
