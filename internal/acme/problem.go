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
)

// ErrorNamespace precedes the ACME error types (RFC 8555 section 6.7).
const ErrorNamespace = "urn:ietf:params:acme:error:"

// Error types of RFC 8555 section 6.7, RFC 9773 section 7.4, the profiles
// draft and, for paused, Boulder, without ErrorNamespace.
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
	TypePaused                  = "paused"
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

// Identifier is what a certificate is to be issued for: Type is "dns" (Value
// in ASCII, perhaps with a leading "*." in orders) or "ip" (RFC 8738).
type Identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// safe is the identifier as a server sent it, without what is none.
func (i Identifier) safe() Identifier {
	return Identifier{Type: safeWord(i.Type, maxStatus), Value: safeWord(i.Value, maxIdentifier)}
}

// Types of identifiers.
const (
	IdentifierDNS = "dns"
	IdentifierIP  = "ip"
)

// Problem is a problem document (RFC 9457) as ACME uses it, or an error status
// that came without one: then Type and Detail are empty. All texts have been
// made safe to print: one line, printable, of bounded length.
type Problem struct {
	// Type is a URI, most often ErrorNamespace and one of the Type constants.
	Type string
	// Detail is the server's sentence, its ids and times replaced by "<id>"
	// and "<time>".
	Detail string
	// Instance is a URL about this occurrence. Error does not print it.
	Instance string
	// Status is the status of the response, or within an order or a challenge
	// the status that the document names, 0 if none.
	Status int
	// Identifier is what a subproblem is about.
	Identifier *Identifier
	// Subproblems has one entry per identifier that has something wrong. They
	// have no subproblems of their own.
	Subproblems []Problem
	// RetryAfter is when the server wants to see the request again, on the
	// client's clock; zero if it did not say.
	RetryAfter time.Time

	// action is the request that failed, empty for a problem within a resource.
	action string
}

// Has reports whether p has an ACME error type, one of the Type constants.
func (p *Problem) Has(acmeType string) bool {
	return p.Type == ErrorNamespace+acmeType
}

// Error returns the status, the type, the detail and then the subproblems,
// sorted by identifier. It says the same each time the same thing fails.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Status != 0 {
		b.WriteString(strconv.Itoa(p.Status))
		b.WriteByte(' ')
	}
	switch {
	case p.Type != "":
		b.WriteString(p.Type)
	case p.Status != 0 && http.StatusText(p.Status) != "":
		b.WriteString(http.StatusText(p.Status))
	default:
		b.WriteString("unspecified error")
	}
	if p.Detail != "" {
		b.WriteString(": ")
		b.WriteString(p.Detail)
	}
	writeSubproblems(&b, p.Subproblems)
	return b.String()
}

func writeSubproblems(b *strings.Builder, subproblems []Problem) {
	if len(subproblems) == 0 {
		return
	}
	lines := make([]string, 0, len(subproblems))
	for i := range subproblems {
		s := &subproblems[i]
		line := (&Problem{Type: s.Type, Detail: s.Detail}).Error()
		if s.Identifier != nil {
			line = s.Identifier.Value + ": " + line
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	more := len(lines) - maxSubproblemsShown
	if more > 0 {
		lines = lines[:maxSubproblemsShown]
	}
	b.WriteString(" (")
	b.WriteString(strings.Join(lines, "; "))
	if more > 0 {
		fmt.Fprintf(b, "; and %d more", more)
	}
	b.WriteByte(')')
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

// UnmarshalJSON reads a problem document and makes its texts safe.
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
		Type:     safeWord(w.Type, maxProblemType),
		Detail:   safeDetail(cmp.Or(w.Detail, w.Title)),
		Instance: safeWord(w.Instance, maxDetail),
	}
	if p.Type == "about:blank" {
		p.Type = ""
	}
	// The member is only advisory; a server that writes a string means no harm.
	if n, err := strconv.Atoi(strings.Trim(string(w.Status), `"`)); err == nil && n >= 100 && n <= 599 {
		p.Status = n
	}
	if w.Identifier != nil {
		identifier := w.Identifier.safe()
		p.Identifier = &identifier
	}
	return p
}

// ProblemOf finds the Problem in err's chain, or nil.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}
