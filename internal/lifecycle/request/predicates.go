package request

import (
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// ended reports whether a request will not be signed any more.
func ended(s *cmv1.CertificateRequestStatus) bool {
	if condition.Status(s.Conditions, cmv1.CertificateRequestConditionInvalidRequest) == cmmeta.ConditionTrue {
		return true
	}
	ready := condition.Find(s.Conditions, cmv1.CertificateRequestConditionReady)
	switch {
	case ready == nil:
		return false
	case ready.Status == cmmeta.ConditionTrue:
		return true
	default:
		return ready.Status == cmmeta.ConditionFalse &&
			(ready.Reason == cmv1.CertificateRequestReasonFailed || ready.Reason == cmv1.CertificateRequestReasonDenied)
	}
}

// Decided reports whether a request is approved, denied or ended.
func Decided(r *cmv1.CertificateRequest) bool {
	return ended(&r.Status) ||
		condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == cmmeta.ConditionTrue ||
		condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) == cmmeta.ConditionTrue
}

// onlyApproves reports whether a status differs from a request's by no more
// than an approval: the field manager of such a write is the approver.
func onlyApproves(r *cmv1.CertificateRequest, s cmv1.CertificateRequestStatus) bool {
	return condition.Find(s.Conditions, cmv1.CertificateRequestConditionReady) == nil ||
		(condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == "" && len(s.Certificate) == 0)
}

// Ended reports whether a request will not be signed any more.
func Ended(r *cmv1.CertificateRequest) bool { return ended(&r.Status) }
