package azuredns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

const vendor = "the Azure API"

// refusal is the cause of a fault for an answer with an error.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string { return fmt.Sprintf("HTTP %d %s", r.status, r.code) }

// statusOf returns the HTTP status code of the answer that an error is for, 0 for other
// errors.
func statusOf(err error) int {
	var r refusal
	errors.As(err, &r)
	return r.status
}

// codeOf returns the API's code of the answer that an error is for, or "".
func codeOf(err error) string {
	var r refusal
	errors.As(err, &r)
	return r.code
}

// parentNotFound is the code for records of a zone that does not exist.
const parentNotFound = "ParentResourceNotFound"

// zoneMissing reports whether an error says that the zone or what it is in does not
// exist.
func zoneMissing(err error) bool {
	switch codeOf(err) {
	case parentNotFound, "ResourceGroupNotFound", "SubscriptionNotFound":
		return true
	default:
		return false
	}
}

// call asks the API, and returns a fault if that fails. It asks again with a new token
// if the one that was refused is old: the API looks at the assignments of the time when a
// token was made.
func (p *Provider) call(ctx context.Context, doing string, ask func(context.Context) error) error {
	err := p.once(ctx, doing, ask)
	if status := statusOf(err); (status == http.StatusUnauthorized || status == http.StatusForbidden) && p.source.renew() {
		err = p.once(ctx, doing, ask)
	}
	return err
}

func (p *Provider) once(ctx context.Context, doing string, ask func(context.Context) error) error {
	ctx, last := observe(ctx)
	if err := ask(ctx); err != nil {
		return p.failed(doing, last, err)
	}
	return nil
}

// failed is the fault for a request to the API.
func (p *Provider) failed(doing string, last *outcome, err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f // there is no token
	}
	failure := vendorapi.Failure{Vendor: vendor, Doing: doing, Status: last.status, Header: last.header, Err: err}
	if last.err != nil {
		failure.Err = last.err
	}
	if last.status < 300 {
		return failure.Fault(p.clock.Now())
	}
	failure.Code, failure.Text = apiError(last.body)
	failure.Err = refusal{last.status, failure.Code}
	switch last.status {
	case http.StatusUnauthorized:
		if failure.Code == "ExpiredAuthenticationToken" {
			return fault.New(fault.Transient, "Unauthorized", "%s says that the token of %s has expired; check the clock of this machine", vendor, p.source.identity).Because(failure.Err)
		}
		failure.Text = ""
		failure.Advice = fmt.Sprintf("it does not accept the token of %s: check that subscription %s belongs to the tenant of that identity, and that environment is the cloud of both (it is %s)",
			p.source.identity, p.config.SubscriptionID, p.source.identity.cloud.name)
	case http.StatusForbidden:
		failure.Advice = p.forbidden(failure.Text)
		if failure.Code == authorizationFailed {
			failure.Text = ""
		}
	}
	return failure.Fault(p.clock.Now())
}

// authorizationFailed is the code of a request that no role assignment allows.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
const authorizationFailed = "AuthorizationFailed"

var (
	objectID = regexp.MustCompile(`object id '([0-9A-Za-z-]+)'`)
	action   = regexp.MustCompile(`perform action '([0-9A-Za-z./*]+)'`)
	scope    = regexp.MustCompile(`over scope '(/[0-9A-Za-z./_()@*-]+)'`)
)

// maxText bounds the text of the API that is looked into.
const maxText = 2048

// forbidden says what to do about a missing permission, from the API's text.
func (p *Provider) forbidden(text string) string {
	text = text[:min(len(text), maxText)]
	role := "DNS Zone Contributor"
	if p.config.ZoneType == privateZone {
		role = "Private DNS Zone Contributor"
	}
	who := p.source.identity.String()
	if m := objectID.FindStringSubmatch(text); m != nil {
		who += fmt.Sprintf(" (object id %s)", m[1])
	}
	what := "this"
	if m := action.FindStringSubmatch(text); m != nil {
		what = m[1]
	}
	if m := scope.FindStringSubmatch(text); m != nil {
		what += " over " + m[1]
	}
	return fmt.Sprintf("%s may not do %s: assign it the role %q at the zone or at resource group %q (with the role at the zone only, set hostedZoneName); a new assignment takes some minutes",
		who, what, role, p.config.ResourceGroupName)
}

// apiError reads the body of an error.
// https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
// has the form with "error"; the DNS services answer without for records.
func apiError(body []byte) (code, text string) {
	type details struct{ Code, Message string }
	var e struct {
		Error details
		details
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	if e.Error != (details{}) {
		return e.Error.Code, e.Error.Message
	}
	return e.Code, e.Message
}

// noZone is the fault for a name without a zone.
func (p *Provider) noZone(zone, fqdn string, err error) *fault.Error {
	return fault.New(fault.User, "ZoneNotFound", "Zone %s not found in AzureDNS for domain %s. Err: %s", zone, fqdn, err).Because(errors.Unwrap(err))
}

// noneOf says that a name is in none of the zones.
func noneOf(kind string, c Config, zones []string) error {
	group := fmt.Sprintf("resource group %q of subscription %s", c.ResourceGroupName, c.SubscriptionID)
	if len(zones) == 0 {
		return fmt.Errorf("there are no %s zones in %s; check subscriptionID, resourceGroupName and zoneType", kind, group)
	}
	return fmt.Errorf("the name is in none of the %s zones of %s, which are %s", kind, group, listed(zones))
}
