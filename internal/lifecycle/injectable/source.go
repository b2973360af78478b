// Package injectable decides which CA an object gets that asks for one by its
// annotations, such as a webhook configuration: where the CA comes from, what the
// object's bundle of CAs is then, and when a bundle that somebody else keeps changing
// is written again. It is pure.
package injectable

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// ErrNoSource means that an object does not ask for a CA.
var ErrNoSource = errors.New("the object has no annotation that names a CA")

// Nothing is why nothing is injected into an object that asks for a CA. It is no
// failure: an event of what it names brings the object back.
type Nothing struct{ Reason string }

// Error implements error.
func (n *Nothing) Error() string { return n.Reason }

func nothing(format string, args ...any) error { return &Nothing{fmt.Sprintf(format, args...)} }

// Kinds of sources.
const (
	KindSecret      = "Secret"
	KindCertificate = "Certificate"
	KindAPIServer   = "API server"
)

// Source is where the CA of an object comes from.
type Source struct {
	// Kind is one of the constants.
	Kind string
	// Key names the Secret or the Certificate.
	Key types.NamespacedName
}

// String implements fmt.Stringer.
func (s Source) String() string {
	if s.Kind == KindAPIServer {
		return s.Kind
	}
	return s.Kind + " " + s.Key.String()
}

// Annotations are the annotations that ask for a CA. The first that an object has
// decides, even if there is nothing to inject then.
var Annotations = []string{cmv1.WantInjectFromSecretAnnotation, cmv1.WantInjectAnnotation, cmv1.WantInjectAPIServerCAAnnotation}

// Asks reports whether annotations ask for a CA.
func Asks(annotations map[string]string) bool {
	return slices.ContainsFunc(Annotations, func(a string) bool {
		_, ok := annotations[a]
		return ok
	})
}

// SourceOf returns the source that annotations name. The error is ErrNoSource or a
// *Nothing.
func SourceOf(annotations map[string]string) (Source, error) {
	if value, ok := annotations[cmv1.WantInjectFromSecretAnnotation]; ok {
		return named(KindSecret, cmv1.WantInjectFromSecretAnnotation, value)
	}
	if value, ok := annotations[cmv1.WantInjectAnnotation]; ok {
		return named(KindCertificate, cmv1.WantInjectAnnotation, value)
	}
	switch value, ok := annotations[cmv1.WantInjectAPIServerCAAnnotation]; {
	case !ok:
		return Source{}, ErrNoSource
	case value != "true":
		return Source{}, nothing(`the annotation %s has the value %q: set it to "true"`, cmv1.WantInjectAPIServerCAAnnotation, value)
	}
	return Source{Kind: KindAPIServer}, nil
}

func named(kind, annotation, value string) (Source, error) {
	namespace, name, _ := strings.Cut(value, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return Source{}, nothing("the annotation %s has the value %q: set it to <namespace>/<name> of a %s", annotation, value, kind)
	}
	return Source{kind, types.NamespacedName{Namespace: namespace, Name: name}}, nil
}

// Scope says which namespaces the Secrets and Certificates may be in.
type Scope struct {
	// Namespace is the only one; empty is all except those that are ignored.
	Namespace string
	Ignored   []string
}

// Check returns a *Nothing if a source is in no namespace of the scope.
func (s Scope) Check(source Source) error {
	switch {
	case source.Kind == KindAPIServer:
		return nil
	case s.Namespace != "" && source.Key.Namespace != s.Namespace:
		return nothing("%s is not in namespace %s, the only one that --namespace allows", source, s.Namespace)
	case slices.Contains(s.Ignored, source.Key.Namespace):
		return nothing("%s is in a namespace that --ignore-namespaces excludes", source)
	default:
		return nil
	}
}

// Missing is the reason if a source does not exist.
func Missing(source Source) error { return nothing("%s does not exist", source) }

// MissingSecret is the reason if the Secret of a source does not exist.
func MissingSecret(source Source, secret types.NamespacedName) error {
	if source.Kind == KindSecret {
		return Missing(source)
	}
	return nothing("Secret %s of %s does not exist yet", secret, source)
}

// Allowed returns a *Nothing if a Secret with these annotations may not be used for
// a source: the Secret itself, or the Certificate whose Secret it is.
func Allowed(source Source, secret types.NamespacedName, annotations map[string]string) error {
	switch source.Kind {
	case KindSecret:
		value, ok := annotations[cmv1.AllowsInjectionFromSecretAnnotation]
		switch {
		case !ok:
			return nothing(`Secret %s does not allow it: set its annotation %s to "true"`, secret, cmv1.AllowsInjectionFromSecretAnnotation)
		case value != "true":
			return nothing(`Secret %s does not allow it: its annotation %s has the value %q, not "true"`, secret, cmv1.AllowsInjectionFromSecretAnnotation, value)
		}
	case KindCertificate:
		value, ok := annotations[cmv1.CertificateNameAnnotationKey]
		switch {
		case !ok:
			return nothing("Secret %s of %s has not been issued yet: it lacks the annotation %s", secret, source, cmv1.CertificateNameAnnotationKey)
		case value != source.Key.Name:
			return nothing("Secret %s of %s belongs to Certificate %s, says its annotation %s", secret, source, value, cmv1.CertificateNameAnnotationKey)
		}
	}
	return nil
}

// AuthorityKey is the entry of a Secret that holds the CA.
const AuthorityKey = "ca.crt"

// AuthorityIn returns the CA in the data of a Secret. The error is a *Nothing.
func AuthorityIn(secret types.NamespacedName, data map[string][]byte) ([]byte, error) {
	ca := data[AuthorityKey]
	if len(ca) == 0 {
		return nil, nothing("Secret %s has no %s", secret, AuthorityKey)
	}
	return ca, nil
}
