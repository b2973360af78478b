// Package issuer decides whether an Issuer or a ClusterIssuer is ready.
package issuer

import (
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// ManagerOf is the field manager of an issuer's status, and the source of its
// events.
func ManagerOf(clusterIssuer bool) string {
	if clusterIssuer {
		return "cert-manager-clusterissuers"
	}
	return "cert-manager-issuers"
}

// notInitialized begins the message of an issuer that could not be checked.
const notInitialized = "Error initializing issuer: "

// Plan is what an issuer needs next.
type Plan = plan.Plan[cmv1.IssuerStatus]

// State is everything that decides what an issuer needs next.
type State struct {
	// Object is the Issuer or ClusterIssuer; it is not to be changed.
	Object cmv1.GenericIssuer
	// Checked is the reason and message of an issuer that can sign, nil before the
	// check and after one that failed.
	Checked *Checked
	// Account is what the last check has left of an ACME account, or the status's
	// before that.
	Account *acmev1.ACMEIssuerStatus
	// Unserved reports that this version does not have issuers of its type.
	Unserved bool
	// Announced reports that an event of this process has said so.
	Announced bool
}

// Checked is what the Ready condition of an issuer that can sign says, and until
// when; zero is for ever. Event, if it is not empty, is the message of an event with the
// reason Ready that is sent instead of one with the condition's reason and message.
type Checked struct {
	Reason, Message string
	Event           string
	Until           time.Time
}

// CheckIssuer asks the issuer's type whether the issuer can sign.
type CheckIssuer struct{}

// String implements plan.Action.
func (CheckIssuer) String() string { return "check the issuer" }

// Next decides what an issuer needs next.
func (s State) Next(now time.Time) Plan {
	switch {
	case s.Object.GetDeletionTimestamp() != nil:
		return Plan{Status: *s.Object.GetStatus()}
	case s.Checked == nil:
		return Plan{Status: *s.Object.GetStatus(), Do: CheckIssuer{}}
	default:
		p := s.ready(cmmeta.ConditionTrue, s.Checked.Reason, s.Checked.Message, now)
		if len(p.Events) > 0 && s.Checked.Event != "" {
			p.Events = nil
			if !condition.True(s.Object.GetStatus().Conditions, cmv1.IssuerConditionReady) {
				p.Events = []plan.Event{s.event(false, string(cmv1.IssuerConditionReady), s.Checked.Event)}
			}
		}
		p.Until = s.Checked.Until
		return p
	}
}

// Failed decides what the failure of a check means.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	failure := of(f.Err)
	if s.Unserved && s.judged() {
		return s.leave(failure.Reason, failure.Message, now)
	}
	p := s.ready(cmmeta.ConditionFalse, failure.Reason, plan.WithNextTry(failure.Message, failure, plan.Remote, now), now)
	for i := range p.Events {
		p.Events[i].Message = failure.Message
	}
	p.Until = plan.Retry(failure, f.Attempts, plan.Remote, now)
	if failure.Class == fault.Permanent {
		// An issuer is not a request: a user can fix it.
		p.Until = now.Add(fault.UserRetry)
	}
	// The event of the status that says so must not repeat the check at once.
	p.Hold = failure.Class == fault.Later || failure.Class == fault.Transient
	return p
}

// of is what the error of a check means for the issuer, with a reason.
func of(err error) *fault.Error {
	failure := *fault.Of(err)
	if !errors.As(err, new(*fault.Error)) {
		// The text of the API server's errors may change from one time to the next.
		failure = *fault.New(fault.Transient, "", notInitialized+"the API server did not answer as expected").Because(err)
	}
	if failure.Reason == "" {
		failure.Reason = cmv1.EventReasonErrInitIssuer
	}
	return &failure
}

// Cause is the reason and the message of the Ready condition after a check that has failed,
// without when the next try is.
func Cause(err error) (reason, message string) {
	failure := of(err)
	return failure.Reason, failure.Message
}

// judged reports whether the status says of the present spec whether the issuer is
// ready. Conditions without a generation count for every spec.
func (s State) judged() bool {
	c := condition.Find(s.Object.GetStatus().Conditions, cmv1.IssuerConditionReady)
	return c != nil && (c.ObservedGeneration == 0 || c.ObservedGeneration == s.Object.GetGeneration())
}

// leave leaves the status of an issuer as it is: it may be that of cert-manager, which
// goes on with the issuer once it is back. An event says so, once per process.
func (s State) leave(reason, message string, now time.Time) Plan {
	p := Plan{Status: *s.Object.GetStatus(), Until: now.Add(fault.UserRetry)}
	if !s.Announced {
		p.Events = []plan.Event{s.event(true, reason, message)}
	}
	return p
}

// Waiting is the status of an issuer whose check waits. The result of an earlier
// check says more.
func (s State) Waiting(cause string, now time.Time) cmv1.IssuerStatus {
	if condition.Find(s.Object.GetStatus().Conditions, cmv1.IssuerConditionReady) != nil {
		return *s.Object.GetStatus()
	}
	return s.ready(cmmeta.ConditionFalse, cmv1.EventReasonErrInitIssuer, notInitialized+cause, now).Status
}

// IsWaiting reports whether a Ready condition says that the check waits for its turn at a
// server, as Waiting has it.
func IsWaiting(c cmv1.IssuerCondition) bool {
	return c.Reason == cmv1.EventReasonErrInitIssuer && strings.HasPrefix(c.Message, notInitialized+"waiting ")
}

// ready is the plan for a Ready condition. Its event announces a change.
func (s State) ready(status cmmeta.ConditionStatus, reason, message string, now time.Time) Plan {
	p := Plan{Status: *s.Object.GetStatus().DeepCopy()}
	p.Status.Conditions = condition.Set(p.Status.Conditions, cmv1.IssuerCondition{
		Type: cmv1.IssuerConditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: &metav1.Time{Time: now}, ObservedGeneration: s.Object.GetGeneration(),
	})
	p.Status.ACME = nil
	if facts.TypeOf(s.Object.GetSpec()) == facts.IssuerACME {
		p.Status.ACME = s.Account
	}
	if !equality.Semantic.DeepEqual(*s.Object.GetStatus(), p.Status) {
		p.Events = []plan.Event{s.event(status != cmmeta.ConditionTrue, reason, message)}
	}
	return p
}

func (s State) event(warning bool, reason, message string) plan.Event {
	return plan.Event{
		Warning: warning, Verbose: true, Reason: reason, Message: message, Component: ManagerOf(s.Object.GetNamespace() == ""),
	}
}
