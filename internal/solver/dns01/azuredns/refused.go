package azuredns

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// unanswered is the fault for an exchange that got no answer.
func (s *source) unanswered(err error) *fault.Error {
	if s.identity.kind == managedIdentity {
		why, _ := foreign.Unreachable(err)
		return fault.New(fault.Transient, "ServerUnreachable", "no Azure identity here: %s is not set (is the label azure.workload.identity/use: \"true\" missing at the pod, or is it older than the label?), "+
			"and the instance metadata service at 169.254.169.254 cannot be reached for %s: %s; outside Azure, give clientID, clientSecretSecretRef and tenantID", envTokenFile, s.identity, why).Because(err)
	}
	return vendorapi.Failure{Vendor: s.vendor(), Doing: s.doing(), Err: err}.Fault(s.clock.Now())
}

func (s *source) vendor() string {
	if s.identity.kind == managedIdentity {
		return "the instance metadata service at 169.254.169.254"
	}
	return "Microsoft Entra ID (" + s.identity.cloud.authority() + ")"
}

func (s *source) doing() string { return fmt.Sprintf("getting a token for %s", s.identity) }

// refused is the fault for an exchange that has failed.
func (s *source) refused(last *outcome, assertion string, err error) *fault.Error {
	failure := vendorapi.Failure{Vendor: s.vendor(), Doing: s.doing(), Status: last.status, Header: last.header, Err: err}
	switch {
	case last.err != nil:
		return s.unanswered(last.err)
	case last.status == 0:
		return invalid("%s cannot be used: the Azure SDK does not accept it", s.identity).Because(err)
	case last.status < 300:
		// The SDK's texts contain the answer.
		failure.Err = errors.New("the Azure SDK does not accept the answer")
		return failure.Fault(s.clock.Now())
	}
	answer := tokenError(last.body)
	failure.Code, failure.Text = foreign.Word(answer.Error, 64), answer.code()
	failure.Err = refusal{last.status, failure.Code}
	switch {
	case last.status == http.StatusTooManyRequests, last.status == http.StatusRequestTimeout, last.status >= 500:
		return failure.Fault(s.clock.Now())
	case s.identity.kind == managedIdentity:
		return s.imdsRefused(last.status, answer).Because(failure.Err)
	default:
		return s.entraRefused(last.status, answer, assertion).Because(failure.Err)
	}
}

// tokenAnswer is the body of an OAuth error (RFC 6749 section 5.2), with Entra's codes.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response-1
type tokenAnswer struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
}

func tokenError(body []byte) tokenAnswer {
	var a tokenAnswer
	if json.Unmarshal(body, &a) != nil {
		return tokenAnswer{}
	}
	return a
}

var aadsts = regexp.MustCompile(`AADSTS\d{4,10}`)

// code returns Entra's code, such as AADSTS700016, or "".
func (a tokenAnswer) code() string {
	if code := aadsts.FindString(a.Description); code != "" {
		return code
	}
	if len(a.Codes) > 0 {
		return "AADSTS" + strconv.Itoa(a.Codes[0])
	}
	return ""
}

// explanation says what a code means and what to do.
type explanation struct{ what, advice string }

// Advice that several codes share. {cloud} is the name of the cloud.
const (
	checkIDs     = "check clientID and tenantID"
	checkTenants = "check tenantID, and set environment to the cloud of the tenant; it is {cloud}"
	federate     = "add a federated credential to the identity with exactly the issuer, subject and audience of that token"
)

