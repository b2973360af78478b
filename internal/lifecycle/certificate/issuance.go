package certificate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// causeMark separates, in the Issuing condition's message, why an issuance was
// begun from what it waits for.
const causeMark = "; waiting: "

// announceAfter is how long a first issuance or a renewal may take before an
// event says that it has begun: an event is a write, and most issuances end
// sooner. One that somebody's change has caused is announced at once, because
// nothing else says why afterwards.
const announceAfter = 2 * time.Second

// announceAt is when the issuance is announced, zero if it need not be.
func (c State) announceAt(trigger Violation) time.Time {
	begun := c.Memory.BegunAt
	if begun.IsZero() || (c.Object.Status.Revision != nil && trigger.Reason != cmv1.CertificateReasonRenewing) {
		return begun
	}
	return begun.Add(announceAfter)
}

// issue decides the next step of an issuance.
func (c State) issue(p Plan, trigger Violation, now time.Time) Plan {
	if !issuing(p.Status) {
		c.set(&p, cmv1.CertificateConditionIssuing, cmmeta.ConditionTrue, trigger.Reason, trigger.Message, now)
		if c.SignsInline {
			p.Persist = plan.Held
		}
	}
	if why := c.protected(); why != "" {
		p.Persist = plan.AtEnd
		c.waitFor(&p, why, now)
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: "SecretInUse", Message: why, Component: ManagerIssuing})
		// No event reports that an issuer uses another Secret.
		p.Until = now.Add(ownerRecheck)
		return p
	}
	if due := c.announceAt(trigger); !due.IsZero() {
		if !due.After(now) {
			p.Do = Announce{}
			p.Events = append(p.Events, plan.Event{Reason: cmv1.EventReasonIssuing, Message: trigger.message(), Component: ManagerTrigger})
			return p
		}
		p.Until = due
	}
	next := c.requestsOf(c.nextRevision())
	if old := c.obsolete(next, now); len(old) > 0 {
		return c.deleteRequests(p, old, now)
	}
	// A request for another spec is gone by now: it would end the back-off.
	if why := c.impossible(); why != "" {
		return c.unrequestable(p, why, now)
	}
	p = c.withKey(p, next, now)
	if begins(p.Do) && trigger.Reason == cmv1.CertificateReasonRenewing {
		p.Events = append(p.Events, c.outsideWindows()...)
	}
	return p
}

// begins reports whether an action is the first of an issuance.
func begins(action plan.Action) bool {
	switch a := action.(type) {
	case GenerateKey:
		return a.Begins
	case ReuseKey:
		return a.Begins
	default:
		return false
	}
}

// message is why the issuance was begun, without what it waits for.
func (v Violation) message() string {
	message, _, _ := strings.Cut(v.Message, causeMark)
	return message
}

