package diagnosis

import (
	"fmt"
	"regexp"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

// Waits that only a person ends.

// withoutType begins what is said about an issuer whose type this version does not have.
var withoutType, _, _ = strings.Cut(facts.WithoutType(facts.IssuerUnset), `"`)

// unserved: this version does not have the type of the issuer. The issuer's own status may
// be that of cert-manager, which says nothing about it.
func (e Evidence) unserved() []Verdict {
	texts := e.texts()
	for _, v := range e.Events {
		if e.Subject.Kind != cmv1.CertificateKind {
			texts = append(texts, said{v.Object, v.Message})
		}
	}
	for _, s := range texts {
		// Others may quote these words.
		text := cause(s.text)
		if !strings.HasPrefix(text, withoutType) {
			continue
		}
		return []Verdict{{Code: IssuerUnserved, Object: s.Ref, Message: text, Fix: []string{
			"name an issuer of another type in spec.issuerRef, or go back to cert-manager for these certificates: it goes on where it was",
			"everleaf writes no status of the issuer that cert-manager has given one, and leaves the requests for it as they are",
		}}}
	}
	return nil
}

// missingPassword finds the Secret and the entry in the message about a password of
// keystores that cannot be had.
var missingPassword = regexp.MustCompile(`keystore password (?:from Secret: secret "(?P<secret>[^"]+)" not found; create it with an entry "(?P<key>[^"]+)"|Secret contains no data for key "(?P<key2>[^"]+)"; add it to Secret "(?P<secret2>[^"]+)")`)

// password: the password of a keystore is missing. While an issuance waits for it, it is
// the cause; an event tells of a change that waits for it, and of nothing else.
func (e Evidence) password() []Verdict {
	if e.Certificate == nil {
		return nil
	}
	verdict := func(text string, aside bool) []Verdict {
		m := missingPassword.FindStringSubmatch(text)
		if m == nil {
			return nil
		}
		secret, key := m[1]+m[4], m[2]+m[3]
		v := Verdict{Code: KeystorePassword, Object: e.refOf("Secret", secret), Message: text, Aside: aside, Fix: []string{
			fmt.Sprintf("write the password into entry %q of Secret %q, or correct spec.keystores; everleaf goes on as soon as it is there", key, secret),
			fmt.Sprintf("$ kubectl create secret generic %s -n %s --from-file=%s=FILE", secret, e.Subject.Namespace, key),
		}}
		if aside {
			v.Message = "an event says: " + text
		}
		return []Verdict{v}
	}
	if c := condition.Find(e.Certificate.Status.Conditions, cmv1.CertificateConditionIssuing); c != nil {
		if found := verdict(cause(c.Message), false); found != nil {
			return found
		}
	}
	for _, v := range e.Events {
		if v.Reason == certificate.EventKeystorePassword && v.Object.Kind == cmv1.CertificateKind && e.At.Sub(v.Last.Time) < recent {
			return verdict(v.Message, true)
		}
	}
	return nil
}

// cause is what a message says is waited for, without why it was begun.
func cause(message string) string {
	if _, waits, ok := strings.Cut(message, "; waiting: "); ok {
		return waits
	}
	return message
}

// silent: the controller of an external issuer has not answered.
func (e Evidence) silent() []Verdict {
	r := e.Request
	if r == nil || e.At.Sub(r.CreationTimestamp.Time) < patience || !condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionApproved) {
		return nil
	}
	ref := r.Spec.IssuerRef.WithDefaults()
	ready := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if ref.Group == cmv1.SchemeGroupVersion.Group || ready != nil && (ready.Status == cmmeta.ConditionTrue || ready.Message != "") {
		return nil
	}
	return []Verdict{{
		Code: IssuerSilent, Object: e.refOf(cmv1.CertificateRequestKind, r.Name),
		Message: fmt.Sprintf("%s.%s %q has not answered the request for %s", ref.Kind, ref.Group, ref.Name, age(e.At.Sub(r.CreationTimestamp.Time))),
		Fix: []string{
			fmt.Sprintf("see the controller of the group %s: whether it runs, watches this namespace, and what it logs about the request", ref.Group),
			fmt.Sprintf("$ kubectl get %s.%s -n %s %s -o yaml", strings.ToLower(ref.Kind), ref.Group, r.Namespace, ref.Name),
		},
	}}
}