// explanations has the codes that a client without a user meets.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var explanations = map[string]explanation{
	"AADSTS700016":  {"the tenant has no application or managed identity with this client id", checkIDs},
	"AADSTS7000229": {"the tenant has no service principal for this client id", "create it (az ad sp create --id), or " + checkIDs},
	"AADSTS7000112": {"the application is disabled", "enable it in Microsoft Entra ID"},
	"AADSTS7000215": {"the client secret is wrong", "store the value of a client secret, not its id, in the Secret of clientSecretSecretRef"},
	"AADSTS7000222": {"the client secret has expired", "make a new one, and store it in the Secret of clientSecretSecretRef"},
	"AADSTS70021":   {"the identity has no federated credential for the token of the service account", federate},
	"AADSTS700211":  {"the identity has no federated credential with the issuer of the token of the service account", federate},
	"AADSTS700212":  {"the identity has no federated credential with the audience of the token of the service account", federate},
	"AADSTS700213":  {"the identity has no federated credential with the subject of the token of the service account", federate},
	"AADSTS700024":  {"the token of the service account has expired, or is not valid yet", "check the clock of this machine, and that the kubelet renews the token"},
	"AADSTS700027":  {"the signature of the token of the service account does not fit the keys of its issuer", "check that the issuer's discovery document and keys are public and current"},
	"AADSTS90002":   {"the tenant does not exist in this cloud", checkTenants},
	"AADSTS900021":  {"the tenant does not exist in this cloud", checkTenants},
	"AADSTS900023":  {"tenantID is neither an id nor a domain of a tenant", checkTenants},
	"AADSTS900382":  {"the tenant belongs to another cloud", checkTenants},
	"AADSTS500011":  {"the tenant does not know the API of this cloud", checkTenants},
	"AADSTS53003":   {"a conditional access policy of the tenant blocks it", "exclude the identity from the policy"},
}

// answered says what was answered to whom.
func (s *source) answered(status int, answer tokenAnswer) string {
	said := fmt.Sprintf("HTTP %d", status)
	switch word, code := foreign.Word(answer.Error, 64), answer.code(); {
	case word != "" && code != "":
		said += fmt.Sprintf(" (%s: %s)", word, code)
	case word != "" || code != "":
		said += fmt.Sprintf(" (%s%s)", word, code)
	}
	return fmt.Sprintf("%s answered %s to %s", s.vendor(), said, s.doing())
}

// entraRefused is the fault for a service principal or a workload identity.
func (s *source) entraRefused(status int, answer tokenAnswer, assertion string) *fault.Error {
	id := s.identity
	message := s.answered(status, answer)
	if e, ok := explanations[answer.code()]; ok {
		message += fmt.Sprintf(": %s; %s", e.what, strings.ReplaceAll(e.advice, "{cloud}", id.cloud.name))
	} else {
		message += "; " + checkIDs + ", and that the identity is enabled"
	}
	if id.kind == workloadIdentity {
		message += "; " + claimsOf(assertion)
		if id.ignoredResourceID {
			message += "; managedIdentity.resourceID is not used, because the pod has a workload identity"
		}
	}
	return fault.New(fault.User, "Unauthorized", "%s", message)
}

// claimsOf describes the token of a service account (RFC 7519), with what a federated
// credential needs, and nothing that changes when the token is renewed.
func claimsOf(assertion string) string {
	var claims struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "the file of " + envTokenFile + " has no JSON Web Token"
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return "the file of " + envTokenFile + " has no JSON Web Token"
	}
	audiences := []string{""}
	if json.Unmarshal(claims.Audience, &audiences) != nil {
		_ = json.Unmarshal(claims.Audience, &audiences[0])
	}
	return fmt.Sprintf("the token of the service account has issuer %s, subject %s and audience %s", claims.Issuer, claims.Subject, strings.Join(audiences, ", "))
}

// imdsRefused is the fault for a managed identity.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
func (s *source) imdsRefused(status int, answer tokenAnswer) *fault.Error {
	said, description := s.answered(status, answer), strings.ToLower(answer.Description)
	named := s.identity.clientID != "" || s.identity.resourceID != ""
	contains := func(text string) bool { return strings.Contains(description, text) }
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		// The service starts, or is updated.
		return fault.New(fault.Transient, "ServerError", "%s", said)
	case answer.Error == "" && answer.Description == "":
		said += ", but not as that of Azure does: no Azure identity here; on Azure, check what else listens at that address, such as a proxy; outside, give clientID, clientSecretSecretRef and tenantID"
	case contains("multiple user assigned identities"):
		said += ": the node has several; set managedIdentity.clientID, for the identity of the kubelet to what az aks show --query identityProfile.kubeletidentity.clientId prints"
	case contains("identity not found") && named:
		said += ": it is not assigned to this node; assign it to the scale set of the node pool, or correct managedIdentity"
	case contains("identity not found"), contains("no default identity"), contains("no managed identity"):
		said += ": the node has no system-assigned identity; set managedIdentity.clientID to an identity that is assigned to it"
	default:
		said += "; check managedIdentity, and that the identity is assigned to the scale set of the node pool"
	}
	return fault.New(fault.User, "Unauthorized", "%s", said)
}
