package acme

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

const (
	// rateLimitRest is how long a rate limit rests if the server does not say.
	rateLimitRest = 10 * time.Minute
	// minRest keeps a server that says "at once" from being asked in a loop.
	minRest = 5 * time.Second
)

// verdicts has what to do about each error type. Unless a type is in it, a
// status says so.
var verdicts = map[string]struct {
	class  fault.Class
	reason string
}{
	// The server, and time heals it.
	TypeServerInternal: {fault.Transient, "ServerInternal"},
	TypeBadNonce:       {fault.Transient, "BadNonce"},
	TypeOrderNotReady:  {fault.Transient, "OrderNotReady"},

	// The account: the Issuer is to be mended, Orders wait for it.
	TypeAccountDoesNotExist:     {fault.User, reasonNoAccount},
	TypeUserActionRequired:      {fault.User, "UserActionRequired"},
	TypeExternalAccountRequired: {fault.User, "ExternalAccountRequired"},
	TypeInvalidContact:          {fault.User, "InvalidContact"},
	TypeUnsupportedContact:      {fault.User, "UnsupportedContact"},
	TypeBadPublicKey:            {fault.User, "BadPublicKey"},
	TypeBadSignatureAlgorithm:   {fault.User, "BadSignatureAlgorithm"},

	// A person can let the same request succeed: a CAA record, the CA's policy
	// or its portal.
	TypeCAA:                {fault.User, "CAA"},
	TypeRejectedIdentifier: {fault.User, "RejectedIdentifier"},
	TypePaused:             {fault.User, "Paused"},

	// Only another request can succeed.
	TypeUnsupportedIdentifier: {fault.Permanent, "UnsupportedIdentifier"},
	TypeBadCSR:                {fault.Permanent, "BadCSR"},
	TypeMalformed:             {fault.Permanent, "Malformed"},
	TypeInvalidProfile:        {fault.Permanent, "InvalidProfile"},
	TypeAlreadyReplaced:       {fault.Permanent, "AlreadyReplaced"},
	TypeConflict:              {fault.Permanent, "Conflict"},
}

const reasonNoAccount = "AccountDoesNotExist"

// validationTypes are what a CA finds when it looks for the proof (RFC 8555
// section 8.2).
var validationTypes = []string{TypeConnection, TypeDNS, TypeIncorrectResponse, TypeTLS, TypeUnauthorized}

// Classify says what to do about an error of this package. It is nil for nil.
//
// Later, until the time that the server names: rate limits (without a time, 10
// minutes), and any transient error with a Retry-After. Transient: no answer,
// an answer that is no ACME, 5xx, a 4xx that has no problem document and so
// comes from something before the CA. User: the account, CAA records, the CA's
// policy. Permanent: what the CA will refuse each time, and a failed
// validation or a resource that is gone (see IsGone), which end their order.
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
		return fault.Until(p.restUntil(now), reason, "%s", p)
	default:
		return fault.New(class, reason, "%s", p)
	}
}

// restUntil is when the server wants to see the request again.
func (p *Problem) restUntil(now time.Time) time.Time {
	if p.RetryAfter.IsZero() {
		return now.Add(rateLimitRest)
	}
	if earliest := now.Add(minRest); p.RetryAfter.Before(earliest) {
		return earliest
	}
	return p.RetryAfter
}

func (p *Problem) verdict() (fault.Class, string) {
	switch {
	case p.rateLimited():
		return fault.Later, "RateLimited"
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

// worstSubproblem is what keeps the request as a whole from succeeding the
// longest. The classes are in that order.
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
	return p.Has(TypeRateLimited) || p.Status == http.StatusTooManyRequests
}

func (p *Problem) ofValidation() bool {
	for _, t := range validationTypes {
		if p.Has(t) {
			return true
		}
	}
	return false
}

// ofAccount reports whether the request was one that a valid account in good
// standing is always allowed to make.
func (p *Problem) ofAccount() bool {
	switch p.action {
	case actionRegister, actionAccount, actionUpdateAccount, actionNewOrder:
		return true
	}
	return false
}

func (p *Problem) gone() bool {
	switch p.action {
	case actionOrder, actionAuthorization, actionChallenge, actionCertificate, actionAlternate:
		// What another account owns is gone for us.
		if p.Has(TypeUnauthorized) && p.Status == http.StatusForbidden {
			return true
		}
	case actionFinalize, actionAccept, actionUnnamed:
	default:
		return false
	}
	return p.Status == http.StatusNotFound || p.Status == http.StatusGone
}

// IsGone reports whether the order, authorization, challenge or certificate
// that was asked for does not exist, no longer exists, or is another
// account's: a new order is needed. That the order or the authorization itself
// says expired, deactivated or revoked is no error but its Status.
func IsGone(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.gone()
}

// IsOrderNotReady reports whether an order was finalized in a state other than
// ready: look at the order and act on its state.
func IsOrderNotReady(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.Has(TypeOrderNotReady)
}

// IsAccountMissing reports whether the server does not know the account, or
// none has been registered.
func IsAccountMissing(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.Has(TypeAccountDoesNotExist) || errors.Is(err, ErrNoAccount)
}

// IsAccountProblem reports whether the account is at fault and not the
// request: nothing that it signs will succeed before the Issuer is mended.
func IsAccountProblem(err error) bool {
	p := ProblemOf(err)
	if p == nil {
		return errors.Is(err, ErrNoAccount)
	}
	return p.Has(TypeAccountDoesNotExist) || p.Has(TypeUserActionRequired) || p.Has(TypeExternalAccountRequired) ||
		p.Has(TypeUnauthorized) && p.ofAccount() && !AlreadyReplaced(err)
}

// IsRateLimited reports whether the server wants fewer requests.
func IsRateLimited(err error) bool {
	p := ProblemOf(err)
	return p != nil && p.rateLimited()
}

// AlreadyReplaced reports whether the server refused an order for what it says
// to replace (RFC 9773 section 5): repeat it once without.
func AlreadyReplaced(err error) bool {
	p := ProblemOf(err)
	if p == nil || p.action != actionNewOrder {
		return false
	}
	if p.Has(TypeAlreadyReplaced) {
		return true
	}
	// There is no type for a certificate that the server does not know, or not
	// as this account's; Boulder and Pebble say it in these words.
	detail := strings.ToLower(p.Detail)
	for _, words := range []string{"replace", "certid", "order for the given certificate"} {
		if !p.rateLimited() && strings.Contains(detail, words) {
			return true
		}
	}
	return false
}
