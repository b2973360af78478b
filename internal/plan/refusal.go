package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Refusal is why the API server refuses a write for as long as nobody changes
// something.
type Refusal struct {
	Kind RefusalKind
	// Cause is the server's, without the name of the object.
	Cause string
}

// RefusalKind says who can end a Refusal.
type RefusalKind int

// The kinds of a Refusal.
const (
	// RefusedOther is all that the following are not.
	RefusedOther RefusalKind = iota
	// RefusedImmutable is an object that does not change any more.
	RefusedImmutable
	// RefusedQuota is a ResourceQuota that is used up.
	RefusedQuota
	// RefusedPermission is a permission that everleaf does not have.
	RefusedPermission
	// RefusedPolicy is an admission policy or an admission webhook.
	RefusedPolicy
	// RefusedInvalid is an object with a value that the API server does not take.
	RefusedInvalid
	// RefusedTooLarge is an object that is too large.
	RefusedTooLarge
)

// Advice is what ends the refusal.
func (r Refusal) Advice() string {
	switch r.Kind {
	case RefusedImmutable:
		return "delete the object, or use another name"
	case RefusedQuota:
		return "raise the quota, or delete objects that are not needed"
	case RefusedPermission:
		return "grant the permission"
	case RefusedPolicy:
		return "change the policy, or what it refuses"
	case RefusedTooLarge:
		return "make the object smaller, for example by fewer names"
	default:
		return "correct what the API server refuses"
	}
}

// What API servers write about refusals. Names of objects and users are all that
// the groups match: none of them can be a private key.
var (
	quotaWords      = regexp.MustCompile(`exceeded quota: ([a-z0-9][a-z0-9.-]{0,252})\b`)
	permissionWords = regexp.MustCompile(`User "([A-Za-z0-9:@._-]+)" cannot ([a-z]+) resource "([a-z./]+)"`)
	policyWords     = regexp.MustCompile(`ValidatingAdmissionPolicy '([a-z0-9.-]+)' with binding '[a-z0-9.-]+' denied request`)
	webhookWords    = regexp.MustCompile(`admission webhook "([a-z0-9.-]+)" denied the request`)
	unreachable     = regexp.MustCompile(`failed calling webhook "([a-z0-9.-]+)"`)
)

const immutableWords = "field is immutable"

// maxCause bounds the length of a cause.
const maxCause = 500

// RefusalOf returns why the API server refuses a write, and whether it does. A
// write that carries a private key is secret: an answer to it may repeat the key,
// so the cause then consists of fields and names only, without values.
func RefusalOf(err error, secret bool) (Refusal, bool) {
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return Refusal{}, false
	}
	status := answered.Status()
	r, ok := recognize(status)
	if !ok {
		return Refusal{}, false
	}
	if !secret && r.Kind != RefusedImmutable {
		r.Cause = withoutObject(status.Message)
	}
	if fields := fieldsOf(status, secret); r.Cause == "" && fields != "" {
		r.Cause = fields
	}
	if r.Cause == "" {
		r.Cause = "the API server answers " + strconv.Quote(string(status.Reason))
	}
	if len(r.Cause) > maxCause {
		r.Cause = strings.ToValidUTF8(r.Cause[:maxCause], "") + "…"
	}
	return r, true
}

// recognize finds the kind of a refusal, with a cause that can be shown for any
// write if there is one.
func recognize(status metav1.Status) (Refusal, bool) {
	message := status.Message
	if m := quotaWords.FindStringSubmatch(message); m != nil {
		return Refusal{RefusedQuota, "exceeded quota: " + m[1]}, true
	}
	if m := permissionWords.FindStringSubmatch(message); m != nil {
		return Refusal{RefusedPermission, fmt.Sprintf("User %q cannot %s resource %q", m[1], m[2], m[3])}, true
	}
	if m := policyWords.FindStringSubmatch(message); m != nil {
		return Refusal{RefusedPolicy, fmt.Sprintf("ValidatingAdmissionPolicy %q denies it", m[1])}, true
	}
	if m := webhookWords.FindStringSubmatch(message); m != nil {
		return Refusal{RefusedPolicy, fmt.Sprintf("admission webhook %q denies it", m[1])}, true
	}
	if m := unreachable.FindStringSubmatch(message); m != nil {
		return Refusal{RefusedPolicy, fmt.Sprintf("admission webhook %q does not answer", m[1])}, true
	}
	switch status.Reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonUnauthorized:
		return Refusal{Kind: RefusedPolicy}, true
	case metav1.StatusReasonRequestEntityTooLarge:
		return Refusal{RefusedTooLarge, "it is larger than the API server takes"}, true
	case metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest:
		if strings.Contains(message, immutableWords) {
			return Refusal{RefusedImmutable, "it is immutable"}, true
		}
		if strings.Contains(message, "Too long: may not be more than") {
			return Refusal{Kind: RefusedTooLarge}, true
		}
		return Refusal{Kind: RefusedInvalid}, true
	case metav1.StatusReasonMethodNotAllowed, metav1.StatusReasonNotAcceptable, metav1.StatusReasonUnsupportedMediaType:
		return Refusal{}, true
	default:
		return Refusal{}, false
	}
}

// withoutObject is what follows the name of the object in an answer.
func withoutObject(message string) string {
	for _, words := range []string{" is forbidden: ", " is invalid: "} {
		if _, cause, ok := strings.Cut(message, words); ok {
			return cause
		}
	}
	return message
}

// fieldsOf is what is wrong with which field.
func fieldsOf(status metav1.Status, secret bool) string {
	if status.Details == nil {
		return ""
	}
	var all []string
	for _, c := range status.Details.Causes {
		if c.Field == "" {
			continue
		}
		message := c.Message
		if secret && !strings.HasPrefix(c.Field, "metadata.") {
			message = withoutValue(c)
		}
		all = append(all, c.Field+": "+message)
	}
	return strings.Join(all, ", ")
}

// withoutValue is the message of a cause without the value of its field, which
// is quoted if it is a string.
func withoutValue(c metav1.StatusCause) string {
	switch c.Type {
	case metav1.CauseTypeFieldValueRequired, metav1.CauseTypeForbidden, metav1.CauseTypeTooLong:
		return c.Message
	}
	kind, rest, _ := strings.Cut(c.Message, ": ")
	value, err := strconv.QuotedPrefix(rest)
	if detail, ok := strings.CutPrefix(rest[len(value):], ": "); err == nil && ok {
		return kind + ": " + detail
	}
	return kind
}
