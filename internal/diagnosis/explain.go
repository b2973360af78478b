package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// patience is how long an object may be without a word before something is wrong.
const patience = 30 * time.Second

// Explain returns what keeps the subject from being ready: the main cause first, then
// what else is worth knowing. There is always at least one Verdict.
func Explain(e Evidence) []Verdict {
	var out []Verdict
	for _, rule := range []func() []Verdict{
		e.exists, e.unserved, e.password, e.healthy, e.windows, e.halted, e.secret, e.unattended, e.issuer, e.approval, e.silent, e.admission, e.issuerFails, e.limited, e.challenges, e.ended, e.happened, e.said,
	} {
		out = append(out, rule()...)
		if slices.ContainsFunc(out, func(v Verdict) bool { return !v.Aside }) {
			break
		}
	}
	if len(out) == 0 {
		out = []Verdict{{Code: InProgress, Object: e.Subject, Message: "nothing is wrong so far; ask again in a minute if it is not ready then"}}
	}
	for i := range out {
		out[i].Fix = slices.DeleteFunc(out[i].Fix, unsafe)
	}
	slices.SortStableFunc(out, func(a, b Verdict) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// unsafe reports whether a line is a command that a shell would take for more than one, or
// that has more than one line: names in it may be anybody's.
func unsafe(line string) bool {
	command, isCommand := strings.CutPrefix(line, "$ ")
	return isCommand && (strings.ContainsAny(strings.ReplaceAll(command, " | grep ", " "), ";&|`<>\\\"'$") || strings.ContainsFunc(command, unicode.IsControl))
}

// rank has what stops the certificate before what is worth knowing.
func rank(v Verdict) int {
	if v.Aside {
		return 1
	}
	return 0
}

// refOf names an object of the subject's namespace.
func (e Evidence) refOf(kind, name string) Ref {
	return Ref{Kind: kind, Namespace: e.Subject.Namespace, Name: name}
}

// Known reports whether the subject is part of the evidence.
func (e Evidence) Known() bool {
	switch e.Subject.Kind {
	case cmv1.CertificateRequestKind:
		return e.Request != nil
	case acmev1.OrderKind:
		return e.Order != nil
	case acmev1.ChallengeKind:
		return len(e.Challenges) > 0
	case cmv1.IssuerKind, cmv1.ClusterIssuerKind:
		return e.Issuer != nil && e.Issuer.Found
	default:
		return e.Certificate != nil
	}
}

// exists: the subject is there.
func (e Evidence) exists() []Verdict {
	if e.Known() {
		return nil
	}
	return []Verdict{{Code: NotFound, Object: e.Subject, Message: "it does not exist", Fix: []string{"check the name and the namespace (-n)"}}}
}

// healthy: the subject is as it should be.
func (e Evidence) healthy() []Verdict {
	switch {
	case e.Subject.Kind == cmv1.CertificateKind && condition.True(e.Certificate.Status.Conditions, cmv1.CertificateConditionReady):
		if condition.True(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing) || e.failing() != "" {
			return nil
		}
		message := "the certificate is issued and up to date"
		if at := e.Certificate.Status.RenewalTime; at != nil {
			message += "; it is renewed at " + clockOf(&at.Time) + advised(e.Certificate.Status)
		}
		return []Verdict{{Code: Healthy, Object: e.Subject, Message: message}}
	case e.Subject.Kind == cmv1.CertificateRequestKind && condition.True(e.Request.Status.Conditions, cmv1.CertificateRequestConditionReady):
		return []Verdict{{Code: Healthy, Object: e.Subject, Message: "the request is answered with a certificate"}}
	case e.Subject.Kind == acmev1.OrderKind && e.Order.Status.State == acmev1.Valid:
		return []Verdict{{Code: Healthy, Object: e.Subject, Message: "the order has its certificate"}}
	case e.Subject.Kind == acmev1.ChallengeKind && e.Challenges[0].Status.State == acmev1.Valid:
		return []Verdict{{Code: Healthy, Object: e.Subject, Message: "the CA has validated the name"}}
	case (e.Subject.Kind == cmv1.IssuerKind || e.Subject.Kind == cmv1.ClusterIssuerKind) && e.issuerReady():
		return []Verdict{{Code: Healthy, Object: e.Subject, Message: "the issuer is ready"}}
	}
	return nil
}

// advised says that a renewal is when the CA suggests it (RFC 9773), or is empty.
func advised(s cmv1.CertificateStatus) string {
	if s.RenewalTime == nil || s.ACME == nil || s.ACME.ARI == nil || s.ACME.ARI.SuggestedWindow == nil {
		return ""
	}
	ari := s.ACME.ARI
	if at := s.RenewalTime.Time; at.Before(ari.SuggestedWindow.Start.Time) || at.After(ari.SuggestedWindow.End.Time) {
		return ""
	}
	text := ", in the window that its CA suggests"
	if ari.ExplanationURL != "" {
		text += " (" + ari.ExplanationURL + ")"
	}
	return text
}

// failing is why the last issuance of a Certificate failed, empty if it did not.
func (e Evidence) failing() string {
	if e.Certificate == nil {
		return ""
	}
	c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing)
	if c == nil || c.Status == cmmeta.ConditionTrue || e.Certificate.Status.LastFailureTime == nil && c.Reason != certificate.ReasonShared && c.Reason != certificate.ReasonHalted {
		return ""
	}
	return c.Message
}

// windows: the certificate is valid, but its renewal cannot follow its windows.
func (e Evidence) windows() []Verdict {
	if e.Subject.Kind != cmv1.CertificateKind {
		return nil
	}
	c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionReady)
	if c == nil || c.Reason != cmv1.CertificateReasonWindowError || c.Status == cmmeta.ConditionTrue || e.failing() != "" ||
		condition.True(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing) {
		return nil
	}
	message := "the certificate is valid, but its renewal cannot follow spec.renewal: " + c.Message
	if at := e.Certificate.Status.RenewalTime; at != nil {
		message += "; status.renewalTime is " + clockOf(&at.Time)
	}
	return []Verdict{{Code: RenewalWindows, Object: e.Subject, Message: message, Fix: []string{"correct spec.renewal of the Certificate: nothing is issued for that"}}}
}

