// Package renewal asks for a certificate to be issued again, and tells when that has
// come to an end. It decides; the caller reads and writes.
package renewal

import (
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// Which are the Certificates that a user has named.
type Which struct {
	Names         []string
	Selector      string
	All           bool
	AllNamespaces bool
}

// Validate returns why it does not say which Certificates are meant, or nil. The messages
// are those of cert-manager's tool.
func (w Which) Validate() error {
	switch {
	case w.All && len(w.Names) > 0 && w.Selector != "":
		return fmt.Errorf("cannot specify the Certificate resource names %q in conjunction with the --all flag and a label selector", w.Names)
	case w.All && len(w.Names) > 0:
		return fmt.Errorf("cannot specify the Certificate resource names %q in conjunction with the --all flag", w.Names)
	case len(w.Names) > 0 && w.AllNamespaces:
		return errors.New("cannot specify Certificate names in conjunction with --all-namespaces flag")
	case len(w.Names) > 0 && w.Selector != "":
		return fmt.Errorf("cannot specify the Certificate resource names %q in conjunction with a label selector", w.Names)
	case w.All && w.Selector != "":
		return errors.New("cannot specify a label selector in conjunction with the --all flag")
	case !w.All && len(w.Names) == 0 && w.Selector == "":
		return errors.New("please either supply one or more Certificate resource names, label selectors, or use the --all flag to renew all Certificate resources")
	default:
		return nil
	}
}

// Requested returns the conditions of a Certificate with the one that starts an issuance.
func Requested(crt *cmv1.Certificate, now time.Time) []cmv1.CertificateCondition {
	at := metav1.NewTime(now)
	return condition.Set(crt.Status.Conditions, cmv1.CertificateCondition{
		Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: cmv1.CertificateReasonManuallyTriggered,
		Message: "Certificate re-issuance manually triggered", LastTransitionTime: &at, ObservedGeneration: crt.Generation,
	})
}

// State is how far an issuance is.
type State int

// The states of an issuance.
const (
	// Pending is an issuance that has not ended.
	Pending State = iota
	// Issued is one that has ended with a certificate.
	Issued
	// Failed is one that has ended without.
	Failed
)

// Progress tells how far the issuance is that was requested when a Certificate had a
// revision, and what it waits for or why it has failed.
func Progress(crt *cmv1.Certificate, revision int) (State, string) {
	issuing := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing)
	switch {
	case issuing != nil && issuing.Status == cmmeta.ConditionTrue:
		return Pending, issuing.Message
	case crt.Status.NextPrivateKeySecretName != nil:
		return Pending, "the issuance is being completed"
	case Revision(crt) > revision:
		return Issued, ""
	case issuing != nil && issuing.Reason != "":
		return Failed, issuing.Message
	default:
		return Failed, "the request for an issuance was withdrawn"
	}
}

// Revision is the number of the certificate in the Secret; 0 is none.
func Revision(crt *cmv1.Certificate) int {
	if crt.Status.Revision == nil {
		return 0
	}
	return *crt.Status.Revision
}
