package acme

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

const (
	// rateLimitWait is how long to wait after a rate limit without Retry-After.
	rateLimitWait = 10 * time.Minute
	// minWait is the shortest wait after a Retry-After, also one in the past:
	// it prevents a loop without delay.
	minWait = 5 * time.Second
)

// verdicts are the class and the reason of each error type. The HTTP status
// decides for all other types.
var verdicts = map[string]struct {
	class  fault.Class
	reason string
}{
	// The server is at fault and recovers without a change.
	TypeServerInternal: {fault.Transient, "ServerInternal"},
	TypeBadNonce:       {fault.Transient, "BadNonce"},
	TypeOrderNotReady:  {fault.Transient, "OrderNotReady"},

	// The account is at fault: a user must fix the Issuer, and Orders wait.
	TypeAccountDoesNotExist:     {fault.User, reasonNoAccount},
	TypeUserActionRequired:      {fault.User, "UserActionRequired"},
	TypeExternalAccountRequired: {fault.User, "ExternalAccountRequired"},
	TypeInvalidContact:          {fault.User, "InvalidContact"},
	TypeUnsupportedContact:      {fault.User, "UnsupportedContact"},
	TypeBadPublicKey:            {fault.User, "BadPublicKey"},
	TypeBadSignatureAlgorithm:   {fault.User, "BadSignatureAlgorithm"},

	// A user can make the same request succeed: a change of the CAA record, of
	// the CA's policy or in its portal.
	TypeCAA:                {fault.User, "CAA"},
	TypeRejectedIdentifier: {fault.User, "RejectedIdentifier"},

	// Only another request can succeed.
	TypeUnsupportedIdentifier: {fault.Permanent, "UnsupportedIdentifier"},
	TypeBadCSR:                {fault.Permanent, "BadCSR"},
	TypeMalformed:             {fault.Permanent, "Malformed"},
	TypeInvalidProfile:        {fault.Permanent, "InvalidProfile"},
	TypeAlreadyReplaced:       {fault.Permanent, "AlreadyReplaced"},
	TypeConflict:              {fault.Permanent, "Conflict"},
}

const reasonNoAccount = "AccountDoesNotExist"

// validationTypes are the results of a failed validation (RFC 8555 section
// 8.2).
var validationTypes = []string{TypeConnection, TypeDNS, TypeIncorrectResponse, TypeTLS, TypeUnauthorized}

// Classify returns the class and the text of an error of this package, and nil
// for nil:
//
//   - Later, until the time that the server sets: rate limits (10 minutes if
//     it sets none) and any transient error with Retry-After.
//   - Transient: no response, a response that is not ACME, 5xx, a 4xx without a
//     problem document, which comes from a proxy and not from the CA, and a
//     certificate that is not there (see IsCertificateMissing).
//   - User: errors of the account, of CAA records and of the CA's policy, and
//     names that the CA has paused.
//   - Permanent: requests that the CA rejects each time. Also failed
//     validations and missing resources (see IsGone); both end their order.
func Classify(err error, now time.Time) *fault.Error {
	if err == nil {
		return nil
	}
	var classified *fault.Error
	if errors.As(err, &classified) {
		return classified
	}
	if errors.Is(err, ErrNoAccount) {
		return fault.New(fault.User, reasonNoAccount, "%s", err).Because(err)
	}
	var network *NetworkError
	if errors.As(err, &network) {
		return fault.New(fault.Transient, "NetworkError", "%s", network).Because(err)
	}
	var server *ServerError
	if errors.As(err, &server) {
		return fault.New(fault.Transient, "ServerError", "%s", server).Because(err)
	}
	if p := ProblemOf(err); p != nil {
		return classifyProblem(p, now).Because(err)
	}
	return fault.New(fault.Transient, "", "%s", err).Because(err)
}

func classifyProblem(p *Problem, now time.Time) *fault.Error {
	class, reason := p.verdict()
	switch {
	case class == fault.Later, class == fault.Transient && p.RetryAfter.After(now):
		return fault.Until(p.retryAt(now), reason, "%s", p)
	default:
		return fault.New(class, reason, "%s", p)
	}
}