// impossible says why no signing request can be made for the spec, or returns "".
func (c State) impossible() string {
	if c.Object.Spec.SecretName == "" {
		return "spec.secretName is missing"
	}
	if err := KeySpecOf(&c.Object.Spec).Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// protected says why the certificate must not be stored in its Secret, or returns
// "": an issuer needs what is there, and no Certificate has made it.
func (c State) protected() string {
	if c.SecretUsedBy == "" || c.Secret == nil {
		return ""
	}
	if _, made := c.Secret.Annotations[cmv1.CertificateNameKey]; made {
		return ""
	}
	return fmt.Sprintf(`Secret "%s/%s" is in use by %s and was not made by a Certificate, so it is not overwritten; use another spec.secretName, or, if it may be overwritten, annotate the Secret with %s=%s`+rechecked,
		c.Object.Namespace, c.Secret.Name, c.SecretUsedBy, cmv1.CertificateNameKey, c.Object.Name)
}

// obsolete are requests that cannot serve this issuance: without a revision,
// of another spec, or of an attempt whose failure has been counted.
func (c State) obsolete(next []*facts.Request, now time.Time) []*facts.Request {
	var old []*facts.Request
	for _, r := range c.Requests {
		if !r.Deleting && r.Revision == 0 {
			old = append(old, r)
		}
	}
	for _, r := range next {
		if r.CSRError != "" || len(c.mismatches[r]) > 0 || c.counted(r, now) {
			old = append(old, r)
		}
	}
	return old
}

// counted reports whether a request's failure belongs to an earlier attempt. That
// of a request that this process has made for this attempt never does. Otherwise
// times decide, which others have written with clocks of their own: one in the
// future counts as now.
func (c State) counted(r *facts.Request, now time.Time) bool {
	if r.Failure == nil || (r.UID != "" && r.UID == c.Memory.Request) {
		return false
	}
	at := r.Failure.At
	if failed := c.lastFailure(now); !failed.IsZero() && !at.After(failed) {
		return true
	}
	issuing := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	if issuing == nil || issuing.Status != cmmeta.ConditionTrue || issuing.LastTransitionTime == nil {
		return false
	}
	begun := issuing.LastTransitionTime.Time
	if begun.After(now) {
		begun = now
	}
	return at.Before(begun)
}

// maxMade bounds how often one issuance makes its request, or stores its key.
// Whatever deletes them, or makes them unfit, would go on for ever.
const maxMade = 3

// lost records an issuance whose objects do not stay.
func (c State) lost(p Plan, what, component string, now time.Time) Plan {
	return c.failed(p, ending{reason: cmv1.EventReasonRequestFailed, component: component, message: fmt.Sprintf(
		"%s was created %d times, and was each time deleted or changed by others; find what deletes or changes CertificateRequests and Secrets in namespace %q",
		what, maxMade, c.Object.Namespace)}, now)
}

// withKey sees to the next private key, then to the request for it.
func (c State) withKey(p Plan, next []*facts.Request, now time.Time) Plan {
	if len(c.Keys) > 0 {
		chosen := c.chooseKey(next)
		unusable := chosen.KeyDigest.IsZero() || len(KeyMismatches(&c.Object.Spec, chosen.Key)) > 0
		p.Persist = plan.AtEnd
		if len(c.Keys) > 1 || unusable {
			if m := KeyMismatches(&c.Object.Spec, chosen.Key); len(m) > 0 && !chosen.KeyDigest.IsZero() {
				p.Events = append(p.Events, plan.Event{
					Reason: cmv1.EventReasonDeleted, Component: ManagerKeys, Verbose: true,
					Message: "Regenerating private key due to change in fields: " + fieldList(m),
				})
			}
			return c.deleteKeys(p, slices.DeleteFunc(slices.Clone(c.Keys), func(k *facts.Secret) bool { return k == chosen && !unusable }))
		}
		// Facts belong to the cache: the status gets a name of its own.
		name := chosen.Name
		p.Status.NextPrivateKeySecretName = &name
		return c.withRequest(p, chosen.KeyDigest, chosen, next, now)
	}
	memory := c.Memory.Key
	if memory == nil {
		if len(next) > 0 {
			return c.deleteRequests(p, next, now)
		}
		return c.newKey(p, now)
	}
	if !c.SignsInline || now.Sub(memory.CreatedAt) >= keyInMemory {
		if c.Memory.Keys >= maxMade {
			return c.lost(p, "The Secret with the next private key", ManagerKeys, now)
		}
		p.Do, p.Persist, p.Confirm = StoreKey{}, plan.AtEnd, []plan.Confirm{c.self()}
		p.Events = append(p.Events, plan.Event{
			Reason: cmv1.EventReasonGenerated, Component: ManagerKeys, Verbose: true,
			Message: fmt.Sprintf("Stored new private key in temporary Secret resource %q", memory.Name),
		})
		return p
	}
	p.Until = plan.Earliest(p.Until, memory.CreatedAt.Add(keyInMemory))
	return c.withRequest(p, memory.Digest, nil, next, now)
}

// chooseKey picks one of several stored keys: the one that the status names,
// else the one that a request was made for, else the oldest.
func (c State) chooseKey(next []*facts.Request) *facts.Secret {
	if name := c.Object.Status.NextPrivateKeySecretName; name != nil {
		for _, k := range c.Keys {
			if k.Name == *name {
				return k
			}
		}
	}
	for _, k := range c.Keys {
		if slices.ContainsFunc(next, func(r *facts.Request) bool { return isFor(r, k.KeyDigest) }) {
			return k
		}
	}
	return slices.MinFunc(c.Keys, func(a, b *facts.Secret) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp), strings.Compare(a.Name, b.Name))
	})
}

