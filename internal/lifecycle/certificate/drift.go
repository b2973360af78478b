package certificate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

// The reasons for which a Secret is written again without an issuance. The log has
// them.
const (
	reasonMetadata = "SecretTemplateMismatch"
	reasonFormats  = "AdditionalOutputFormatsMismatch"
	reasonOwner    = "SecretOwnerRefMismatch"
	reasonKeystore = "SecretMismatch"
	reasonData     = "SecretDataMismatch"
)

// repair plans to bring the Secret to what the spec wants, with the certificate and
// the key that it holds.
func (c State) repair(p Plan, now time.Time) Plan {
	if c.SecretOwnedBy != "" || c.Applied || !c.ours(now) {
		return p
	}
	inputs, wanted := c.keystoreInputs()
	if wanted && c.Keystores.Of != inputs {
		if next := c.Keystores.Next; now.Before(next) {
			p.Until = plan.Earliest(p.Until, next)
		} else {
			p.Do = CheckKeystores{}
		}
		return p
	}
	why, locked := c.outdated()
	if why == nil && wanted && c.Keystores.Unfit != "" {
		why = violation(reasonKeystore, "%s", c.Keystores.Unfit)
	}
	do := RepairSecret{CA: c.lostCA()}
	switch {
	case why != nil && wanted && len(c.Keystores.Locked) > 0:
		do.Why, do.KeepLocked = *why, true
		for _, l := range c.Keystores.Locked {
			p.Events = append(p.Events, plan.Event{Warning: true, Reason: l.Why.Reason, Message: l.Why.Message, Component: ManagerIssuing})
		}
	case why != nil:
		do.Why = *why
	case locked != nil:
		// It fails, and says which password is missing.
		do.Why = *locked
	default:
		p.Events = append(p.Events, c.uncompared()...)
		return p
	}
	p.Do, p.Confirm, p.Persist = do, []plan.Confirm{c.self()}, plan.Before
	if c.Keystores.Unfit != "" {
		p.Events = append(p.Events, c.remarks()...)
	}
	return p
}

// uncompared are the events of keystores that cannot be compared with a spec that has
// changed: their passwords are missing. The status says for which spec the events were sent.
func (c State) uncompared() []plan.Event {
	told := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionReady)
	if _, wanted := c.keystoreInputs(); !wanted || told == nil || told.ObservedGeneration == c.Object.Generation {
		return nil
	}
	var events []plan.Event
	for _, l := range c.Keystores.Locked {
		events = append(events, plan.Event{
			Warning: true, Reason: l.Why.Reason, Component: ManagerIssuing,
			Message: fmt.Sprintf("%s; entry %q stays as it is, whatever has changed in spec.keystores", l.Why.Message, l.Keystore.Keystore),
		})
	}
	return events
}

// ours reports whether the Secret has a certificate and a key that may be described and
// added to: those that an issuer of this API has issued, and those of somebody else that
// are as the spec wants them. The latter are adopted as they are, except what an issuer
// needs, and what would count as temporary once it has the name of the Certificate.
func (c State) ours(now time.Time) bool {
	s := c.Secret
	if s == nil || s.Leaf == nil || s.KeyDigest.IsZero() {
		return false
	}
	if _, issued := s.Annotations[cmv1.IssuerNameAnnotationKey]; issued {
		return true
	}
	return c.protected() == "" && !s.Leaf.Temporary && c.violation(revision(c.Object.Status), false, now) == nil
}

// outdated says in which way the Secret is not what the spec wants, or not ours:
// what we do not own would stay when the spec drops it. It returns nil if all is well.
// locked says so of what needs a password that cannot be had.
func (c State) outdated() (why, locked *Violation) {
	all, locked := c.drift()
	if len(all) > 0 {
		why = &all[0]
	}
	return why, locked
}

// Drift are all the ways in which the Secret is not what the spec wants, or not ours,
// without those that need a look at its keystores. The Secret must have a leaf.
func (c State) Drift() []string {
	all, _ := c.drift()
	messages := make([]string, len(all))
	for i, v := range all {
		messages[i] = v.Message
	}
	return messages
}

func (c State) drift() (all []Violation, locked *Violation) {
	want, s := PresentMetadata(c), c.Secret
	all = append(metadataDrift("labels", s.Labels, want.Labels, s.Managed.Labels),
		metadataDrift("annotations", s.Annotations, want.Annotations, s.Managed.Annotations)...)
	if slices.Contains(s.Managed.Owners, c.Object.UID) != c.OwnSecret {
		all = append(all, *violation(reasonOwner, "Secret's owner reference does not follow --enable-certificate-owner-ref"))
	}
	for _, owner := range want.OwnerReferences {
		if !slices.ContainsFunc(s.OwnerReferences, func(r metav1.OwnerReference) bool { return sameOwner(r, owner) }) {
			all = append(all, *violation(reasonOwner, "Secret's owner reference is not that of the Certificate"))
		}
	}
	data, locked := c.dataDrift()
	return append(all, data...), locked
}

// metadataDrift is drift for the labels or the annotations of the Secret. managed
// are the keys that are ours.
func metadataDrift(kind string, has, want map[string]string, managed []string) []Violation {
	wanted := slices.Sorted(maps.Keys(want))
	switch {
	case !facts.ContainsAll(has, want):
		return []Violation{*violation(reasonMetadata, "Secret's %s differ from those that it should have", kind)}
	case slices.Equal(managed, wanted):
		return nil
	case slices.ContainsFunc(managed, func(key string) bool { return !slices.Contains(wanted, key) }):
		return []Violation{*violation(reasonMetadata, "Secret's %s have some that are not wanted any more", kind)}
	default:
		return []Violation{*violation(reasonMetadata, "Secret's %s are right, but were written by others, as managedFields say: they are taken over, and no value changes", kind)}
	}
}

