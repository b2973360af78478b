package certificate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// failed records a failed issuance; it is retried after the back-off.
func (c State) failed(p Plan, reason, message, component string, now time.Time) Plan {
	attempts := ptr.Deref(p.Status.FailedIssuanceAttempts, 0) + 1
	message = "The certificate request has failed to complete and will be retried: " + message
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts = &metav1.Time{Time: now}, &attempts
	p.Status.NextPrivateKeySecretName = nil
	c.set(&p, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, reason, message, now)
	p.Events = append(p.Events, plan.Event{Warning: true, Reason: reason, Message: message, Component: component})
	p.Do, p.Confirm, p.Persist = nil, nil, plan.AtEnd
	p.Until = now.Add(c.Backoff.Delay(attempts))
	return p
}

// unrequestable records an issuance whose spec no signing request can express.
func (c State) unrequestable(p Plan, why string, now time.Time) Plan {
	return c.failed(p, cmv1.EventReasonRequestFailed, "Failed to generate CSR: "+why, ManagerRequests, now)
}

func fieldList(fields []string) string { return "[" + strings.Join(fields, " ") + "]" }

// Failed decides what the failure of an action means. A spec that no request can
// express ends the issuance; everything else is tried again soon.
func (c State) Failed(f plan.Failure, now time.Time) Plan {
	p := Plan{Status: *c.Object.Status.DeepCopy()}
	if failure := fault.Of(f.Err); failure.Class == fault.Permanent {
		p = c.unrequestable(p, failure.Message, now)
		p.Until = time.Time{}
		return p
	}
	p.Until = plan.Retry(f.Err, f.Attempts, plan.APIServer, now)
	p.Events = rejectedWrite(f)
	return p
}

// rejectedWrite is the event for a write that the API server refuses: for a
// missing permission, a quota, an admission policy. It repeats no more than the
// fields of a write that may carry a key. Other failures have no event.
func rejectedWrite(f plan.Failure) []plan.Event {
	create, isCreate := f.Action.(CreateRequest)
	event := plan.Event{Warning: true, Reason: cmv1.EventReasonRequestFailed, Component: ManagerRequests}
	refused := apierrors.IsForbidden(f.Err) || apierrors.IsInvalid(f.Err) || apierrors.IsBadRequest(f.Err)
	switch taken := fault.Of(f.Err); {
	case isCreate && taken.Reason == cmv1.EventReasonRequestFailed:
		event.Message = taken.Message
	case !refused || apierrors.HasStatusCause(f.Err, corev1.NamespaceTerminatingCause):
		return nil
	case isCreate:
		event.Message = fmt.Sprintf("Failed to %s: %s", strings.Replace(create.String(), "the ", "", 1), f.Err)
	default:
		event.Reason, event.Component = "WriteFailed", ManagerIssuing
		event.Message = fmt.Sprintf("Failed to %s: %s", f.Action, apierrors.ReasonForError(f.Err))
		var status apierrors.APIStatus
		if errors.As(f.Err, &status) && status.Status().Details != nil {
			for _, cause := range status.Status().Details.Causes {
				event.Message += " " + cause.Field
			}
		}
	}
	return []plan.Event{event}
}
