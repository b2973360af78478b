// Package apicheck checks whether CertificateRequests can be created, which is what an
// installation of cert-manager's API has to be able to do before anybody uses it. It
// creates a valid and an invalid one by dry run, so that nothing is stored, and says in
// the words of cert-manager's startupapicheck which part is not ready.
package apicheck

import (
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Admission is what checks and completes the objects of cert-manager's API.
type Admission string

const (
	// Auto takes whichever of the two answers.
	Auto Admission = "auto"
	// Webhook is `everleaf webhook`, or cert-manager's.
	Webhook Admission = "webhook"
	// Policies is the admission policies of package deploy.
	Policies Admission = "policies"
)

// NotReady is an answer of the API that shows that a part is not ready.
type NotReady struct {
	// Text is the part, in the words of cert-manager where it has any.
	Text string
	// Hint is what to look at; may be empty.
	Hint string
	// Cause is the answer of the API server, or nil if it accepted the request.
	Cause error
}

// Error implements error.
func (n *NotReady) Error() string {
	text := n.Text
	if n.Cause != nil && n.Cause.Error() != text {
		text += fmt.Sprintf(" (%s)", n.Cause)
	}
	if n.Hint != "" {
		text += "; " + n.Hint
	}
	return text
}

// Unwrap returns the cause.
func (n *NotReady) Unwrap() error { return n.Cause }

// pattern is a text of the API server and what it means. The order counts.
type pattern struct {
	text *regexp.Regexp
	part string
	hint string
	// answer is set if the text means this only as an answer of the API server: if it
	// cannot be reached itself, the error looks alike.
	answer bool
}

// ownWebhook is the refusal of the webhook, whose name is a part of the API.
const ownWebhook = `admission webhook "webhook\.cert-manager\.io" denied the request: (.*)`

// ownPolicies is the refusal of the policy of CertificateRequests.
const ownPolicies = `ValidatingAdmissionPolicy 'certificaterequests\.cert-manager\.io' with binding '(.*)' denied request: (.*)`

var patterns = []pattern{
	{regexp.MustCompile(`the server could not find the requested resource` +
		`|failed to find API group "cert-manager\.io"` +
		`|no resources found for group "cert-manager\.io/v1"` +
		`|no matches for kind "CertificateRequest" in group "cert-manager\.io"` +
		`|no matches for kind "CertificateRequest" in version "cert-manager\.io/v1"`), textCRDs, hintCRDs, false},
	{regexp.MustCompile(`Post "(.*)": service "(.*)-webhook" not found`), textService, hintService, true},
	{regexp.MustCompile(`Post "(.*)": (.*): connect: connection refused`), textRefused, hintWebhook, true},
	{regexp.MustCompile(`Post "(.*)": (tls: failed to verify certificate: )?x509: certificate signed by unknown authority`), textCA, hintInjector, true},
	{webhookRefusal, textMutated, hintOtherMutation, false},
	{policyRefusal, textPolicyMutated, hintPolicies, false},
	{regexp.MustCompile(`certificaterequests\.cert-manager\.io is forbidden`), textFailed, hintRole, false},
	{regexp.MustCompile(`admission webhook "(.*)" denied the request: (.*)`), textFailed, hintForeign, false},
	// From here on, the error itself is the text.
	{regexp.MustCompile(`failed calling webhook "webhook\.cert-manager\.io": .*x509: (certificate is valid for |certificate is not valid for any names|certificate relies on legacy Common Name|cannot validate certificate for )`), "", hintOtherServer, true},
	{regexp.MustCompile(`failed calling webhook "webhook\.cert-manager\.io"`), "", hintPath, true},
}

var (
	webhookRefusal = regexp.MustCompile(ownWebhook)
	policyRefusal  = regexp.MustCompile(ownPolicies)
)

// classify says what an error of a dry-run create means.
func classify(err error) *NotReady {
	var status apierrors.APIStatus
	answered := errors.As(err, &status)
	text := err.Error()
	for _, known := range patterns {
		if (answered || !known.answer) && known.text.MatchString(text) {
			part := known.part
			if part == "" {
				part = text
			}
			return &NotReady{Text: part, Hint: known.hint, Cause: err}
		}
	}
	if !answered {
		return &NotReady{Text: text, Hint: hintAPIServer, Cause: err}
	}
	return &NotReady{Text: text, Cause: err}
}

// judgeValid judges the answer to a create of a valid request. A *NotReady says which
// part is not ready.
func (a Admission) judgeValid(created *cmv1.CertificateRequest, err error) error {
	switch {
	case err != nil:
		return classify(err)
	case created.Spec.Username != "" || created.Spec.UID != "":
		return nil
	case a == Policies:
		return &NotReady{Text: textPolicyNotMutated, Hint: hintPolicies}
	default:
		return &NotReady{Text: textNotMutated, Hint: hintConfigured}
	}
}

// judgeInvalid judges the answer to a create of an invalid request, after a valid one
// was accepted.
func (a Admission) judgeInvalid(err error) error {
	text := ""
	if err != nil {
		text = err.Error()
	}
	webhook, policies := webhookRefusal.MatchString(text), policyRefusal.MatchString(text)
	switch {
	case webhook && a != Policies, policies && a != Webhook:
		return nil
	case webhook:
		return &NotReady{Text: textPolicyNotValidated, Hint: hintWrongPolicies, Cause: err}
	case policies:
		return &NotReady{Text: textNotValidated, Hint: hintWrongWebhook, Cause: err}
	case err != nil:
		return classify(err)
	case a == Policies:
		return &NotReady{Text: textPolicyNotValidated, Hint: hintPolicies}
	default:
		return &NotReady{Text: textNotValidated, Hint: hintConfigured}
	}
}
