package validation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// decided are the conditions that an approver sets.
var decided = []cmv1.CertificateRequestConditionType{cmv1.CertificateRequestConditionApproved, cmv1.CertificateRequestConditionDenied}

// Decides reports whether a write approves or denies a CertificateRequest. The
// user needs the permission to do so: see SignerUnknown and MayNotDecide.
func Decides(old, cr *cmv1.CertificateRequest) bool {
	return slices.ContainsFunc(decided, func(condition cmv1.CertificateRequestConditionType) bool {
		return len(only(condition, old.Status.Conditions)) == 0 && len(only(condition, cr.Status.Conditions)) > 0
	})
}

// SignerUnknown is the error for a decision about a request for an issuer whose
// kind the API server does not have.
func SignerUnknown(ref cmmeta.IssuerReference) *field.Error {
	return field.Forbidden(field.NewPath("spec", "issuerRef"), fmt.Sprintf("referenced signer resource does not exist: %v", ref))
}

// MayNotDecide is the error for a decision by a user who lacks the permission.
func MayNotDecide(user string, ref cmmeta.IssuerReference) *field.Error {
	return field.Forbidden(field.NewPath("status", "conditions"),
		fmt.Sprintf("user %q does not have permissions to set approved/denied conditions for issuer %v", user, ref))
}

// decisions checks the conditions that an approver sets.
func (r *Result) decisions(old, now []cmv1.CertificateRequestCondition) {
	path := field.NewPath("status", "conditions")
	if len(only(cmv1.CertificateRequestConditionApproved, now)) > 0 && len(only(cmv1.CertificateRequestConditionDenied, now)) > 0 {
		r.add(field.Forbidden(path, "both 'Denied' and 'Approved' conditions cannot coexist"))
	}
	for _, condition := range decided {
		before, after := only(condition, old), only(condition, now)
		if len(after) > 1 {
			r.add(field.Forbidden(path, fmt.Sprintf("multiple %q conditions present", condition)))
		}
		for _, c := range after {
			if c.Status != cmmeta.ConditionTrue {
				r.add(field.Invalid(path.Child(string(condition)), c.Status, fmt.Sprintf("%q condition may only be set to True", condition)))
			}
		}
		if len(before) > 0 && (len(after) == 0 || !sameCondition(before[0], after[0])) {
			r.add(field.Forbidden(path, fmt.Sprintf("'%s' condition may not be modified once set", condition)))
		}
	}
}

// only returns the conditions of one type.
func only(condition cmv1.CertificateRequestConditionType, all []cmv1.CertificateRequestCondition) []cmv1.CertificateRequestCondition {
	var found []cmv1.CertificateRequestCondition
	for _, c := range all {
		if c.Type == condition {
			found = append(found, c)
		}
	}
	return found
}

// sameCondition compares times to the second, because clients that decode and
// encode a time cut the rest.
func sameCondition(a, b cmv1.CertificateRequestCondition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message &&
		a.LastTransitionTime.IsZero() == b.LastTransitionTime.IsZero() &&
		(a.LastTransitionTime.IsZero() || a.LastTransitionTime.Unix() == b.LastTransitionTime.Unix())
}