// halted: something undoes each issuance.
func (e Evidence) halted() []Verdict {
	if e.Certificate == nil {
		return nil
	}
	c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing)
	if c == nil || c.Reason != certificate.ReasonHalted || c.Status == cmmeta.ConditionTrue {
		return nil
	}
	fix := []string{
		"find what deletes or changes the Secret; its managedFields name who wrote it last",
		fmt.Sprintf("$ kubectl get secret %s -n %s --show-managed-fields -o yaml", e.Certificate.Spec.SecretName, e.Certificate.Namespace),
	}
	if s := e.Secret; s != nil && !s.Found && !s.Unread {
		fix = []string{"find what deletes the Secret, which is not there now: the audit log of the API server names who did"}
	}
	fix = append(fix, fmt.Sprintf("$ everleaf renew %s -n %s", e.Certificate.Name, e.Certificate.Namespace))
	return []Verdict{{Code: IssuancesHalted, Object: e.Subject, Message: c.Message, Fix: fix}}
}

// secret: another Certificate owns the Secret.
func (e Evidence) secret() []Verdict {
	if e.Certificate == nil {
		return nil
	}
	v := Verdict{Code: SecretOwned, Object: e.refOf("Secret", e.Certificate.Spec.SecretName), Fix: []string{
		"give one of the two Certificates another spec.secretName, or delete the one that is not needed",
	}}
	if c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing); c != nil && c.Reason == certificate.ReasonShared {
		v.Message = c.Message
		return []Verdict{v}
	}
	if e.Secret != nil && slices.Contains(e.Rivals, e.Secret.Certificate) {
		v.Message = fmt.Sprintf("Secret %q belongs to Certificate %q, which has the same spec.secretName, so that nothing is issued for Certificate %q",
			e.Secret.Name, e.Secret.Certificate, e.Certificate.Name)
		return []Verdict{v}
	}
	if c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionReady); c != nil && c.Status != cmmeta.ConditionTrue &&
		c.Reason == cmv1.CertificateReasonIncorrectCertificate && len(e.Rivals) > 0 {
		v.Message = c.Message
		return []Verdict{v}
	}
	return nil
}

