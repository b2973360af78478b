package certificate

import (
	"slices"
	"strings"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

// failureKind is what a failed issuance needs before it can succeed.
type failureKind int

const (
	// unknownFailure is of an issuer that does not say, such as an external one.
	unknownFailure failureKind = iota
	// transientFailure ends by itself.
	transientFailure
	// validationFailure is of a CA that has not found what proves the control of a
	// name: a user corrects DNS or a route, or it only takes longer.
	validationFailure
	// userFailure lasts until a user changes something.
	userFailure
)

// schedules are the waits after failures. A failed issuance whose cause is not
// known is repeated when cert-manager repeats it, but at the latest when one is
// that a user must correct.
var schedules = [...]plan.Backoff{
	unknownFailure:    {Min: time.Hour, Max: fault.UserRetry},
	transientFailure:  {Min: 5 * time.Second, Max: time.Hour},
	validationFailure: {Min: 5 * time.Minute, Max: fault.UserRetry},
	userFailure:       {Min: fault.UserRetry, Max: fault.UserRetry},
}

// kindOf is the kind of a request's failure. Its conditions say it, which last as
// long as the request; an Order may be deleted before.
func kindOf(r *facts.Request) failureKind {
	switch {
	case r.Failure.Refused:
		return userFailure
	case !facts.OwnIssuer(r.IssuerRef):
		return unknownFailure
	case request.OnOrder(r.Failure.Message):
		return kindOfOrder(r.Failure.Message)
	default:
		return userFailure
	}
}

// kindOfOrder is the kind of an Order's failure, from the message of its request.
func kindOfOrder(message string) failureKind {
	state, reason := request.StateOfOrder(message)
	problem := func(types ...string) bool {
		return slices.ContainsFunc(types, func(t string) bool { return strings.Contains(reason, acme.ErrorNamespace+t) })
	}
	switch {
	case state == acmev1.Expired:
		return transientFailure
	case state == acmev1.Invalid && !problem(acme.TypeCAA, acme.TypeRejectedIdentifier):
		return validationFailure
	case problem(acme.TypeRateLimited, acme.TypeServerInternal, acme.TypeBadNonce, acme.TypeAlreadyReplaced), strings.HasPrefix(reason, order.DownloadFailed):
		return unknownFailure
	default:
		return userFailure
	}
}
