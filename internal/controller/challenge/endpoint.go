package challenge

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

var (
	_ controller.Remote[acmev1.ChallengeStatus] = (*work)(nil)
	_ controller.Unanswered                     = (*work)(nil)
)

// Endpoint implements controller.Remote.
func (w *work) Endpoint(action plan.Action) (string, time.Duration) {
	spec := &w.State.Object.Spec
	switch action.(type) {
	case core.Accept, core.FetchAuthorization:
		if w.Account != nil {
			return controller.ACMEServer(w.Account.Issuer.Server), askTimeout
		}
	case core.Present, core.CleanUp:
		if placed, ok := w.c.Solvers[spec.Type].(solver.Placed); ok {
			return placed.Server(&spec.Solver), askTimeout
		}
	case core.Probe:
		if spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
			return "the web servers of " + site(spec.DNSName), askTimeout
		}
		return "the name servers of " + w.zone(), askTimeout
	}
	return "", 0
}

// zone returns the zone that a probe asks first. As long as it is not known, or if a
// CNAME record leads to the zone that is known, names of one registered domain count
// as one zone.
func (w *work) zone() string {
	dnsName := w.State.Object.Spec.DNSName
	if located, ok := w.memory.session.(solver.Located); ok {
		zone, name := strings.ToLower(strings.TrimSuffix(located.Zone(), ".")), strings.ToLower(dnsName)
		if zone != "" && (name == zone || strings.HasSuffix(name, "."+zone)) {
			return zone
		}
	}
	return registered(dnsName)
}

// Unanswered implements controller.Unanswered.
func (w *work) Unanswered(action plan.Action) bool {
	_, probed := action.(core.Probe)
	return probed && w.Memory.Evidence != nil && w.Memory.Evidence.Verdict(w.c.Clock.Now()).Unanswered
}

// registered returns the last two labels of a name. Names below them often have
// the same name servers.
func registered(name string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// site returns the domain of a name that has one owner: one label below a public suffix.
// Names below it often have the same web servers, and whoever has one can make up others,
// which are not to have places of their own.
func site(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return domain
	}
	return name
}

// Waiting implements controller.Remote.
func (*work) Waiting(status acmev1.ChallengeStatus, cause string, _ time.Time) acmev1.ChallengeStatus {
	status.Reason = cmp.Or(status.Reason, cause)
	return status
}
