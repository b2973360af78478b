package condition

import (
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// Approved reports whether a request may be signed.
func Approved(r *cmv1.CertificateRequest) bool {
	return Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) == cmmeta.ConditionTrue &&
		Status(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) != cmmeta.ConditionTrue
}
