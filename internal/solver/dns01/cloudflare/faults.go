package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// Codes of Cloudflare's errors.
const (
	invalidHeaders  = 6003  // Invalid request headers; the chain says which
	recordExists    = 81057 // The record already exists.
	identicalRecord = 81058 // An identical record already exists.
	hostExists      = 81053 // An A, AAAA, or CNAME record with that host already exists.
	cnameExists     = 81054 // A CNAME record with that host already exists.
)

const (
	vendor = "the Cloudflare API"
	// maxText bounds one of Cloudflare's texts in a message.
	maxText = 256
)

// query is a request in messages. name is the DNS name that it is for.
type query struct{ method, path, name string }

func (q query) String() string { return fmt.Sprintf("%s %q", q.method, q.path) }

// apiError is an entry of errors in an answer, as https://developers.cloudflare.com/api
// documents it for each method; error_chain has the cause of some.
type apiError struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Chain   []apiError `json:"error_chain"`
}

func (e apiError) String() string {
	said := strconv.Itoa(e.Code) + ": " + foreign.Text(e.Message, maxText)
	for _, cause := range e.Chain {
		said += fmt.Sprintf(" (%d: %s)", cause.Code, foreign.Text(cause.Message, maxText))
	}
	return said
}

// errorsOf returns Cloudflare's errors in an answer.
func errorsOf(answer *http.Response) []apiError {
	var body struct {
		Errors []apiError `json:"errors"`
	}
	if answer.StatusCode < 400 || json.NewDecoder(answer.Body).Decode(&body) != nil {
		return nil
	}
	return body.Errors
}

// errExists says that there is a record already that is to be added.
var errExists = errors.New("an identical record exists")

// failed is the fault for a request, or errExists. answer is nil if there was none.
func (p *Provider) failed(q query, answer *http.Response, err error) error {
	failure := vendorapi.Failure{Vendor: vendor, Doing: q.String(), Err: err}
	if answer == nil {
		return failure.Fault(p.clock.Now())
	}
	said := errorsOf(answer)
	failure.Status, failure.Header = answer.StatusCode, answer.Header
	f := failure.Fault(p.clock.Now())
	if answer.StatusCode >= 400 && len(said) > 0 {
		texts := make([]string, 0, len(said))
		for _, e := range said {
			if q.method == http.MethodPost && (e.Code == identicalRecord || e.Code == recordExists) {
				return errExists
			}
			texts = append(texts, e.String())
		}
		f.Message = fmt.Sprintf("while querying %s for %s \n\t Error: %s", vendor, q, strings.Join(texts, "; "))
	}
	f.Message += p.advice(q, answer.StatusCode, said)
	return f
}

// advice is what to do about an answer, as the end of a message.
func (p *Provider) advice(q query, status int, said []apiError) string {
	has := func(codes ...int) bool {
		for _, e := range said {
			for _, code := range codes {
				if e.Code == code {
					return true
				}
			}
		}
		return false
	}
	switch {
	case status == http.StatusForbidden && strings.Contains(q.path, "dns_records"):
		return fmt.Sprintf("; check that %s has the permission Zone:DNS:Edit for the zone", p.credential)
	case status == http.StatusUnauthorized, status == http.StatusForbidden, has(invalidHeaders):
		return fmt.Sprintf("; check that %s is valid and has the permissions Zone:Zone:Read and Zone:DNS:Edit", p.credential)
	case q.method == http.MethodPost && has(hostExists, cnameExists):
		return fmt.Sprintf("; a TXT record cannot be beside the CNAME record at %s: set cnameStrategy: Follow if its target is in a zone of yours, or remove it", q.name)
	default:
		return ""
	}
}

// unreadable is the fault for an answer that is a success without what was asked for.
func (p *Provider) unreadable(q query, answer *http.Response) error {
	status := http.StatusOK
	if answer != nil {
		status = answer.StatusCode
	}
	return vendorapi.Failure{Vendor: vendor, Doing: q.String(), Status: status, Err: errors.New("the result is missing")}.Fault(p.clock.Now())
}

// noZone is the fault for a name that is in no zone of the account.
func (p *Provider) noZone(name string, asked []string) error {
	return fault.New(fault.User, "ZoneNotFound",
		"Found no Zones for domain %s (neither in the sub-domain nor in the SLD) with %s: it sees none named %s; it needs Zone:Zone:Read and Zone:DNS:Edit for the zone, and if %s is a CNAME record into another zone, set cnameStrategy: Follow",
		name, p.credential, strings.Join(asked, ", "), name)
}