// isFor reports whether a request was made with a key.
func isFor(r *facts.Request, key pki.KeyDigest) bool {
	return r.CSRError == "" && r.CSR.KeyDigest == key
}

// newKey generates a key, or reuses the one in the Secret if the spec says so.
func (c State) newKey(p Plan, now time.Time) Plan {
	if c.Memory.Generating {
		return c.awaitKey(p, now)
	}
	reuses := c.Object.Spec.PrivateKey != nil && c.Object.Spec.PrivateKey.RotationPolicy == cmv1.RotationPolicyNever &&
		c.Secret != nil && c.Secret.Has("tls.key")
	if reuses && !c.Secret.KeyDigest.IsZero() {
		return c.reuseKey(p, now)
	}
	if reuses {
		p.Events = append(p.Events, plan.Event{
			Warning: true, Reason: cmv1.EventReasonDecodeFailed, Component: ManagerKeys,
			Message: fmt.Sprintf("Failed to decode private key stored in Secret %q - generating new key", c.Secret.Name),
		})
	}
	p.Do = GenerateKey{Spec: KeySpecOf(&c.Object.Spec), Begins: !issuing(c.Object.Status)}
	p.Confirm = append(c.selfUnlessAbsent(), c.target())
	return p
}

// generatingFor is how long a key may be in the making before the status says so.
const generatingFor = time.Second

// awaitKey waits for a key, which wakes the Certificate.
func (c State) awaitKey(p Plan, now time.Time) Plan {
	if told := c.Memory.GeneratingSince.Add(generatingFor); now.Before(told) {
		p.Persist, p.Until = plan.Held, plan.Earliest(p.Until, told)
		return p
	}
	p.Persist = plan.AtEnd
	spec := KeySpecOf(&c.Object.Spec)
	c.waitFor(&p, fmt.Sprintf("a private key (%s %d) is being generated", spec.Algorithm, spec.Size), now)
	return p
}

// reuseKey takes the key in the Secret, or waits for a user if the key is not what
// the spec wants.
func (c State) reuseKey(p Plan, now time.Time) Plan {
	if mismatches := KeyMismatches(&c.Object.Spec, c.Secret.Key); len(mismatches) > 0 {
		p.Persist = plan.AtEnd
		c.waitFor(&p, fmt.Sprintf("the private key in Secret %q does not match the spec: %s, and spec.privateKey.rotationPolicy Never forbids a new one",
			c.Secret.Name, fieldList(mismatches)), now)
		p.Events = append(p.Events, plan.Event{
			Warning: true, Reason: cmv1.EventReasonCannotRegenerateKey, Component: ManagerKeys,
			Message: fmt.Sprintf("User intervention required: existing private key in Secret %q does not match requirements on Certificate resource, mismatching fields: %s, but cert-manager cannot create new private key as the Certificate's .spec.privateKey.rotationPolicy is unset or set to Never. To allow cert-manager to create a new private key you can set .spec.privateKey.rotationPolicy to 'Always' (this will result in the private key being regenerated every time a cert is renewed) ",
				c.Secret.Name, fieldList(mismatches)),
		})
		return p
	}
	p.Do, p.Confirm = ReuseKey{Begins: !issuing(c.Object.Status)}, []plan.Confirm{c.self(), c.target()}
	p.Events = append(p.Events, plan.Event{
		Reason: cmv1.EventReasonReused, Component: ManagerKeys, Verbose: true,
		Message: fmt.Sprintf("Reusing private key stored in existing Secret resource %q", c.Secret.Name),
	})
	return p
}

