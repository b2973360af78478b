// Package condition finds and sets the conditions of the API's kinds, which
// differ in their Go types but follow one convention.
package condition

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// Condition is a condition of any kind.
type Condition interface {
	cmv1.CertificateCondition | cmv1.CertificateRequestCondition | cmv1.IssuerCondition
}

// Find returns the condition of a type, or nil. The result points into
// conditions.
func Find[C Condition, T ~string](conditions []C, kind T) *C {
	for i := range conditions {
		if k, _, _ := parts(&conditions[i]); k == string(kind) {
			return &conditions[i]
		}
	}
	return nil
}

// Status returns the status of the condition of a type, empty without one.
func Status[C Condition, T ~string](conditions []C, kind T) cmmeta.ConditionStatus {
	if c := Find(conditions, kind); c != nil {
		_, status, _ := parts(c)
		return status
	}
	return ""
}

// True reports whether the condition of a type is True.
func True[C Condition, T ~string](conditions []C, kind T) bool {
	return Status(conditions, kind) == cmmeta.ConditionTrue
}

// Set returns a copy of conditions in which c replaces the one of its type, or
// is added. A transition time is kept as long as the status is the same.
func Set[C Condition](conditions []C, c C) []C {
	set := slices.Clone(conditions)
	kind, status, since := parts(&c)
	for i := range set {
		k, before, at := parts(&set[i])
		if k != kind {
			continue
		}
		if before == status {
			*since = *at
		}
		set[i] = c
		return set
	}
	return append(set, c)
}

// Remove returns a copy of conditions without the one of a type.
func Remove[C Condition, T ~string](conditions []C, kind T) []C {
	return slices.DeleteFunc(slices.Clone(conditions), func(c C) bool {
		k, _, _ := parts(&c)
		return k == string(kind)
	})
}

// parts are what the convention gives every condition.
func parts(condition any) (kind string, status cmmeta.ConditionStatus, since **metav1.Time) {
	switch c := condition.(type) {
	case *cmv1.CertificateCondition:
		return string(c.Type), c.Status, &c.LastTransitionTime
	case *cmv1.CertificateRequestCondition:
		return string(c.Type), c.Status, &c.LastTransitionTime
	case *cmv1.IssuerCondition:
		return string(c.Type), c.Status, &c.LastTransitionTime
	default:
		return "", "", new(*metav1.Time)
	}
}
