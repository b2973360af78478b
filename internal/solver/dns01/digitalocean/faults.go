package digitalocean

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/digitalocean/godo"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// query is a request in messages, and the scope of tokens that it needs.
type query struct{ doing, scope string }

// failed is the fault for a request.
func (p *Provider) failed(q query, err error) error {
	failure := vendorapi.Failure{Vendor: "the DigitalOcean API", Doing: q.doing, Err: err}
	var (
		answer *godo.ErrorResponse
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &answer):
		failure.Status, failure.Header = answer.Response.StatusCode, answer.Response.Header
		// The SDK's message is the whole body if that is not JSON.
		if strings.Contains(answer.Response.Header.Get("Content-Type"), "json") {
			failure.Text = answer.Message
		}
	case errors.As(err, &syntax), errors.As(err, &kind):
		failure.Status = http.StatusOK
	}
	switch failure.Status {
	case http.StatusUnauthorized:
		failure.Advice = fmt.Sprintf("check that %s is a personal access token that has not expired", p.credential)
	case http.StatusForbidden:
		failure.Advice = fmt.Sprintf("check that %s has the scope %s", p.credential, q.scope)
	}
	return failure.Fault(p.clock.Now())
}

// noDomain is the fault for a name that is in no domain of the account.
func (p *Provider) noDomain(name string, asked []string) error {
	return fault.New(fault.User, "ZoneNotFound",
		"found no domain for %s in the DigitalOcean account of %s: it has none named %s; add the domain to that account or team, and if %s is a CNAME record into another domain, set cnameStrategy: Follow",
		name, p.credential, strings.Join(asked, ", "), name)
}