// withRequest makes the request, waits for its answer and stores it. stored is
// the Secret with the key, nil while the key is in memory.
func (c State) withRequest(p Plan, key pki.KeyDigest, stored *facts.Secret, next []*facts.Request, now time.Time) Plan {
	var mine *facts.Request
	var foreign []*facts.Request
	for _, r := range next {
		switch {
		case !isFor(r, key):
			foreign = append(foreign, r)
		case mine == nil || (r.Issued && !mine.Issued):
			mine = r
		}
	}
	if len(foreign) > 0 {
		return c.deleteRequests(p, foreign, now)
	}
	if mine == nil {
		if c.Memory.Requests >= maxMade {
			return c.lost(p, fmt.Sprintf("CertificateRequest %q", RequestName(c.Object.Name, c.nextRevision())), ManagerRequests, now)
		}
		p.Do = CreateRequest{Revision: c.nextRevision(), Key: stored, FailedAttempts: c.Memory.FailedAttempts, Row: c.row(p, now)}
		p.Confirm = c.selfUnlessAbsent()
		if stored != nil {
			p.Persist = plan.Before
		}
		p.Events = append(p.Events, plan.Event{
			Reason: cmv1.EventReasonRequested, Component: ManagerRequests, Verbose: true,
			Message: fmt.Sprintf("Created new CertificateRequest resource %q", RequestName(c.Object.Name, c.nextRevision())),
		})
		return p
	}
	switch why := unfit(mine, key, now); {
	case mine.Failure != nil:
		return c.failed(p, ending{kindOf(mine), mine.Failure.Reason, c.causeOfFailure(mine), ManagerIssuing, mine}, now)
	case !mine.Issued && mine.Waiting == "":
		return c.unanswered(p, mine, stored, now)
	case !mine.Issued:
		c.awaitRequest(&p, mine, c.causeOfWaiting(mine), now)
		return c.withTemporary(p, stored, now)
	case why != "":
		return c.failed(p, ending{unknownFailure, cmv1.CertificateReasonInvalidCertificate, why, ManagerIssuing, mine}, now)
	default:
		p.Do = StoreSecret{Request: mine, Key: stored, Absent: c.knownAbsent(now)}
		if stored != nil {
			// The issuance may have taken long: a private key must not appear after
			// Certificate and Secret were deleted.
			p.Confirm = []plan.Confirm{c.self()}
		}
		return p
	}
}

// waitFor appends what the issuance waits for to why it was begun.
func (c State) waitFor(p *Plan, cause string, now time.Time) {
	issuing := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	message, _, _ := strings.Cut(issuing.Message, causeMark)
	if cause != "" {
		message += causeMark + cause
	}
	c.set(p, cmv1.CertificateConditionIssuing, cmmeta.ConditionTrue, issuing.Reason, message, now)
}

// unfit says why an issued certificate must not be stored, or returns "".
func unfit(r *facts.Request, key pki.KeyDigest, now time.Time) string {
	const undecodable = "The issuer returned a certificate that cannot be decoded: "
	switch {
	case r.Answer == (facts.Answer{}):
		return undecodable + pki.ErrNoPEM.Error()
	case r.Answer.Error != "":
		return undecodable + r.Answer.Error
	case r.Answer.Key != key:
		return "The issuer returned a certificate for another public key than the one requested"
	case !now.Before(r.Answer.NotAfter):
		return "The issuer returned a certificate that has expired on " + r.Answer.NotAfter.UTC().Format(time.RFC1123)
	default:
		return ""
	}
}

// finish ends an issuance whose certificate is in its Secret.
func (c State) finish(p Plan) Plan {
	revision := c.nextRevision()
	p.Status.Revision = &revision
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts, p.Status.NextPrivateKeySecretName = nil, nil, nil
	// The advice is about the certificate that has been replaced.
	p.Status.ACME = nil
	p.Status.Conditions = condition.Remove(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	p.Events = append(p.Events, plan.Event{Reason: cmv1.EventReasonIssuing, Message: "The certificate has been successfully issued", Component: ManagerIssuing})
	p.Events = append(p.Events, c.remarks()...)
	if why := spacedName(&c.Object.Spec); why != "" {
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: "InvalidName", Message: why, Component: ManagerIssuing})
	}
	if why := c.otherRenewal(revision); why != "" {
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: "RenewBeforeIgnored", Message: why, Component: ManagerIssuing})
	}
	p.Persist = plan.AtEnd
	return p
}
