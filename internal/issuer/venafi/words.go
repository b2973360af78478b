package venafi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/internal/foreign"
)

// maxErrors is how many errors of the SaaS are said.
const maxErrors = 3

var (
	// oauthCode is the form of an error code of OAuth, as the servers use it.
	oauthCode = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)
	// oauthCodes are those that RFC 6749 (sections 4.1.2.1 and 5.2), RFC 6750 (section 3.1) and
	// RFC 8628 (section 3.5) define, and which can come without a user at a browser. Without
	// server_error and temporarily_unavailable: they say nothing of what was asked.
	oauthCodes = []string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"invalid_token", "insufficient_scope", "access_denied",
	}
	// cloudStatus is the form of the status of a request to the SaaS.
	cloudStatus = regexp.MustCompile(`^[A-Z_]+$`)
)

// sentence is what a server says in the words of one of the APIs, fit for a status, and
// empty for all else. Gateways in between answer in JSON too, with texts in "error",
// "message" or "status". So only this counts:
//   - of the Web SDK of TPP a text in "Error" or "ErrorDetails", spelled like that, and in
//     "Status" with a number in "Stage";
//   - of OAuth, which TPP uses in all its paths, "error" with one of the codes of the RFCs,
//     or with another code and an "error_description";
//   - of the SaaS "errors" that have a number in "code" and a text in "message";
//   - of a request at the SaaS, in a success, "status" in capital letters and the message in
//     "errorInformation".
func (x *exchange) sentence(status int, body []byte) string {
	var said map[string]json.RawMessage
	if err := json.Unmarshal(body, &said); err != nil {
		return ""
	}
	parts := []string{as[string](said["Error"]), as[string](said["ErrorDetails"])}
	if as[*float64](said["Stage"]) != nil {
		parts = append(parts, as[string](said["Status"]))
	}
	code, description := as[string](said["error"]), as[string](said["error_description"])
	if slices.Contains(oauthCodes, code) || description != "" && oauthCode.MatchString(code) {
		parts = append(parts, code, description)
	}
	for i, e := range as[[]json.RawMessage](said["errors"]) {
		if e := as[map[string]json.RawMessage](e); i < maxErrors && as[*float64](e["code"]) != nil {
			parts = append(parts, as[string](e["message"]))
		}
	}
	if state := as[string](said["status"]); status < http.StatusMultipleChoices && cloudStatus.MatchString(state) {
		parts = append(parts, state, as[string](as[map[string]json.RawMessage](said["errorInformation"])["message"]))
	}
	return x.clean(strings.Join(nonEmpty(parts), ": "))
}

// as is a value in JSON, zero if it is missing or of another type.
func as[T any](text json.RawMessage) T {
	var value T
	if json.Unmarshal(text, &value) != nil {
		var none T
		return none
	}
	return value
}

func nonEmpty(parts []string) []string {
	var out []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// clean makes a foreign text fit for a status, without the credentials.
func (x *exchange) clean(text string) string {
	for _, secret := range x.secrets {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "<secret>")
		}
	}
	return foreign.Text(text, maxSaid)
}
