package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestRefusal has the answers of API servers to writes that they refuse, with and
// without a private key in the write.
func TestRefusal(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----"
	secrets := schema.GroupResource{Resource: "secrets"}
	forbidden := func(text string) error { return apierrors.NewForbidden(secrets, "web-tls", errors.New(text)) }
	invalid := func(errs ...*field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "web-tls", errs)
	}
	status := func(code int32, reason metav1.StatusReason, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: message}}
	}
	terminating := apierrors.NewForbidden(secrets, "web-tls", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	tests := []struct {
		name   string
		err    error
		kind   RefusalKind
		secret string
		public string
	}{
		{
			"immutable",
			invalid(field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set")),
			RefusedImmutable, "it is immutable", "it is immutable",
		},
		{
			"quota",
			forbidden("exceeded quota: small, requested: secrets=1, used: secrets=5, limited: secrets=5"),
			RefusedQuota, "exceeded quota: small",
			"exceeded quota: small, requested: secrets=1, used: secrets=5, limited: secrets=5",
		},
		{
			"no permission",
			forbidden(`User "system:serviceaccount:cm:cm" cannot patch resource "secrets" in API group "" in the namespace "app"`),
			RefusedPermission, `User "system:serviceaccount:cm:cm" cannot patch resource "secrets"`,
			`User "system:serviceaccount:cm:cm" cannot patch resource "secrets" in API group "" in the namespace "app"`,
		},
		{
			"policy that repeats the key",
			status(422, metav1.StatusReasonInvalid, `secrets "web-tls" is forbidden: ValidatingAdmissionPolicy 'p.example.com' with binding 'all' denied request: `+key),
			RefusedPolicy, `ValidatingAdmissionPolicy "p.example.com" denies it`, "",
		},
		{
			"webhook that repeats the key, with a code of its own",
			status(418, "Teapot", `admission webhook "w.example.com" denied the request: `+key),
			RefusedPolicy, `admission webhook "w.example.com" denies it`, "",
		},
		{
			"webhook that does not answer",
			apierrors.NewInternalError(errors.New(`failed calling webhook "w.example.com": no endpoints`)),
			RefusedPolicy, `admission webhook "w.example.com" does not answer`,
			`Internal error occurred: failed calling webhook "w.example.com": no endpoints`,
		},
		{"forbidden, for no reason that is known", forbidden(key), RefusedPolicy, `the API server answers "Forbidden"`, ""},
		{
			"bad label",
			invalid(field.Invalid(field.NewPath("metadata", "labels"), "a b", "no spaces")),
			RefusedInvalid, `metadata.labels: Invalid value: "a b": no spaces`, `metadata.labels: Invalid value: "a b": no spaces`,
		},
		{
			"bad data",
			invalid(field.Invalid(field.NewPath("data").Key("tls.key"), key+`": "`+key, "no PEM"), field.Required(field.NewPath("type"), "say it")),
			RefusedInvalid, `data[tls.key]: Invalid value: no PEM, type: Required value: say it`, "",
		},
		{
			"bad value that is no string",
			invalid(field.Invalid(field.NewPath("data"), map[string]string{"tls.key": key}, "no")),
			RefusedInvalid, `data: Invalid value`, "",
		},
		{
			"too much data",
			invalid(field.TooLong(field.NewPath("data"), "", 1048576)),
			RefusedTooLarge, "data: Too long: may not be more than 1048576 bytes", "data: Too long: may not be more than 1048576 bytes",
		},
		{
			"too large a body",
			apierrors.NewRequestEntityTooLargeError("limit is 3145728"),
			RefusedTooLarge, "it is larger than the API server takes", "Request entity too large: limit is 3145728",
		},
		{"bad request", apierrors.NewBadRequest(key), RefusedInvalid, `the API server answers "BadRequest"`, key},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", test.err)
			r, ok := RefusalOf(err, true)
			if want := (Refusal{test.kind, test.secret}); !ok || r != want {
				t.Errorf("of a key: %+v, %t, want %+v", r, ok, want)
			}
			if strings.Contains(r.Cause, "PRIVATE") {
				t.Errorf("a key is repeated: %s", r.Cause)
			}
			r, ok = RefusalOf(err, false)
			if !ok || r.Kind != test.kind || (test.public != "" && r.Cause != test.public) {
				t.Errorf("in public: %+v, %t, want %q", r, ok, test.public)
			}
			if r.Advice() == "" {
				t.Error("no advice")
			}
		})
	}
	for name, err := range map[string]error{
		"no answer": errors.New("no answer"), "conflict": apierrors.NewConflict(secrets, "x", nil), "gone": apierrors.NewNotFound(secrets, "x"),
		"overload": apierrors.NewTooManyRequests("later", 1), "time-out": apierrors.NewTimeoutError("x", 1), "namespace ends": terminating,
		"server error": apierrors.NewInternalError(errors.New("x")),
	} {
		if r, ok := RefusalOf(err, false); ok {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, _ := RefusalOf(apierrors.NewBadRequest(strings.Repeat("ö", 400)), false); len(r.Cause) > maxCause+len("…") || !strings.HasSuffix(r.Cause, "ö…") {
		t.Errorf("a long cause: %d bytes", len(r.Cause))
	}
}
