package certificate

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// Violation is why a certificate is not as its spec wants it.
type Violation struct{ Reason, Message string }

func violation(reason, format string, args ...any) *Violation {
	return &Violation{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// policy is one thing that must hold of an issued certificate.
type policy func(c State, current *facts.Request, now time.Time) *Violation

// issued are the policies that decide both whether to issue and whether the
// certificate is ready, in the order in which they are reported.
var issued = []policy{
	secretExists,
	secretHasData,
	secretKeysMatch,
	issuerMatches,
	certificateNameMatches,
	keyFollowsSpec,
	keyIsCurrentRequests,
	currentRequestFollowsSpec,
}

// needsIssuing returns the first reason to issue, or nil.
func (c State) needsIssuing(now time.Time) *Violation {
	if v := c.violation(c.Object.Status.Revision, false, now); v != nil {
		return v
	}
	return renewalDue(c, now)
}

// violation returns the first violated policy, or nil. With expiry, a
// certificate that has run out is one too.
func (c State) violation(revision *int, expiry bool, now time.Time) *Violation {
	var current *facts.Request
	if revision != nil {
		if found := c.requestsOf(*revision); len(found) > 0 {
			current = found[0]
		}
	}
	for _, check := range issued {
		if v := check(c, current, now); v != nil {
			return v
		}
	}
	if end := c.Secret.Leaf.NotAfter; expiry && !now.Before(end) {
		return violation(cmv1.CertificateReasonExpired, "Certificate expired on %s", end.UTC().Format(time.RFC1123))
	}
	return nil
}

func secretExists(c State, _ *facts.Request, _ time.Time) *Violation {
	if c.Secret == nil {
		return violation(cmv1.CertificateReasonDoesNotExist, "Issuing certificate as Secret does not exist")
	}
	return nil
}

func secretHasData(c State, _ *facts.Request, _ time.Time) *Violation {
	switch {
	case len(c.Secret.Digests) == 0:
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain any data")
	case !c.Secret.Has("tls.key"):
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain a private key")
	case !c.Secret.Has("tls.crt"):
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain a certificate")
	default:
		return nil
	}
}

func secretKeysMatch(c State, _ *facts.Request, _ time.Time) *Violation {
	switch s := c.Secret; {
	case s.KeyError != "":
		return violation(cmv1.CertificateReasonInvalidKeyPair, "Issuing certificate as Secret contains invalid private key data: %s", s.KeyError)
	case s.Leaf == nil:
		return violation(cmv1.CertificateReasonInvalidCertificate, "Issuing certificate as Secret contains an invalid certificate: %s", s.LeafError)
	case s.Leaf.KeyDigest != s.KeyDigest:
		return violation(cmv1.CertificateReasonInvalidKeyPair, "Issuing certificate as Secret contains a private key that does not match the certificate")
	default:
		return nil
	}
}

func issuerMatches(c State, _ *facts.Request, _ time.Time) *Violation {
	name, hasName := c.Secret.Annotations[cmv1.IssuerNameAnnotationKey]
	kind, hasKind := c.Secret.Annotations[cmv1.IssuerKindAnnotationKey]
	group, hasGroup := c.Secret.Annotations[cmv1.IssuerGroupAnnotationKey]
	if !hasName && !hasKind && !hasGroup {
		return nil
	}
	was := cmmeta.IssuerReference{Name: name, Kind: kind, Group: group}
	if facts.SameIssuer(was, c.Object.Spec.IssuerRef) {
		return nil
	}
	return violation(cmv1.CertificateReasonIncorrectIssuer, "Issuing certificate as Secret was previously issued by %q",
		fmt.Sprintf("%s.%s/%s", facts.IssuerKind(was), facts.IssuerGroup(was), name))
}

func certificateNameMatches(c State, _ *facts.Request, _ time.Time) *Violation {
	name, ok := c.Secret.Annotations[cmv1.CertificateNameKey]
	if !ok || name == c.Object.Name {
		return nil
	}
	return violation(cmv1.CertificateReasonIncorrectCertificate, "Secret was issued for %q. If this message is not transient, you might have two conflicting Certificates pointing to the same secret.", name)
}

func keyFollowsSpec(c State, _ *facts.Request, _ time.Time) *Violation {
	if m := keySpec(c.Object).Mismatches(c.Secret.Key); len(m) > 0 {
		return violation(cmv1.CertificateReasonSecretMismatch, "Existing private key is not up to date for spec: %s", fieldList(m))
	}
	return nil
}

func keyIsCurrentRequests(c State, current *facts.Request, _ time.Time) *Violation {
	if current == nil {
		return nil
	}
	switch {
	case current.CSRError != "":
		return violation(cmv1.CertificateReasonInvalidCertificateRequest, "Failed to decode current CertificateRequest: %s", current.CSRError)
	case current.CSR.KeyDigest != c.Secret.KeyDigest:
		return violation(cmv1.CertificateReasonSecretMismatch, "Secret contains a private key that does not match the current CertificateRequest")
	default:
		return nil
	}
}

func currentRequestFollowsSpec(c State, current *facts.Request, _ time.Time) *Violation {
	if current != nil {
		if m := c.mismatches[current]; len(m) > 0 {
			return violation(cmv1.CertificateReasonRequestChanged, "Fields on existing CertificateRequest resource not up to date: %s", fieldList(m))
		}
		return nil
	}
	if m := leafMismatches(c); len(m) > 0 {
		return violation(cmv1.CertificateReasonSecretMismatch, "Issuing certificate as Existing issued Secret is not up to date for spec: %s", fieldList(m))
	}
	return nil
}

func renewalDue(c State, now time.Time) *Violation {
	due := renewalTime(c.Object, c.Secret)
	if due.IsZero() || now.Before(due) {
		return nil
	}
	return violation(cmv1.CertificateReasonRenewing, "Renewing certificate as renewal was scheduled at %s", stringOf(c.Object.Status.RenewalTime))
}

func stringOf(t *metav1.Time) string {
	if t == nil {
		return "<nil>"
	}
	return t.UTC().String()
}
