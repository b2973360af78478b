// Package validation has the rules for objects beyond the schema of the CRDs, as
// the webhook applies them: the errors, in their words, with the path of the
// field, and warnings. It looks at nothing but the object.
//
// Package admission writes the same rules in CEL. Both are held to one table of
// objects, package validationtest, which also says what CEL cannot check.
//
// An object that cert-manager accepts is accepted, if it is stored already. Where it
// could never work, it is accepted with a warning, or refused when it is new (IssuerUpdate).
package validation

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxFindings is how many errors, and how many warnings, an answer has. Whoever
// writes an object decides how many things are wrong in it, so the rest is only
// counted.
const MaxFindings = 10

// Result is what there is to say about an object. It is accepted if it has no
// errors.
type Result struct {
	// Errors and Warnings are the first ones, MaxFindings at most. No error is
	// there twice.
	Errors   field.ErrorList
	Warnings []string
	// MoreErrors and MoreWarnings are how many were left out.
	MoreErrors, MoreWarnings int
}

// With returns the findings of both.
func (r Result) With(other Result) Result {
	all := Result{MoreErrors: r.MoreErrors + other.MoreErrors, MoreWarnings: r.MoreWarnings + other.MoreWarnings}
	for _, some := range []Result{r, other} {
		all.add(some.Errors...)
		all.warn(some.Warnings...)
	}
	return all
}

// add adds errors.
func (r *Result) add(errs ...*field.Error) {
	for _, err := range errs {
		switch {
		case len(r.Errors) >= MaxFindings:
			r.MoreErrors++
		case !slices.ContainsFunc(r.Errors, func(known *field.Error) bool { return same(known, err) }):
			r.Errors = append(r.Errors, err)
		}
	}
}

// same compares errors by what their texts are made of. The texts themselves would
// be written again for each comparison, with values of any length.
func same(a, b *field.Error) bool {
	return a.Type == b.Type && a.Field == b.Field && a.Detail == b.Detail && reflect.DeepEqual(a.BadValue, b.BadValue)
}

// invalid adds the error for an entry of a list.
func (r *Result) invalid(list *field.Path, i int, value any, detail string) {
	if len(r.Errors) >= MaxFindings {
		r.MoreErrors++
		return
	}
	r.add(field.Invalid(list.Index(i), value, detail))
}

// warn adds warnings.
func (r *Result) warn(warnings ...string) {
	for _, warning := range warnings {
		if len(r.Warnings) >= MaxFindings {
			r.MoreWarnings++
			continue
		}
		r.Warnings = append(r.Warnings, warning)
	}
}

// Gates are the feature gates of the webhook.
type Gates struct {
	LiteralCertificateSubject bool
	NameConstraints           bool
	OtherNames                bool
}

// DefaultGates are the feature gates as they are without configuration.
var DefaultGates = Gates{LiteralCertificateSubject: true, NameConstraints: true, OtherNames: true}

// Text renders errors as a refusal: one as it is, several as a list, each text
// once. At most MaxFindings are written; the last entry says how many more there
// are, together with those that were left out before. It returns "" for none.
func Text[E error](errs []E, more int) string {
	var texts []string
	for _, err := range errs {
		switch text := err.Error(); {
		case slices.Contains(texts, text):
		case len(texts) >= MaxFindings:
			more++
		default:
			texts = append(texts, text)
		}
	}
	if more > 0 {
		texts = append(texts, "and "+counted(more, "error"))
	}
	if len(texts) == 1 {
		return texts[0]
	}
	if len(texts) == 0 {
		return ""
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// Advice is the warnings of a result, and how many more there are.
func (r Result) Advice() []string {
	if r.MoreWarnings == 0 {
		return r.Warnings
	}
	return append(slices.Clip(r.Warnings), "and "+counted(r.MoreWarnings, "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 more " + what
	}
	return fmt.Sprintf("%d more %ss", n, what)
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
