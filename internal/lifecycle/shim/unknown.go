package shim

import (
	"slices"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/spelling"
)

const (
	acmePrefix = "acme.cert-manager.io/"
	// oldPrefix begins the keys of cert-manager before its version 0.11.
	oldPrefix = "certmanager.k8s.io/"
	// mostUnknown bounds the annotations that one message names.
	mostUnknown = 10
)

// others are the annotations that are read beside settings.
var others = []string{
	cmv1.IngressIssuerNameAnnotationKey, cmv1.IngressClusterIssuerNameAnnotationKey, cmv1.IssuerKindAnnotationKey, cmv1.IssuerGroupAnnotationKey,
	cmv1.IgnoreTLSListenersAnnotationKey, cmv1.IssueTemporaryCertificateAnnotationKey,
	acmev1.IngressEditInPlaceAnnotationKey, acmev1.IngressACMEIssuerHTTP01IngressClass, acmev1.IngressACMEIssuerHTTP01IngressClassName,
	acmev1.ListenerSetHTTP01ParentRefFallbackEnabled,
}

// replaced are keys that have another one in their place: those of Certificates, and
// old ones that differ in more than the prefix.
var replaced = map[string]string{
	acmev1.ACMECertificateHTTP01IngressNameOverride:      acmev1.IngressEditInPlaceAnnotationKey,
	acmev1.ACMECertificateHTTP01IngressClassOverride:     acmev1.IngressACMEIssuerHTTP01IngressClass,
	acmev1.ACMECertificateHTTP01IngressClassNameOverride: acmev1.IngressACMEIssuerHTTP01IngressClassName,
	cmv1.IssuerNameAnnotationKey:                         cmv1.IngressIssuerNameAnnotationKey,
	oldPrefix + "acme-http01-edit-in-place":              acmev1.IngressEditInPlaceAnnotationKey,
	oldPrefix + "acme-http01-ingress-class":              acmev1.IngressACMEIssuerHTTP01IngressClass,
}

// unknownAnnotations names the annotations that look like ours and have no effect,
// each with the one that may be meant. It is "" if there are none.
func unknownAnnotations(annotations map[string]string, s Settings) string {
	known := slices.Clone(others)
	for _, one := range settings {
		known = append(known, one.key)
	}
	var found []string
	for _, key := range sortedKeys(annotations) {
		if !ours(key) || slices.Contains(known, key) || slices.Contains(s.ExtraAnnotations, key) || slices.Contains(s.AutoAnnotations, key) {
			continue
		}
		if meant := meant(key, known); meant != "" {
			key += ": did you mean " + meant + "?"
		}
		found = append(found, key)
	}
	if len(found) == 0 {
		return ""
	}
	if len(found) > mostUnknown {
		found = append(found[:mostUnknown], "and more")
	}
	if len(found) == 1 {
		return "This annotation has no effect: " + found[0]
	}
	return "These annotations have no effect: " + strings.Join(found, "; ")
}

// contradiction names the annotations that say where the path of a challenge goes, if there
// are several. It is "" otherwise.
func contradiction(annotations map[string]string) string {
	var found []string
	if annotations[acmev1.IngressEditInPlaceAnnotationKey] == "true" {
		found = append(found, acmev1.IngressEditInPlaceAnnotationKey)
	}
	for _, key := range []string{acmev1.IngressACMEIssuerHTTP01IngressClass, acmev1.IngressACMEIssuerHTTP01IngressClassName} {
		if annotations[key] != "" {
			found = append(found, key)
		}
	}
	if len(found) < 2 {
		return ""
	}
	return "At most one of these annotations may be set, and no HTTP-01 challenge is presented until one is left: " + strings.Join(found, ", ")
}

func ours(key string) bool {
	return slices.ContainsFunc([]string{cmv1.AnnotationPrefix, acmePrefix, oldPrefix}, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// meant is the known key that is most like one that is unknown, "" if none is much like it.
func meant(key string, known []string) string {
	if other, ok := replaced[key]; ok {
		return other
	}
	_, name, _ := strings.Cut(key, "/")
	// One letter in four may be wrong.
	best, least := "", len(name)/4+1
	for _, candidate := range known {
		_, other, _ := strings.Cut(candidate, "/")
		if d := spelling.Distance(strings.ToLower(name), other); d < least {
			best, least = candidate, d
		}
	}
	return best
}
