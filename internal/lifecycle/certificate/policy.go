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

// needsIssuing returns the first reason to issue, or nil.
func (c State) needsIssuing(now time.Time) *Violation {
	if v := c.violation(revision(c.Object.Status), false, now); v != nil {
		return v
	}
	return renewalDue(c, now)
}

// violation returns the first reason why the certificate is not as its spec wants
// it, or nil. With expiry, a certificate that has run out is a reason too.
func (c State) violation(revision int, expiry bool, now time.Time) *Violation {
	current := c.currentRequest(revision)
	if v := c.unusableSecret(); v != nil {
		return v
	}
	if c.holdsTemporary() {
		return violation(cmv1.CertificateReasonIncorrectIssuer, "Issuing certificate as Secret contains a temporary certificate")
	}
	if v := c.foreignSecret(); v != nil {
		return v
	}
	if v := c.changedSpec(current); v != nil {
		return v
	}
	if end := c.Secret.Leaf.NotAfter; expiry && !now.Before(end) {
		return violation(cmv1.CertificateReasonExpired, "Certificate expired on %s", end.UTC().Format(time.RFC1123))
	}
	return nil
}

// currentRequest is the request of a revision, nil if it is not known. Revision 0
// is none.
func (c State) currentRequest(revision int) *facts.Request {
	if found := c.requestsOf(revision); revision > 0 && len(found) > 0 {
		return found[0]
	}
	return nil
}

// Current is the request of the revision in the status, nil without one.
func (c State) Current() *facts.Request { return c.currentRequest(revision(c.Object.Status)) }

// unusableSecret says that the Secret has no certificate with its key.
func (c State) unusableSecret() *Violation {
	switch s := c.Secret; {
	case s == nil:
		return violation(cmv1.CertificateReasonDoesNotExist, "Issuing certificate as Secret does not exist")
	case len(s.Digests) == 0:
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain any data")
	case !s.Has("tls.key"):
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain a private key")
	case !s.Has("tls.crt"):
		return violation(cmv1.CertificateReasonMissingData, "Issuing certificate as Secret does not contain a certificate")
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

// foreignSecret says that the Secret was issued by another issuer or for another
// Certificate.
func (c State) foreignSecret() *Violation {
	name, hasName := c.Secret.Annotations[cmv1.IssuerNameAnnotationKey]
	kind, hasKind := c.Secret.Annotations[cmv1.IssuerKindAnnotationKey]
	group, hasGroup := c.Secret.Annotations[cmv1.IssuerGroupAnnotationKey]
	was := cmmeta.IssuerReference{Name: name, Kind: kind, Group: group}
	if (hasName || hasKind || hasGroup) && !was.Equal(c.Object.Spec.IssuerRef) {
		was = was.WithDefaults()
		return violation(cmv1.CertificateReasonIncorrectIssuer, "Issuing certificate as Secret was previously issued by %q",
			fmt.Sprintf("%s.%s/%s", was.Kind, was.Group, name))
	}
	if name, ok := c.Secret.Annotations[cmv1.CertificateNameKey]; ok && name != c.Object.Name {
		return violation(cmv1.CertificateReasonIncorrectCertificate, "Secret was issued for %q. If this message is not transient, you might have two conflicting Certificates pointing to the same secret.", name)
	}
	return nil
}

// changedSpec says that the key, or what was requested, is not what the spec
// wants now. current is the request of the present revision, or nil.
func (c State) changedSpec(current *facts.Request) *Violation {
	if m := KeyMismatches(&c.Object.Spec, c.Secret.Key); len(m) > 0 {
		return violation(cmv1.CertificateReasonSecretMismatch, "Existing private key is not up to date for spec: %s", fieldList(m))
	}
	if current == nil {
		if m := leafMismatches(&c.Object.Spec, c.Secret.Leaf); len(m) > 0 {
			return violation(cmv1.CertificateReasonSecretMismatch, "Issuing certificate as Existing issued Secret is not up to date for spec: %s", fieldList(m))
		}
		return nil
	}
	switch m := c.mismatches[current]; {
	case current.CSRError != "":
		return violation(cmv1.CertificateReasonInvalidCertificateRequest, "Failed to decode current CertificateRequest: %s", current.CSRError)
	case current.CSR.KeyDigest != c.Secret.KeyDigest:
		return violation(cmv1.CertificateReasonSecretMismatch, "Secret contains a private key that does not match the current CertificateRequest")
	case len(m) > 0:
		return violation(cmv1.CertificateReasonRequestChanged, "Fields on existing CertificateRequest resource not up to date: %s", fieldList(m))
	default:
		return nil
	}
}

func renewalDue(c State, now time.Time) *Violation {
	due := c.renewal(revision(c.Object.Status))
	if due.at.IsZero() || now.Before(due.begins) {
		return nil
	}
	if due.problem != "" {
		return violation(cmv1.CertificateReasonRenewing, "Renewing certificate without satisfying renewal windows at: %s", due.at.UTC().String())
	}
	return violation(cmv1.CertificateReasonRenewing, "Renewing certificate as renewal was scheduled at %s", stringOf(c.Object.Status.RenewalTime))
}

func stringOf(t *metav1.Time) string {
	if t == nil {
		return "<nil>"
	}
	return t.UTC().String()
}
