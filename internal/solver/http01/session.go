package http01

import (
	"context"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
)

// session solves one http-01 challenge.
type session struct {
	*Solver
	challenge solver.Challenge

	// attempted reports whether objects may exist.
	attempted bool
	// noneSince is since when no pod of the responder is ready, zero if one is.
	noneSince time.Time
	// decision is how the Challenge is answered.
	decision decision
	// forbidden reports whether EndpointSlices may not be written, hasPod whether a pod
	// answers already.
	forbidden, hasPod bool
	// pathType is another one than the Solver's if an admission controller wants that.
	pathType networkingv1.PathType
	// made are the objects that exist, by kind and name.
	made map[string]client.Object
	// checked is when the first check was made.
	checked time.Time
	// foundAt is when a check first found the challenge, zero if the last one has not found
	// it.
	foundAt time.Time
	// repairs counts how often the objects were looked at after a check had failed, the
	// next time is not before repairAt.
	repairs  int
	repairAt time.Time
	// seen is what the cluster showed last of why the challenge is not found.
	seen selfcheck.Circumstances
}

var (
	_ solver.Session   = (*session)(nil)
	_ solver.Describer = (*session)(nil)
	_ solver.Witness   = (*session)(nil)
)

// repairBackoff is the wait between two looks at the objects of a challenge that is not
// found: others may undo what a look has repaired.
var repairBackoff = plan.Backoff{Min: time.Second, Max: time.Minute}

// Present implements solver.Session.
func (s *session) Present(ctx context.Context) error {
	route, err := s.route()
	if err != nil {
		return err
	}
	if s.challenge.Resumed && !s.attempted {
		if err := s.takeOver(ctx); err != nil {
			return err
		}
	}
	if s.decision.Mode != inPod {
		if s.decision, err = s.decide(); err != nil {
			return err
		}
	}
	s.attempted = true
	if err := s.answer(ctx); err != nil {
		return err
	}
	return route(ctx)
}

// route returns what leads requests to the Service. It asks nobody: a solver that cannot
// work makes no objects.
func (s *session) route() (func(context.Context) error, error) {
	http01 := s.challenge.Solver.HTTP01
	failed := func(why string) error {
		return fault.New(fault.User, "InvalidSolver", "couldn't Present challenge %s/%s: %s", s.challenge.Namespace, s.challenge.Name, why)
	}
	switch {
	case http01 == nil || http01.Ingress == nil && http01.GatewayHTTPRoute == nil:
		return nil, failed("no Ingress nor Gateway HTTP01 solvers were specified")
	case http01.GatewayHTTPRoute != nil && http01.Ingress == nil:
		if why := s.GatewayAPI(); why != "" {
			return nil, failed(why)
		}
		return s.ensureRoute, nil
	case http01.Ingress.Name != "":
		return s.editIngress, nil
	default:
		_, err := ingress(s.challenge, s.exact(), s.ExtraLabels)
		return s.ensureIngress, err
	}
}

// exact is the type of the challenge's path.
func (s *session) exact() networkingv1.PathType {
	if s.pathType != "" {
		return s.pathType
	}
	return s.PathType
}

// decide chooses how the Challenge is answered, or fails while that is not possible.
func (s *session) decide() (decision, error) {
	ready, configured := s.backends()
	now := s.Clock.Now()
	switch {
	case len(ready.Addresses) > 0:
		s.noneSince = time.Time{}
	case s.noneSince.IsZero():
		s.noneSince = now
	}
	obstacle := ""
	if configured {
		obstacle = s.Responder.Obstacle()
	}
	d := choice{
		Mode: s.Mode, Obstacle: obstacle, Template: podTemplateOf(s.challenge) != nil, Configured: configured, Ready: len(ready.Addresses) > 0,
		Absent: !s.noneSince.IsZero() && now.Sub(s.noneSince) >= patience, Forbidden: s.forbidden, HasPod: s.hasPod,
	}.decide()
	if d.Problem != "" {
		return decision{}, fault.New(fault.Transient, "NoResponder", "nobody can answer the challenge of %q: %s", s.challenge.DNSName, d.Problem)
	}
	return d, nil
}

// Check implements solver.Session.
func (s *session) Check(ctx context.Context) (propagation.Evidence, error) {
	now := s.Clock.Now()
	if s.challenge.Solver.WaitInsteadOfSelfCheck != nil {
		return unchecked{since: now}, nil
	}
	if !s.attempted {
		// An earlier process has presented it.
		if err := s.Present(ctx); err != nil {
			return nil, err
		}
	}
	if s.checked.IsZero() {
		s.checked, s.repairAt = now, now.Add(repairBackoff.Min)
	}
	report := s.Checker.Check(ctx, selfcheck.Target{
		DNSName: s.challenge.DNSName, Token: s.challenge.Token, Key: s.challenge.Key, Since: s.checked, Asks: s.asks(),
	})
	if report.Ready() {
		return s.found(report), nil
	}
	s.foundAt = time.Time{}
	if now = s.Clock.Now(); !s.repairAt.After(now) {
		s.repairAt = now.Add(repairBackoff.Delay(s.repairs))
		s.repairs++
		if err := s.Present(ctx); err != nil {
			return nil, err
		}
		s.seen = s.look(ctx)
	}
	return selfcheck.View{Report: report, Circumstances: s.seen}, nil
}

// While a data plane loads a route, processes and replicas with and without it may answer
// in turn, and a CA that asks one without it fails the authorization. A challenge has to be
// found again after steadyAfter, by each of steadyAsks requests.
const (
	steadyAfter = 500 * time.Millisecond
	steadyAsks  = 3
)

// asks is how many requests the next check sends to each address.
func (s *session) asks() int {
	if s.foundAt.IsZero() {
		return 1
	}
	return steadyAsks
}

// found is the Evidence of a challenge that a check has found.
func (s *session) found(report selfcheck.Report) propagation.Evidence {
	now := s.Clock.Now()
	if s.foundAt.IsZero() {
		s.foundAt = now
	}
	if steady := s.foundAt.Add(steadyAfter); now.Before(steady) {
		return settling{until: steady}
	}
	return report
}

// settling is the Evidence of a challenge that is found, and has to be found once more.
type settling struct{ until time.Time }

// Verdict implements propagation.Evidence.
func (s settling) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{State: propagation.Wait, Until: s.until}
}

// unchecked is the Evidence of a challenge that is not checked, because its solver says so.
type unchecked struct{ since time.Time }

// Verdict implements propagation.Evidence.
func (u unchecked) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{State: propagation.Accept, VisibleSince: u.since}
}

// View implements solver.Witness.
func (s *session) View(ctx context.Context) solver.View {
	report := s.Checker.Check(ctx, selfcheck.Target{DNSName: s.challenge.DNSName, Token: s.challenge.Token, Key: s.challenge.Key})
	view := selfcheck.View{Report: report}
	if http01 := s.challenge.Solver.HTTP01; http01 != nil && (http01.Ingress != nil || http01.GatewayHTTPRoute != nil) {
		view.Circumstances = s.look(ctx)
	}
	return solver.View{HTTP: &view}
}

// Presented implements solver.Session.
func (s *session) Presented() bool { return s.attempted }

// Describe implements solver.Describer.
func (s *session) Describe() (how string, unusual bool) {
	if s.decision.Why == "" {
		return string(s.decision.Mode), false
	}
	return fmt.Sprintf("%s, because %s", s.decision.Mode, s.decision.Why), s.Mode == Auto
}

// String implements solver.Session.
func (s *session) String() string { return "http://" + s.challenge.DNSName + path(s.challenge) }
