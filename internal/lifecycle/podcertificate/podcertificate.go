package podcertificate

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// The reasons of conditions that CertificateSigningRequests do not have.
const (
	reasonUnsupportedSigner     = "UnsupportedSigner"
	reasonUnsupportedIssuerType = "UnsupportedIssuerType"
)

// storable is how long after its notBefore a certificate can be stored: the API server
// refuses one whose notBefore is five minutes from its own clock.
const storable = 4 * time.Minute

// Next decides what a PodCertificateRequest needs next.
func (s State) Next(now time.Time) Plan {
	d := s.draft(now)
	if s.Object.DeletionTimestamp == nil && !Ended(s.Object) && d.allowed() && d.ready() {
		d.bySigner()
	}
	return d.Plan
}

// Failed decides what the failure of an action means; there is none but Sign that can
// fail. A signer's errors are faults, and an error without a class is worth another try.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	d := s.draft(now)
	failure := fault.Of(f.Err)
	reason := cmp.Or(failure.Reason, cmv1.EventReasonSigningError)
	if failure.Class == fault.Permanent {
		d.end(certificatesv1beta1.PodCertificateRequestConditionTypeFailed, reason, failure.Message)
		return d.Plan
	}
	d.wait(reason, plan.WithNextTry(failure.Message, f.Err, plan.Remote, now))
	d.Until = plan.Retry(f.Err, f.Attempts, plan.Remote, now)
	// A Secret that is written each second must not have the issuer asked each second.
	d.Hold = failure.Class == fault.Transient
	return d.Plan
}

// Unwritten is the event for a status that the API server refuses to store.
func (s State) Unwritten(cause string) plan.Event {
	return event(true, cmv1.EventReasonSigningError, "Error updating certificate: "+cause)
}

// draft is a plan in the making.
type draft struct {
	Plan
	state State
	now   time.Time
}

func (s State) draft(now time.Time) *draft {
	return &draft{state: s, now: now, Plan: Plan{Status: *s.Object.Status.DeepCopy(), Manager: Manager}}
}

// allowed reports whether a request asks for what it can have, and otherwise denies it. A
// pod whose request was denied does not start: the kubelet shows the message, and makes no
// other request.
func (d *draft) allowed() bool {
	s := d.state
	key, err := PublicKey(s.Object)
	_, known := pki.SpecOf(key)
	switch {
	case s.Signer.Kind != cmv1.ClusterIssuerKind:
		d.deny(reasonUnsupportedSigner, "Pods get certificates from ClusterIssuers only: the signer name has to be clusterissuers."+cmv1.GroupName+"/NAME")
	case len(s.Object.Spec.UnverifiedUserAnnotations) > 0:
		first := slices.Min(slices.Collect(maps.Keys(s.Object.Spec.UnverifiedUserAnnotations)))
		d.deny(certificatesv1beta1.PodCertificateRequestConditionInvalidUserConfig,
			fmt.Sprintf("everleaf takes no user annotations, and the request has %q: remove userAnnotations from the volume of the pod", first))
	case err != nil:
		d.deny(certificatesv1beta1.PodCertificateRequestConditionUnsupportedKeyType, "The public key cannot be read: "+err.Error())
	case !known:
		d.deny(certificatesv1beta1.PodCertificateRequestConditionUnsupportedKeyType,
			"The type of the public key is not supported: ECDSAP256, ECDSAP384, ECDSAP521, RSA3072, RSA4096 and ED25519 are")
	default:
		return true
	}
	return false
}

// ready reports whether the issuer can sign now, and otherwise says what is waited for.
func (d *draft) ready() bool {
	s, issuer := d.state, d.state.Issuer
	referenced := fmt.Sprintf("Referenced ClusterIssuer %s ", s.Signer.Name)
	if issuer == nil {
		d.wait(cmv1.EventReasonIssuerNotFound, referenced+"not found")
		return false
	}
	kind := facts.TypeOf(issuer.Spec)
	notReady := referenced + "does not have a Ready status condition"
	switch {
	case kind == facts.IssuerUnset:
		d.wait(cmv1.EventReasonIssuerTypeMissing, referenced+"is missing type")
	case !issuer.Supported:
		d.wait(cmv1.EventReasonIssuerNotReady, fmt.Sprintf("This version of everleaf cannot sign with issuers of type %s yet", kind))
	case !s.SignsBare:
		d.deny(reasonUnsupportedIssuerType, fmt.Sprintf("%sis of type %s, which cannot sign for the key of a pod: use one of type %s", referenced, kind, facts.IssuerCA))
	case issuer.Ready:
		return true
	case issuer.Message != "":
		d.wait(cmv1.EventReasonIssuerNotReady, notReady+": "+issuer.Message)
	default:
		d.wait(cmv1.EventReasonIssuerNotReady, notReady)
	}
	return false
}

// bySigner decides by what the issuer's signer has answered.
func (d *draft) bySigner() {
	outcome := d.state.Outcome
	switch {
	case d.state.SignNotBefore.After(d.now):
		d.Until = d.state.SignNotBefore
		return
	case outcome == nil:
		d.Do = Sign{}
		return
	}
	chain, err := pki.ParseChain(outcome.Chain, d.state.Limits)
	switch {
	case err != nil:
		d.end(certificatesv1beta1.PodCertificateRequestConditionTypeFailed, cmv1.EventReasonSigningError, "The certificate cannot be read: "+err.Error())
	case d.now.After(chain[0].NotBefore.Add(storable)):
		d.Do = Sign{}
	default:
		d.issued(chain[0])
	}
}

// issued stores the certificate. The kind has no place for the CA.
func (d *draft) issued(leaf *x509.Certificate) {
	outcome := d.state.Outcome
	d.Status.CertificateChain = string(outcome.Chain)
	d.Status.NotBefore, d.Status.NotAfter = at(leaf.NotBefore), at(leaf.NotAfter)
	d.Status.BeginRefreshAt = at(pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, nil, nil))
	const message = "Certificate fetched from issuer successfully"
	d.condition(certificatesv1beta1.PodCertificateRequestConditionTypeIssued, cmv1.EventReasonCertificateIssued, message)
	if outcome.Warning != "" {
		d.Events = append(d.Events, event(true, outcome.WarningReason, outcome.Warning))
	}
	d.Events = append(d.Events, event(false, cmv1.EventReasonCertificateIssued, message))
}

func at(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

func (d *draft) deny(reason, message string) {
	d.end(certificatesv1beta1.PodCertificateRequestConditionTypeDenied, reason, message)
}

// end ends the request without a certificate. The kubelet sends an event about the pod,
// and this is one about the request.
func (d *draft) end(condition, reason, message string) {
	d.Do = nil
	d.condition(condition, reason, message)
	d.Events = append(d.Events, event(true, reason, message))
}

func (d *draft) condition(of, reason, message string) {
	d.Status.Conditions = append(d.Status.Conditions, metav1.Condition{
		Type: of, Status: metav1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.Time{Time: d.now},
	})
}

// wait reports what the request waits for, once. The API server takes no condition
// that says it.
func (d *draft) wait(reason, message string) {
	w := signingrequest.Wait{Reason: reason, Message: message}
	if w == d.state.Announced {
		return
	}
	d.Do = Announce{w}
	d.Events = []plan.Event{event(true, reason, message)}
}

func event(warning bool, reason, message string) plan.Event {
	return plan.Event{Warning: warning, Reason: reason, Message: message, Component: Manager, Verbose: !warning}
}
