package certificate

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// nextTry begins the end of a failure's message: the time of the next attempt.
const nextTry = "; next try at "

// noNextTry is said of an issuance that only a user has asked for: nothing asks for
// it again.
const noNextTry = "there is no next try until somebody asks for one or the renewal is due: the present certificate is as the spec wants it"

// ending is the end of an issuance without a certificate.
type ending struct {
	kind            failureKind
	reason, message string
	component       string
	// request is the one that has failed, nil if none was made.
	request *facts.Request
}

// failed records a failed issuance; it is retried after the back-off.
func (c State) failed(p Plan, e ending, now time.Time) Plan {
	began := now
	if e.request != nil {
		began = e.request.CreatedAt
	}
	attempts := c.attempts(began, now)
	failures := attempts
	if e.request != nil {
		failures = e.request.FailedAttempts + 1
	}
	// The status has whole seconds.
	next := now.Add(c.wait(e.kind, failures, attempts, now)).Truncate(time.Second)
	reason, message, component := e.reason, e.message, e.component
	message = "The certificate request has failed to complete and will be retried: " + message
	if e.request != nil {
		// A repair at the issuer's server changes no object.
		message += fmt.Sprintf("; to try at once after a repair: everleaf renew %s -n %s", c.Object.Name, c.Object.Namespace)
	}
	if c.needsIssuing(now) == nil {
		message += "; " + noNextTry
	} else {
		message += nextTry + next.UTC().Format(time.RFC3339)
	}
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts = &metav1.Time{Time: now}, &attempts
	p.Status.NextPrivateKeySecretName = nil
	c.set(&p, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, reason, message, now)
	p.Events = append(p.Events, plan.Event{Warning: true, Reason: reason, Message: message, Component: component})
	p.Do, p.Confirm, p.Persist = nil, nil, plan.AtEnd
	p.Until = next
	return p
}

// unrequestable records an issuance whose spec no signing request can express.
func (c State) unrequestable(p Plan, why string, now time.Time) Plan {
	return c.failed(p, ending{kind: userFailure, reason: cmv1.EventReasonRequestFailed, message: "Failed to generate CSR: " + why, component: ManagerRequests}, now)
}

func fieldList(fields []string) string { return "[" + strings.Join(fields, " ") + "]" }

// Failed decides what the failure of an action means. A permanent one ends the
// issuance. All else is tried again soon; of what lasts, the status says what
// fails and why.
func (c State) Failed(f plan.Failure, now time.Time) Plan {
	c.compare()
	p := Plan{Status: *c.Object.Status.DeepCopy()}
	if failure := fault.Of(f.Err); failure.Class == fault.Permanent {
		p = c.failed(p, ending{kind: userFailure, reason: failure.Reason, message: failure.Message, component: ManagerRequests}, now)
		p.Until = time.Time{}
		return p
	}
	p.Until = plan.Retry(f.Err, f.Attempts, plan.APIServer, now)
	cause := plan.Obstacle(f, func(r plan.Refusal) string { return adviceOn(f.Action, r) })
	if cause == "" {
		return p
	}
	why := c.undone(f.Action) + ": " + cause
	// What was decided before the action counts, whether the action succeeds or not.
	if decided := c.Next(now); decided.Do != nil {
		p.Status = decided.Status
		if issuing(p.Status) {
			c.waitFor(&p, why, now)
		}
	}
	if memory := c.Memory.Key; memory != nil && memory.CreatedAt.Add(keyInMemory).After(now) {
		// It is stored in time, whatever the wait is.
		p.Until = plan.Earliest(p.Until, memory.CreatedAt.Add(keyInMemory))
	}
	event := plan.Event{Warning: true, Reason: eventWriteFailed, Message: why, Component: ManagerIssuing}
	if reason := fault.Of(f.Err).Reason; reason == EventKeystorePassword {
		event.Reason = reason
	}
	if _, ok := f.Action.(CreateRequest); ok {
		event.Reason, event.Component = cmv1.EventReasonRequestFailed, ManagerRequests
		event.Message = "Failed to create CertificateRequest: " + cause
	}
	p.Events = []plan.Event{event}
	return p
}

// adviceOn is what ends a refusal of an action.
func adviceOn(action plan.Action, r plan.Refusal) string {
	_, request := action.(CreateRequest)
	switch {
	case request, r.Kind == plan.RefusedQuota, r.Kind == plan.RefusedPermission, r.Kind == plan.RefusedPolicy:
		return r.Advice()
	case r.Kind == plan.RefusedImmutable:
		return "delete the Secret, or use another spec.secretName"
	case strings.HasPrefix(r.Cause, "metadata.labels"), strings.HasPrefix(r.Cause, "metadata.annotations"):
		return "correct spec.secretTemplate"
	default:
		return r.Advice()
	}
}

// undone names the object of an action, and what cannot be done to it.
func (c State) undone(action plan.Action) string {
	namespace := c.Object.Namespace
	switch a := action.(type) {
	case StoreKey:
		if name := ptr.Deref(c.Object.Status.NextPrivateKeySecretName, ""); name != "" {
			return fmt.Sprintf(`Secret "%s/%s" with the next private key cannot be created`, namespace, name)
		}
		return "the Secret with the next private key cannot be created"
	case DeleteKeys:
		return fmt.Sprintf(`Secret "%s/%s" with a next private key cannot be deleted`, namespace, a.Keys[0].Name)
	case CreateRequest:
		return fmt.Sprintf(`CertificateRequest "%s/%s" cannot be created`, namespace, RequestName(c.Object.Name, a.Revision))
	case DeleteRevisions:
		return fmt.Sprintf(`CertificateRequest "%s/%s" cannot be deleted`, namespace, a.Requests[0].Name)
	case DeleteRequests:
		return fmt.Sprintf(`CertificateRequest "%s/%s" cannot be deleted`, namespace, a.Requests[0].Name)
	case StoreSecret, StoreTemporary, RepairSecret:
		return fmt.Sprintf(`Secret "%s/%s" cannot be written`, namespace, c.Object.Spec.SecretName)
	case ReuseKey:
		return fmt.Sprintf(`the private key in Secret "%s/%s" cannot be read`, namespace, c.Object.Spec.SecretName)
	default:
		return "everleaf cannot " + action.String()
	}
}
