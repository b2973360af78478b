package acme

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/foreign"
)

// ErrorNamespace is the prefix of the ACME error types (RFC 8555 section 6.7).
const ErrorNamespace = "urn:ietf:params:acme:error:"

// Error types of RFC 8555 section 6.7, RFC 9773 section 7.4 and the profiles
// draft, without ErrorNamespace.
const (
	TypeAccountDoesNotExist     = "accountDoesNotExist"
	TypeAlreadyReplaced         = "alreadyReplaced"
	TypeBadCSR                  = "badCSR"
	TypeBadNonce                = "badNonce"
	TypeBadPublicKey            = "badPublicKey"
	TypeBadSignatureAlgorithm   = "badSignatureAlgorithm"
	TypeCAA                     = "caa"
	TypeCompound                = "compound"
	TypeConflict                = "conflict"
	TypeConnection              = "connection"
	TypeDNS                     = "dns"
	TypeExternalAccountRequired = "externalAccountRequired"
	TypeIncorrectResponse       = "incorrectResponse"
	TypeInvalidContact          = "invalidContact"
	TypeInvalidProfile          = "invalidProfile"
	TypeMalformed               = "malformed"
	TypeOrderNotReady           = "orderNotReady"
	TypeRateLimited             = "rateLimited"
	TypeRejectedIdentifier      = "rejectedIdentifier"
	TypeServerInternal          = "serverInternal"
	TypeTLS                     = "tls"
	TypeUnauthorized            = "unauthorized"
	TypeUnsupportedContact      = "unsupportedContact"
	TypeUnsupportedIdentifier   = "unsupportedIdentifier"
	TypeUserActionRequired      = "userActionRequired"
)

const (
	maxProblemType      = 128
	maxSubproblems      = 100 // as many names as a certificate of a public CA may have
	maxSubproblemsShown = 10
)

// Identifier is the subject of an authorization: Type is "dns" (Value in ASCII,
// in orders with "*." for a wildcard; RFC 8555 section 9.7.7) or "ip" (RFC
// 8738).
type Identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// safe returns a server's identifier, without malformed parts.
func (i Identifier) safe() Identifier {
	return Identifier{Type: foreign.Word(i.Type, maxStatus), Value: foreign.Word(i.Value, maxIdentifier)}
}

// Types of identifiers.
const (
	IdentifierDNS = "dns"
	IdentifierIP  = "ip"
)

// Problem is a problem document (RFC 9457) as ACME uses it (RFC 8555 section
// 6.7), or an error status without a document; then Type and Detail are empty.
// All texts are safe to print: one line, printable, of bounded length.
type Problem struct {
	// Type is a URI, usually ErrorNamespace and one of the Type constants.
	Type string
	// Detail is the server's explanation, with ids replaced by "<id>" and times
	// by "<time>".
	Detail string
	// Instance is a URL that identifies this occurrence. Error does not print
	// it.
	Instance string
	// Status is the HTTP status of the response. Within an order or a challenge
	// it is the document's field "status", 0 if absent.
	Status int
	// Identifier is the identifier that a subproblem concerns (RFC 8555 section
	// 6.7.1).
	Identifier *Identifier
	// Subproblems has one entry for each identifier with a problem. They have
	// no subproblems of their own.
	Subproblems []Problem
	// RetryAfter is when the request may be repeated, on the client's clock;
	// zero if the server sent no Retry-After.
	RetryAfter time.Time

	// action is the request that failed, empty for a problem within a resource.
	action string
	// alive reports that the CA answered for the account, when it was asked because
	// a proxy may have sent this problem.
	alive bool
	// accountInvalid reports that the server did not say that the account is
	// valid, when it was asked because of this problem.
	accountInvalid bool
	// directory is the URL that answered so and may be no directory, directoryHint a
	// clause about what else may be wrong.
	directory, directoryHint string
}

// Has reports whether p has an ACME error type, one of the Type constants.
func (p *Problem) Has(acmeType string) bool {
	return p.Type == ErrorNamespace+acmeType
}

// Error returns the status, the type, the detail, and then the subproblems,
// sorted by identifier. The text is stable: the same failure gives the same
// text.
func (p *Problem) Error() string {
	text := cmp.Or(p.Type, http.StatusText(p.Status), "unspecified error")
	if p.Status != 0 {
		text = strconv.Itoa(p.Status) + " " + text
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.directory != "" {
		return fmt.Sprintf("%s is not an ACME directory (%s): check spec.acme.server%s", p.directory, text, p.directoryHint)
	}
	if len(p.Subproblems) == 0 {
		return text
	}
	lines := make([]string, 0, len(p.Subproblems))
	for i := range p.Subproblems {
		s := &p.Subproblems[i]
		line := (&Problem{Type: s.Type, Detail: s.Detail}).Error()
		if s.Identifier != nil {
			line = s.Identifier.Value + ": " + line
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if more := len(lines) - maxSubproblemsShown; more > 0 {
		lines = append(lines[:maxSubproblemsShown], fmt.Sprintf("and %d more", more))
	}
	return text + " (" + strings.Join(lines, "; ") + ")"
}

// problemJSON is a problem document on the wire.
type problemJSON struct {
	Type        string          `json:"type"`
	Title       string          `json:"title"`
	Detail      string          `json:"detail"`
	Instance    string          `json:"instance"`
	Status      json.RawMessage `json:"status"`
	Identifier  *Identifier     `json:"identifier"`
	Subproblems []problemJSON   `json:"subproblems"`
}

// UnmarshalJSON implements json.Unmarshaler. It makes all texts safe to print.
func (p *Problem) UnmarshalJSON(data []byte) error {
	var wire problemJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return errors.New("not a problem document")
	}
	*p = wire.problem()
	for i := range wire.Subproblems {
		if i == maxSubproblems {
			break
		}
		p.Subproblems = append(p.Subproblems, wire.Subproblems[i].problem())
	}
	return nil
}

func (w *problemJSON) problem() Problem {
	p := Problem{
		Type:     foreign.Word(w.Type, maxProblemType),
		Detail:   safeDetail(cmp.Or(w.Detail, w.Title)),
		Instance: foreign.Word(w.Instance, maxDetail),
	}
	if p.Type == ErrorNamespace+TypeRateLimited && tellsOfPause(p.Detail) {
		// The user needs the link at its end whole.
		p.Detail = foreign.Text(w.Detail, maxPausedDetail)
	}
	if p.Type == "about:blank" {
		p.Type = ""
	}
	// The field is advisory; some servers send a string.
	if n, err := strconv.Atoi(strings.Trim(string(w.Status), `"`)); err == nil && n >= 100 && n <= 599 {
		p.Status = n
	}
	if w.Identifier != nil {
		identifier := w.Identifier.safe()
		p.Identifier = &identifier
	}
	return p
}

// ProblemOf returns the Problem in err's chain, or nil.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}