func sameOwner(a, b metav1.OwnerReference) bool {
	return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind && a.APIVersion == b.APIVersion &&
		ptr.Equal(a.Controller, b.Controller) && ptr.Equal(a.BlockOwnerDeletion, b.BlockOwnerDeletion)
}

// dataDrift is drift for the entries. What keystores hold cannot be seen in the
// facts.
func (c State) dataDrift() (all []Violation, locked *Violation) {
	s, wanted := c.Secret, dataKeys(&c.Object.Spec, c.returnsCA(), c.Secret.BundleError == "" || c.brokenCA())
	var foreign []string
	for _, key := range wanted {
		v := c.unfitEntry(key)
		switch taken := c.foreignEntry(key); {
		case v == nil && !taken:
		case c.Keystores.locks(key):
			locked = cmp.Or(locked, v, takenOver(key))
		case v == nil:
			foreign = append(foreign, key)
		default:
			all = append(all, *v)
		}
	}
	if len(foreign) > 0 {
		all = append(all, *takenOver(foreign...))
	}
	for _, key := range s.Managed.Data {
		if !slices.Contains(wanted, key) {
			all = append(all, *violation(reasonOf(key), "Secret's entry %q is not wanted any more", key))
		}
	}
	return all, locked
}

// unfitEntry says what is wrong with the contents of an entry that is wanted.
func (c State) unfitEntry(key string) *Violation {
	switch s := c.Secret; {
	case !s.Has(key):
		return violation(reasonOf(key), "Secret's entry %q is missing or empty", key)
	case key == cmmeta.TLSCAKey && c.brokenCA():
		return violation(reasonData, "Secret's entry %q was written by others, and is no certificate", key)
	case slices.Contains(s.Unfit, key):
		return violation(reasonOf(key), "Secret's entry %q does not follow from certificate and key", key)
	default:
		return nil
	}
}

// takenOver says of entries that are as they should be that they are not ours.
func takenOver(keys ...string) *Violation {
	if len(keys) == 1 {
		return violation(reasonOf(keys[0]), "Secret's entry %q was written by others, as managedFields say: it is taken over", keys[0])
	}
	return violation(reasonOf(keys[0]), "Secret's entries %s were written by others, as managedFields say: they are taken over", strings.Join(keys, ", "))
}

// foreignEntry reports whether an entry that is wanted is not ours. A CA that somebody
// else has put there stays.
func (c State) foreignEntry(key string) bool {
	return key != cmmeta.TLSCAKey && !slices.Contains(c.Secret.Managed.Data, key)
}

// reasonOf is the reason to write an entry.
func reasonOf(key string) string {
	switch key {
	case corev1.TLSCertKey, corev1.TLSPrivateKeyKey, cmmeta.TLSCAKey:
		return reasonData
	case cmv1.CertificateOutputFormatDERKey, cmv1.CertificateOutputFormatCombinedPEMKey:
		return reasonFormats
	default:
		return reasonKeystore
	}
}

// returnsCA reports whether the issuer has returned certificates of the CA. If the
// request is gone, what the Secret has decides: of one that is adopted, those that came
// with it count.
func (c State) returnsCA() bool {
	if current := c.currentRequest(revision(c.Object.Status)); current != nil && current.Issued {
		return current.HasCA
	}
	managed := c.Secret.Managed.Data
	return slices.Contains(managed, cmmeta.TLSCAKey) || len(managed) == 0 && c.Secret.Has(cmmeta.TLSCAKey)
}

// brokenCA reports whether somebody else has replaced the certificates of the CA that the
// issuer has returned, and no truststore can be made of what is there now.
func (c State) brokenCA() bool {
	if len(Keystores(&c.Object.Spec)) == 0 {
		return false
	}
	current := c.currentRequest(revision(c.Object.Status))
	return c.Secret.BundleError != "" && !slices.Contains(c.Secret.Managed.Data, cmmeta.TLSCAKey) && current != nil && current.Issued && current.HasCA
}

// lostCA is the request that has the certificates of the CA, if the Secret does not
// have them any more.
func (c State) lostCA() *facts.Request {
	if c.Secret.Has(cmmeta.TLSCAKey) && !c.brokenCA() || !c.returnsCA() {
		return nil
	}
	return c.currentRequest(revision(c.Object.Status))
}

// remarks are the events about passwords that keystores are made with, and about a CA that
// no truststore can be made of.
func (c State) remarks() []plan.Event {
	var events []plan.Event
	stores := Keystores(&c.Object.Spec)
	for _, k := range stores {
		for _, remark := range c.Keystores.Remarks[k.Keystore] {
			events = append(events, plan.Event{
				Warning: true, Reason: "KeystorePassword", Component: ManagerIssuing,
				Message: fmt.Sprintf("The password of %s (%s): %s", k.Keystore, k.source(c.Object.Namespace), remark),
			})
		}
	}
	if s := c.Secret; len(stores) > 0 && s.BundleError != "" && slices.Contains(s.Managed.Data, cmmeta.TLSCAKey) {
		events = append(events, plan.Event{
			Warning: true, Reason: "InvalidCA", Component: ManagerIssuing,
			Message: fmt.Sprintf(`The issuer returned a certificate of its CA that cannot be parsed: %s; entry %q of Secret "%s/%s" has it as it is, and there is no truststore; correct the issuer, and renew the certificate`,
				s.BundleError, cmmeta.TLSCAKey, c.Object.Namespace, s.Name),
		})
	}
	return events
}
