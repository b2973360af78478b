package acme

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

var solversPath = field.NewPath("spec", "acme", "solvers")

// checkFields returns what is wrong with the solvers themselves, whatever the
// Secrets hold: objects from before an admission rule, or from a namespace or a
// cluster without one, are not refused at apply.
func (t *Type) checkFields(spec *acmev1.ACMEIssuer) error {
	var errs field.ErrorList
	for i := range spec.Solvers {
		solver, path := &spec.Solvers[i], solversPath.Index(i)
		switch {
		case solver.HTTP01 == nil && solver.DNS01 == nil:
			errs = append(errs, field.Required(path, "no solver type configured"))
		case solver.HTTP01 != nil && solver.DNS01 != nil:
			errs = append(errs, field.Forbidden(path, "may not specify more than one solver type in a single solver"))
		case solver.DNS01 != nil:
			errs = append(errs, t.Solvers.Check(path.Child("dns01"), solver.DNS01)...)
		}
		if wait := solver.WaitInsteadOfSelfCheck; wait != nil && wait.Duration < 0 {
			errs = append(errs, field.Invalid(path.Child("waitInsteadOfSelfCheck"), wait.Duration.String(), "waitInsteadOfSelfCheck must not be negative"))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return fault.New(fault.User, cmv1.IssuerReasonInvalidSolver, "%s", strings.Join(texts, "; "))
}

// unusable is the end of the Ready message: the solvers that this version cannot
// use, and why. An issuer that has others is of use.
func (t *Type) unusable(spec *acmev1.ACMEIssuer) string {
	var text strings.Builder
	for i, why := range t.unsupported(spec) {
		if why != "" {
			fmt.Fprintf(&text, "; %s %s", solversPath.Index(i), why)
		}
	}
	return text.String()
}