// retryAt is when the request may be repeated.
func (p *Problem) retryAt(now time.Time) time.Time {
	if p.RetryAfter.IsZero() {
		return now.Add(rateLimitWait)
	}
	if earliest := now.Add(minWait); p.RetryAfter.Before(earliest) {
		return earliest
	}
	return p.RetryAfter
}

func (p *Problem) verdict() (fault.Class, string) {
	switch {
	case p.paused():
		return fault.User, "Paused"
	case p.rateLimited():
		return fault.Later, "RateLimited"
	case p.certificateMissing():
		return fault.Transient, "CertificateMissing"
	case p.gone():
		return fault.Permanent, "Gone"
	case p.Has(TypeUnauthorized) && p.ofAccount():
		return fault.User, "AccountUnauthorized"
	case p.action == "" && p.ofValidation():
		return fault.Permanent, "ValidationFailed"
	case p.Has(TypeUnauthorized):
		return fault.Permanent, "Unauthorized"
	}
	if v, ok := verdicts[strings.TrimPrefix(p.Type, ErrorNamespace)]; ok && strings.HasPrefix(p.Type, ErrorNamespace) {
		return v.class, v.reason
	}
	if len(p.Subproblems) > 0 {
		return p.worstSubproblem()
	}
	switch {
	case p.Status >= 500 || p.ofValidation():
		return fault.Transient, "ServerError"
	case p.Type == "", p.Status == http.StatusRequestTimeout, p.Status == http.StatusTooEarly:
		return fault.Transient, "UnexpectedStatus"
	default:
		return fault.Permanent, "Refused"
	}
}

// worstSubproblem is the subproblem that prevents success for the longest time.
// The order of the classes is the order of that time.
func (p *Problem) worstSubproblem() (class fault.Class, reason string) {
	reason = "ServerError"
	for i := range p.Subproblems {
		s := p.Subproblems[i]
		s.action, s.Status, s.Subproblems = p.action, p.Status, nil
		if c, r := s.verdict(); i == 0 || c > class {
			class, reason = c, r
		}
	}
	return class, reason
}

func (p *Problem) rateLimited() bool {
	return !p.paused() && (p.Has(TypeRateLimited) || p.Status == http.StatusTooManyRequests)
}

// paused reports whether the server refuses names until a user has asked it, in
// its portal, to issue for them again. Boulder has no error type for that: it
// answers rateLimited, without Retry-After.
func (p *Problem) paused() bool {
	return p.Has(TypeRateLimited) && p.RetryAfter.IsZero() && tellsOfPause(p.Detail)
}

func tellsOfPause(detail string) bool {
	detail = strings.ToLower(detail)
	return strings.Contains(detail, "unpause") || strings.Contains(detail, "temporarily prevented from requesting")
}

// limitsAccount reports whether a rate limit holds for all orders of the account,
// as far as its text shows: it is about new orders, or about none of the names.
func (p *Problem) limitsAccount(names []Identifier) bool {
	if !p.rateLimited() {
		return false
	}
	detail := strings.ToLower(p.Detail)
	switch {
	case strings.Contains(detail, "new orders"):
		return true
	case len(p.Subproblems) > 0, strings.Contains(detail, "exact set of"):
		return false
	}
	return !slices.ContainsFunc(names, func(id Identifier) bool { return mentions(detail, id.Value) })
}

// mentions reports whether a text in lower case has a name or a domain above it.
func mentions(text, name string) bool {
	name = strings.TrimPrefix(strings.ToLower(name), "*.")
	for {
		if strings.Contains(text, name) {
			return true
		}
		_, above, _ := strings.Cut(name, ".")
		if !strings.Contains(above, ".") {
			return false
		}
		name = above
	}
}

func (p *Problem) ofValidation() bool {
	return slices.ContainsFunc(validationTypes, p.Has)
}

