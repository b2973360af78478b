package clouddns

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// limitWait is the wait after a rate limit without Retry-After. Google's limits are per
// minute.
const limitWait = time.Minute

// statusOf returns the HTTP status code of Google's answer, or 0.
func statusOf(err error) int {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// reasonOf returns the reason in Google's answer, such as "forbidden", or "".
func reasonOf(err error) string {
	var answer *googleapi.Error
	if errors.As(err, &answer) && len(answer.Errors) > 0 {
		return answer.Errors[0].Reason
	}
	return ""
}

// overtaken reports whether another change came between reading and writing: what the
// change deletes is another set (412) or is gone (404), or what it adds exists (409).
func overtaken(err error) bool {
	switch statusOf(err) {
	case http.StatusPreconditionFailed, http.StatusConflict, http.StatusNotFound:
		return true
	}
	return false
}

// limited reports whether Google has refused a request because there were too many.
// Older APIs say so with 403.
func limited(err error) bool {
	switch reasonOf(err) {
	case "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded":
		return true
	}
	return statusOf(err) == http.StatusTooManyRequests
}

// refused is the fault for a change that Cloud DNS has refused.
func (p *Provider) refused(err error, r dns01.Record, doing string) error {
	var answer *googleapi.Error
	if errors.As(err, &answer) && answer.Code == http.StatusBadRequest && strings.Contains(answer.Message, "CNAME") {
		return fault.New(fault.User, "RecordInTheWay",
			"the Cloud DNS API answered HTTP 400 (%s): %s is an alias (CNAME), beside which no TXT record can be; remove the CNAME record, or, if its target is in a zone of yours, set cnameStrategy: Follow",
			foreign.Text(answer.Message, 256), dnsname.Canonical(r.FQDN)).Because(err)
	}
	return p.failure(err, doing)
}

// failure is the fault for a request that Google has refused or not answered.
func (p *Provider) failure(err error, doing string) error {
	var auth *authError
	if errors.As(err, &auth) {
		return p.noToken(auth)
	}
	now := p.clock.Now()
	f := vendorapi.Failure{Vendor: "the Cloud DNS API", Doing: doing, Err: err}
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		f.Status, f.Code, f.Header = answer.Code, reasonOf(err), answer.Header
		if f.Code != "" {
			f.Text = answer.Message
		}
	}
	switch {
	case limited(err):
		again := foreign.RetryAfter(f.Header, now)
		if again.IsZero() {
			again = now.Add(limitWait)
		}
		return fault.Until(again, "RateLimited", "%s answered HTTP %d (%s) to %s: the project has used up its quota of requests", f.Vendor, f.Status, f.Code, doing).Because(err)
	case f.Status == http.StatusUnauthorized:
		p.account.forget()
		f.Advice = "check " + p.account.name
	case f.Code == "accessNotConfigured":
		f.Text = ""
		f.Advice = fmt.Sprintf("enable the API dns.googleapis.com in project %q and in that of %s", p.project, p.account.name)
	default:
		f.Advice = fmt.Sprintf("grant %s the role roles/dns.admin in project %q", p.account.name, p.project)
	}
	return f.Fault(now)
}

// noToken is the fault if there is no access token.
func (p *Provider) noToken(err *authError) error {
	var missing *notFoundError
	if errors.As(err, &missing) {
		return fault.New(fault.Transient, "NoCredentials",
			"no Google credentials in the environment: neither the file of GOOGLE_APPLICATION_CREDENTIALS nor the machine's metadata gives any; set serviceAccountSecretRef, or let the controller's pod have an identity (Workload Identity Federation for GKE)").Because(err)
	}
	f := vendorapi.Failure{Vendor: "Google", Doing: "the request of " + p.account.name + " for an access token", Err: err}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		f.Status, f.Header = refused.Response.StatusCode, refused.Response.Header
		// RFC 6749 section 5.2.
		var body struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(refused.Body, &body) == nil {
			f.Code, f.Text = body.Error, body.Description
		}
	}
	switch {
	case strings.Contains(f.Text, "iat and exp"):
		f.Text += "; the clock of this machine is wrong: set it by NTP"
	case f.Code == "invalid_grant":
		f.Text = strings.TrimSuffix(f.Text, ".") + "; the key or the account has been deleted or disabled, or the key is another account's: create a new key"
	}
	f.Advice = "check that the account exists and is enabled"
	return f.Fault(p.clock.Now())
}
