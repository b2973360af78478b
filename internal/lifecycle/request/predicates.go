package request

import (
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// ended reports whether a request with conditions will not be signed any more.
func ended(conditions []cmv1.CertificateRequestCondition) bool {
	return condition.True(conditions, cmv1.CertificateRequestConditionInvalidRequest) ||
		condition.True(conditions, cmv1.CertificateRequestConditionReady) || condition.Refused(conditions) != nil
}

// Ended reports whether a request will not be signed any more.
func Ended(r *cmv1.CertificateRequest) bool { return ended(r.Status.Conditions) }

// Decided reports whether a request is approved, denied or ended.
func Decided(r *cmv1.CertificateRequest) bool {
	return Ended(r) || condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) ||
		condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionDenied)
}

// onlyApproves reports whether a status differs from a request's by no more
// than an approval: the field manager of such a write is the approver.
func onlyApproves(r *cmv1.CertificateRequest, s cmv1.CertificateRequestStatus) bool {
	return condition.Find(s.Conditions, cmv1.CertificateRequestConditionReady) == nil ||
		(condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == "" && len(s.Certificate) == 0)
}
