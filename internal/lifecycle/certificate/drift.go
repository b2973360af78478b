package certificate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
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
		p.Do = CheckKeystores{}
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
		return p
	}
	p.Do, p.Confirm, p.Persist = do, []plan.Confirm{c.self()}, plan.Before
	if c.Keystores.Unfit != "" {
		p.Events = append(p.Events, c.remarks()...)
	}
	return p
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
	want, s := PresentMetadata(c), c.Secret
	if !facts.ContainsAll(s.Labels, want.Labels) || !slices.Equal(s.Managed.Labels, slices.Sorted(maps.Keys(want.Labels))) {
		return violation(reasonMetadata, "Secret's labels differ from those that it should have"), nil
	}
	if !facts.ContainsAll(s.Annotations, want.Annotations) || !slices.Equal(s.Managed.Annotations, slices.Sorted(maps.Keys(want.Annotations))) {
		return violation(reasonMetadata, "Secret's annotations differ from those that it should have"), nil
	}
	if slices.Contains(s.Managed.Owners, c.Object.UID) != c.OwnSecret {
		return violation(reasonOwner, "Secret's owner reference does not follow --enable-certificate-owner-ref"), nil
	}
	for _, owner := range want.OwnerReferences {
		if !slices.ContainsFunc(s.OwnerReferences, func(r metav1.OwnerReference) bool { return sameOwner(r, owner) }) {
			return violation(reasonOwner, "Secret's owner reference is not that of the Certificate"), nil
		}
	}
	return c.outdatedData()
}

func sameOwner(a, b metav1.OwnerReference) bool {
	return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind && a.APIVersion == b.APIVersion &&
		ptr.Equal(a.Controller, b.Controller) && ptr.Equal(a.BlockOwnerDeletion, b.BlockOwnerDeletion)
}

// outdatedData is outdated for the entries. What keystores hold cannot be seen in the
// facts.
func (c State) outdatedData() (why, locked *Violation) {
	s, wanted := c.Secret, dataKeys(&c.Object.Spec, c.returnsCA(), c.Secret.BundleError == "")
	for _, key := range wanted {
		switch v := c.outdatedEntry(key); {
		case v == nil:
		case c.Keystores.locks(key):
			locked = cmp.Or(locked, v)
		default:
			return v, nil
		}
	}
	for _, key := range s.Managed.Data {
		if !slices.Contains(wanted, key) {
			return violation(reasonOf(key), "Secret's entry %q is not wanted any more", key), nil
		}
	}
	return nil, locked
}

// outdatedEntry is outdated for an entry that is wanted.
func (c State) outdatedEntry(key string) *Violation {
	switch s := c.Secret; {
	case !s.Has(key):
		return violation(reasonOf(key), "Secret's entry %q is missing or empty", key)
	case key == cmmeta.TLSCAKey:
		// A CA that somebody else has put there stays.
		return nil
	case !slices.Contains(s.Managed.Data, key):
		return violation(reasonOf(key), "Secret's entry %q was written by others", key)
	case slices.Contains(s.Unfit, key):
		return violation(reasonOf(key), "Secret's entry %q does not follow from certificate and key", key)
	default:
		return nil
	}
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

// lostCA is the request that has the certificates of the CA, if the Secret does not
// have them any more.
func (c State) lostCA() *facts.Request {
	if c.Secret.Has(cmmeta.TLSCAKey) || !c.returnsCA() {
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
