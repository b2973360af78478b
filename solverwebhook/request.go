package solverwebhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/json"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

// DecodeConfig decodes webhook.config of the issuer into a struct with json tags. It
// refuses fields that the struct does not have, repeated fields, and names that differ
// in case only: else a typo would be a setting without effect.
func DecodeConfig(r *v1alpha1.ChallengeRequest, into any) error {
	if r.Config == nil || len(r.Config.Raw) == 0 || string(r.Config.Raw) == "null" {
		return errors.New("webhook.config of the issuer is empty: set it as the solver's documentation says")
	}
	mistakes, err := json.UnmarshalStrict(r.Config.Raw, into)
	if err != nil {
		return fmt.Errorf("webhook.config of the issuer: %s", decodeFailure(err))
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("webhook.config of the issuer: %w", errors.Join(mistakes...))
	}
	return nil
}

// ReadSecret returns an entry of a Secret as text, without surrounding white space,
// which editors and `echo` add. An empty entry is an error. The Secret is in the namespace that the request names:
// for an Issuer its own, for a ClusterIssuer that of cluster resources. A solver that
// reads Secrets elsewhere lets everyone who may create an Issuer use them.
func ReadSecret(ctx context.Context, client kubernetes.Interface, r *v1alpha1.ChallengeRequest, ref corev1.SecretKeySelector) (string, error) {
	if r.ResourceNamespace == "" {
		return "", errors.New("the request names no namespace for Secrets")
	}
	if ref.Name == "" || ref.Key == "" {
		return "", errors.New("webhook.config of the issuer: a reference to a Secret needs name and key")
	}
	secret, err := client.CoreV1().Secrets(r.ResourceNamespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", fmt.Errorf("Secret %s/%s does not exist; create it in this namespace", r.ResourceNamespace, ref.Name)
	case apierrors.IsForbidden(err):
		subject := "the service account of the solver"
		if who, err := whoAmI(ctx, client); err == nil {
			subject = who.name
		}
		return "", fmt.Errorf("Secret %s/%s may not be read by %s: allow it to get this Secret with a Role and a RoleBinding in namespace %s", r.ResourceNamespace, ref.Name, subject, r.ResourceNamespace)
	case err != nil:
		return "", fmt.Errorf("read Secret %s/%s: %w", r.ResourceNamespace, ref.Name, err)
	}
	value, found := secret.Data[ref.Key]
	if !found {
		has := "it is empty"
		if len(secret.Data) > 0 {
			has = "it has: " + strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", ")
		}
		return "", fmt.Errorf("Secret %s/%s has no key %q; %s", r.ResourceNamespace, ref.Name, ref.Key, has)
	}
	text := strings.TrimSpace(string(value))
	switch {
	case text == "":
		return "", fmt.Errorf("Secret %s/%s, key %q: the value is empty", r.ResourceNamespace, ref.Name, ref.Key)
	case !isText(text):
		return "", fmt.Errorf("Secret %s/%s, key %q: the value is not text; was the clear value put under data: instead of stringData:?", r.ResourceNamespace, ref.Name, ref.Key)
	}
	return text, nil
}

// isText reports whether a value is printable text, of several lines if it is PEM or
// JSON.
func isText(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool {
		return !unicode.IsPrint(r) && !unicode.IsSpace(r)
	})
}
