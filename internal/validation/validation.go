// Package validation has the rules for objects beyond the schema of the CRDs, as
// the webhook applies them: the errors, in their words, with the path of the
// field, and warnings. It looks at nothing but the object.
//
// Package admission writes the same rules in CEL. Both are held to one table of
// objects, package validationtest, which also says what CEL cannot check.
//
// An object that cert-manager accepts is accepted. Where it could never work, it
// is accepted with a warning.
package validation

import (
	"slices"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Result is what there is to say about an object. It is accepted if it has no
// errors.
type Result struct {
	Errors   field.ErrorList
	Warnings []string
}

// With returns the findings of both.
func (r Result) With(other Result) Result {
	return Result{append(slices.Clip(r.Errors), other.Errors...), append(slices.Clip(r.Warnings), other.Warnings...)}
}

// add adds errors.
func (r *Result) add(errs ...*field.Error) { r.Errors = append(r.Errors, errs...) }

// warn adds a warning.
func (r *Result) warn(err *field.Error) { r.Warnings = append(r.Warnings, err.Error()) }

// Gates are the feature gates of the webhook.
type Gates struct {
	LiteralCertificateSubject bool
	NameConstraints           bool
	OtherNames                bool
}

// DefaultGates are the feature gates as they are without configuration.
var DefaultGates = Gates{LiteralCertificateSubject: true, NameConstraints: true, OtherNames: true}

// Text renders errors as a refusal: one as it is, several as a list, each text
// once. It returns "" for none.
func Text(errs field.ErrorList) string {
	if len(errs) == 0 {
		return ""
	}
	all := make([]error, len(errs))
	for i, err := range errs {
		all[i] = err
	}
	return utilerrors.NewAggregate(all).Error()
}

const (
	specified = "must be specified"
	// longest is how much of a long value an error shows, in bytes.
	longest = 97
)

// shown cuts a long value.
func shown(value string) string {
	if len(value) <= longest {
		return value
	}
	return strings.ToValidUTF8(value[:longest], "") + "..."
}

// required is the error for a text that must not be empty.
func required(path *field.Path, value, detail string) field.ErrorList {
	if value != "" {
		return nil
	}
	return field.ErrorList{field.Required(path, detail)}
}

// faulty is an error for each fault of a value, whose text begins with a prefix.
func faulty(path *field.Path, value string, faults []string, prefix string) field.ErrorList {
	var errs field.ErrorList
	for _, fault := range faults {
		errs = append(errs, field.Invalid(path, value, prefix+fault))
	}
	return errs
}
