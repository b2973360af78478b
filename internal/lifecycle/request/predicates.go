package request

import (
	"strconv"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// Revision reads a request's revision; 0 if it has none that is valid.
func Revision(r *cmv1.CertificateRequest) int {
	n, err := strconv.Atoi(r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey])
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// FailedAt is when a request ended without a certificate, zero if it
// has not.
func FailedAt(r *cmv1.CertificateRequest) time.Time {
	condition := Failure(r)
	switch {
	case condition == nil:
		return time.Time{}
	case r.Status.FailureTime != nil:
		return r.Status.FailureTime.Time
	case condition.LastTransitionTime != nil:
		return condition.LastTransitionTime.Time
	default:
		return r.CreationTimestamp.Time
	}
}

// Failure is the condition with which a request has failed, or nil. A
// denial counts before all else, for issuers that sign all the same.
func Failure(r *cmv1.CertificateRequest) *cmv1.CertificateRequestCondition {
	for _, kind := range []cmv1.CertificateRequestConditionType{
		cmv1.CertificateRequestConditionDenied, cmv1.CertificateRequestConditionInvalidRequest,
	} {
		if c := condition.Find(r.Status.Conditions, kind); c != nil && c.Status == cmmeta.ConditionTrue {
			return c
		}
	}
	ready := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if ready != nil && ready.Status == cmmeta.ConditionFalse &&
		(ready.Reason == cmv1.CertificateRequestReasonFailed || ready.Reason == cmv1.CertificateRequestReasonDenied) {
		return ready
	}
	return nil
}

// Issued reports whether a request has its certificate.
func Issued(r *cmv1.CertificateRequest) bool {
	return Failure(r) == nil && condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionReady) == cmmeta.ConditionTrue
}

// ended reports whether a request will not be signed any more.
func ended(s *cmv1.CertificateRequestStatus) bool {
	if condition.Status(s.Conditions, cmv1.CertificateRequestConditionInvalidRequest) == cmmeta.ConditionTrue {
		return true
	}
	ready := condition.Find(s.Conditions, cmv1.CertificateRequestConditionReady)
	return ready != nil && (ready.Status == cmmeta.ConditionTrue ||
		ready.Reason == cmv1.CertificateRequestReasonFailed || ready.Reason == cmv1.CertificateRequestReasonDenied)
}

// Decided reports whether a request is approved, denied or done with.
func Decided(r *cmv1.CertificateRequest) bool {
	return ended(&r.Status) ||
		condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == cmmeta.ConditionTrue ||
		condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) == cmmeta.ConditionTrue
}

// OnlyApproves reports whether a status differs from a request's by no more
// than an approval: the field manager of such a write is the approver.
func OnlyApproves(r *cmv1.CertificateRequest, s cmv1.CertificateRequestStatus) bool {
	return condition.Find(s.Conditions, cmv1.CertificateRequestConditionReady) == nil ||
		(condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == "" && len(s.Certificate) == 0)
}

// Ended reports whether a request will not be signed any more.
func Ended(r *cmv1.CertificateRequest) bool { return ended(&r.Status) }