// ofAccount reports whether the account is at fault: every valid account may
// make the failed request, or the server does not say that the account is valid.
func (p *Problem) ofAccount() bool {
	switch p.action {
	case actionRegister, actionAccount, actionUpdateAccount:
		return true
	}
	return p.accountInvalid
}

// missing reports whether the CA, and not a proxy before it, says that the
// requested resource does not exist, or that it is not the account's.
func (p *Problem) missing() bool {
	if p.Status == http.StatusNotFound || p.Status == http.StatusGone {
		return p.Type != "" || p.alive
	}
	return p.Has(TypeUnauthorized) && p.Status == http.StatusForbidden
}

func (p *Problem) gone() bool {
	switch p.action {
	case actionOrder, actionAuthorization:
		return p.missing()
	case actionFinalize, actionAccept:
		// These may be refused as unauthorized, too.
		return p.missing() && !p.Has(TypeUnauthorized)
	default:
		return false
	}
}

// certificateMissing reports whether a chain that the server has named is not
// there. Its replicas may not agree yet, and a new order would have the server
// issue once more. Of an alternate, no refusal ends an order.
func (p *Problem) certificateMissing() bool {
	switch p.action {
	case actionCertificate:
		return p.missing()
	case actionAlternate:
		return p.Status < http.StatusInternalServerError
	default:
		return false
	}
}

// IsGone reports whether the CA says that the requested order, authorization or
// challenge does not exist, no longer exists, or belongs to another account. A
// new order is needed if it says so again. An order or authorization with the
// status expired, deactivated or revoked is not an error: see its Status.
func IsGone(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.gone()
}

// IsCertificateMissing reports whether a certificate, or one of its alternates,
// is not there although the server has named it.
func IsCertificateMissing(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.certificateMissing()
}

// IsOrderNotReady reports whether an order was finalized in a state other than
// ready. The caller reads the order and acts on its state.
func IsOrderNotReady(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.Has(TypeOrderNotReady)
}

// IsAccountProblem reports whether the account is at fault, not the request: no
// request of this account succeeds before a user fixes the Issuer.
func IsAccountProblem(err error) bool {
	p := ProblemOf(err)
	if p == nil {
		return errors.Is(err, ErrNoAccount)
	}
	return p.Has(TypeAccountDoesNotExist) || p.Has(TypeUserActionRequired) || p.Has(TypeExternalAccountRequired) ||
		p.Has(TypeUnauthorized) && p.ofAccount() && !aboutReplaces(err)
}

// IsRateLimited reports whether the server rejected the request because of a
// rate limit.
func IsRateLimited(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.rateLimited()
}

// LimitsAccount reports whether the server rejected a request for an order with
// these names because of a rate limit that holds for all orders of the account.
// Most limits of CAs hold for a name, a domain or a set of names.
func LimitsAccount(err error, names []Identifier) bool {
	p := ProblemOf(err)
	return p != nil && p.limitsAccount(names)
}

// refusesReplaces reports whether the server may have refused an order because of its
// field "replaces". Of a certificate of another CA, or of none of its own any more, some
// say only that the order is malformed.
func refusesReplaces(err error) bool {
	p := ProblemOf(err)
	return aboutReplaces(err) || p != nil && p.action == actionNewOrder && (p.Has(TypeMalformed) || p.Has(TypeConflict))
}

// aboutReplaces reports whether the server refused an order because of its field
// "replaces" (RFC 9773 section 5).
func aboutReplaces(err error) bool {
	p := ProblemOf(err)
	if p == nil || p.action != actionNewOrder {
		return false
	}
	if p.Has(TypeAlreadyReplaced) {
		return true
	}
	// RFC 9773 defines no type for a certificate that the server does not know,
	// or does not know as this account's. Boulder and Pebble answer with these
	// words.
	detail := strings.ToLower(p.Detail)
	for _, words := range []string{"replace", "certid", "order for the given certificate"} {
		if !p.rateLimited() && strings.Contains(detail, words) {
			return true
		}
	}
	return false
}