// unattended: no controller has touched the object.
func (e Evidence) unattended() []Verdict {
	verdict := func(kind, name string) []Verdict {
		return []Verdict{{
			Code: NoController, Object: e.refOf(kind, name),
			Message: "no controller has worked on it: its status is empty",
			Fix: []string{
				"check that everleaf runs, is the leader, and watches this namespace (--namespace, --controllers):",
				"$ kubectl get lease -A | grep cert-manager-controller",
			},
		}}
	}
	if c := e.Certificate; c != nil && len(c.Status.Conditions) == 0 && e.At.Sub(c.CreationTimestamp.Time) > patience {
		return verdict(cmv1.CertificateKind, c.Name)
	}
	if o := e.Order; o != nil && o.Status.URL == "" && o.Status.State == "" && o.Status.Reason == "" && e.At.Sub(o.CreationTimestamp.Time) > patience && e.issuerReady() {
		return verdict(acmev1.OrderKind, o.Name)
	}
	return nil
}

// approval: nobody has approved the request, or somebody has denied it.
func (e Evidence) approval() []Verdict {
	r := e.Request
	if r == nil {
		return nil
	}
	object := e.refOf(cmv1.CertificateRequestKind, r.Name)
	if c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionDenied); c != nil && c.Status == cmmeta.ConditionTrue {
		return []Verdict{{
			Code: Denied, Object: object, Message: fmt.Sprintf("the request was denied: %s: %s", c.Reason, c.Message),
			Fix: []string{"change the Certificate so that the policy of the approver allows it, or the policy"},
		}}
	}
	if condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) || e.At.Sub(r.CreationTimestamp.Time) < patience && !e.awaitsApproval() ||
		condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionInvalidRequest) != nil {
		return nil
	}
	ref := r.Spec.IssuerRef.WithDefaults()
	v := Verdict{
		Code: NotApproved, Object: object,
		Message: fmt.Sprintf("nobody has approved the request to %s %q for %s", ref.Kind, ref.Name, age(e.At.Sub(r.CreationTimestamp.Time))),
		Fix: []string{
			fmt.Sprintf("$ everleaf approve -n %s %s", r.Namespace, r.Name),
			"or run an approver: everleaf's own (--controllers=*), or the one of the group " + ref.Group + " if it has one",
		},
	}
	if ref.Group != cmv1.SchemeGroupVersion.Group && (ref.Kind == cmv1.IssuerKind || ref.Kind == cmv1.ClusterIssuerKind) {
		v.Fix = append(v.Fix, fmt.Sprintf("if the group is a typo, set spec.issuerRef.group of the Certificate to %s", cmv1.SchemeGroupVersion.Group))
	}
	return []Verdict{v}
}

// awaitsApproval reports whether the Certificate says that somebody has to approve its
// request: everleaf would have done so by then.
func (e Evidence) awaitsApproval() bool {
	if e.Certificate == nil {
		return false
	}
	c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing)
	return c != nil && strings.Contains(c.Message, " has to be approved")
}

// challenges judges the Challenges that have not ended well.
func (e Evidence) challenges() []Verdict {
	var out []Verdict
	for i := range e.Challenges {
		if c := &e.Challenges[i]; c.Status.State != acmev1.Valid {
			out = append(out, e.challenge(c)...)
		}
	}
	return out
}

// ended: the order or the issuance has failed.
func (e Evidence) ended() []Verdict {
	if o := e.Order; o != nil && order.Failed(o.Status.State) {
		return []Verdict{e.caRefusal(e.refOf(acmev1.OrderKind, o.Name), o.Status.Reason)}
	}
	if text := e.failing(); text != "" {
		return []Verdict{e.caRefusal(e.Subject, text)}
	}
	return nil
}

// said repeats what the objects say, from the deepest one up.
func (e Evidence) said() []Verdict {
	verdict := func(kind, name, text string) []Verdict {
		return []Verdict{{Code: InProgress, Object: e.refOf(kind, name), Message: text, NextTry: timeIn(text)}}
	}
	if o := e.Order; o != nil && o.Status.Reason != "" {
		return verdict(acmev1.OrderKind, o.Name, o.Status.Reason)
	}
	if r := e.Request; r != nil {
		if c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady); c != nil && c.Status != cmmeta.ConditionTrue {
			return verdict(cmv1.CertificateRequestKind, r.Name, c.Message)
		}
	}
	if crt := e.Certificate; crt != nil {
		if c := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing); c != nil && c.Message != "" {
			return verdict(cmv1.CertificateKind, crt.Name, c.Message)
		}
		if c := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionReady); c != nil && c.Status != cmmeta.ConditionTrue {
			return verdict(cmv1.CertificateKind, crt.Name, c.Message)
		}
	}
	return nil
}
