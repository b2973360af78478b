package condition

import (
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// Approved reports whether a request may be signed.
func Approved(r *cmv1.CertificateRequest) bool {
	return True(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) &&
		!True(r.Status.Conditions, cmv1.CertificateRequestConditionDenied)
}

// Refused returns the Ready condition of a request that ended without a
// certificate, nil of any other.
func Refused(conditions []cmv1.CertificateRequestCondition) *cmv1.CertificateRequestCondition {
	ready := Find(conditions, cmv1.CertificateRequestConditionReady)
	if ready != nil && ready.Status == cmmeta.ConditionFalse &&
		(ready.Reason == cmv1.CertificateRequestReasonFailed || ready.Reason == cmv1.CertificateRequestReasonDenied) {
		return ready
	}
	return nil
}
