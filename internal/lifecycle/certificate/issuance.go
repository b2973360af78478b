package certificate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// causeMark separates, in the Issuing condition's message, why an issuance was
// begun from what it waits for.
const causeMark = "; waiting: "

// issue decides the next step of an issuance.
func (p Plan) issue(c State, trigger Violation, now time.Time) Plan {
	p.Issuing = true
	announced := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	if announced == nil || announced.Status != cmmeta.ConditionTrue {
		p.set(c.Object, cmv1.CertificateConditionIssuing, cmmeta.ConditionTrue, trigger.Reason, trigger.Message, now)
		if c.SignsInline {
			p.Persist = plan.Held
		}
	}
	next := c.requestsOf(c.nextRevision())
	if why := unsupportedSpec(c.Object); why != "" {
		return p.failed(c, "NotSupported", "Failed to generate CSR: "+why, componentRequests, now)
	}
	if old := c.obsolete(next); len(old) > 0 {
		p.Step, p.Requests = DeleteRequests, old
		return p
	}
	return p.withKey(c, trigger, next, now)
}

// obsolete are requests that cannot serve this issuance: without a revision,
// of another spec, or of an attempt whose failure has been counted.
func (c State) obsolete(next []*cmv1.CertificateRequest) []*cmv1.CertificateRequest {
	var old []*cmv1.CertificateRequest
	for _, r := range c.Requests {
		if r.DeletionTimestamp == nil && request.Revision(r) == 0 {
			old = append(old, r)
		}
	}
	for _, r := range next {
		if len(c.requestMismatches(r)) > 0 || c.counted(r) {
			old = append(old, r)
		}
	}
	return old
}

// counted reports whether a request's failure belongs to an earlier attempt.
func (c State) counted(r *cmv1.CertificateRequest) bool {
	at := request.FailedAt(r)
	if at.IsZero() {
		return false
	}
	if failed := c.Object.Status.LastFailureTime; failed != nil && !at.After(failed.Time) {
		return true
	}
	issuing := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	return issuing != nil && issuing.Status == cmmeta.ConditionTrue &&
		issuing.LastTransitionTime != nil && at.Before(issuing.LastTransitionTime.Time)
}

// withKey sees to the next private key, then to the request for it.
func (p Plan) withKey(c State, trigger Violation, next []*cmv1.CertificateRequest, now time.Time) Plan {
	spec := keySpec(c.Object)
	if len(c.Keys) > 0 {
		chosen := chooseKey(c, next)
		unusable := chosen.KeyDigest.IsZero() || len(spec.Mismatches(chosen.Key)) > 0
		if len(c.Keys) > 1 || unusable {
			p.Step, p.Persist = DeleteKeys, plan.AtEnd
			p.Keys = slices.DeleteFunc(slices.Clone(c.Keys), func(k *facts.Secret) bool { return k == chosen && !unusable })
			return p
		}
		p.Status.NextPrivateKeySecretName = &chosen.Name
		p.Persist = plan.AtEnd
		return p.withRequest(c, chosen.KeyDigest, chosen, next, now)
	}
	if c.Memory == nil {
		if len(next) > 0 {
			p.Step, p.Requests = DeleteRequests, next
			return p
		}
		return p.newKey(c, spec, trigger, now)
	}
	if !c.SignsInline || now.Sub(c.Memory.CreatedAt) >= keyInMemory {
		p.Step, p.Persist = StoreKey, plan.AtEnd
		return p
	}
	p.Until = c.Memory.CreatedAt.Add(keyInMemory)
	return p.withRequest(c, c.Memory.Digest, nil, next, now)
}

// chooseKey picks one of several stored keys: the one that the status names,
// else the one that a request was made for, else the oldest.
func chooseKey(c State, next []*cmv1.CertificateRequest) *facts.Secret {
	if name := c.Object.Status.NextPrivateKeySecretName; name != nil {
		for _, k := range c.Keys {
			if k.Name == *name {
				return k
			}
		}
	}
	for _, k := range c.Keys {
		if slices.ContainsFunc(next, func(r *cmv1.CertificateRequest) bool { return c.requestIsFor(r, k.KeyDigest) }) {
			return k
		}
	}
	return slices.MinFunc(c.Keys, func(a, b *facts.Secret) int {
		if d := a.CreationTimestamp.Compare(b.CreationTimestamp); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// newKey generates a key, or reuses the one in the Secret if the spec says so.
func (p Plan) newKey(c State, spec pki.KeySpec, trigger Violation, now time.Time) Plan {
	issuing := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	begin := plan.Event{Reason: "Issuing", Message: trigger.Message, Component: componentTrigger}
	p.Step = GenerateKey
	if reusesKey(c.Object) && c.Secret != nil && c.Secret.Has("tls.key") {
		switch mismatches := spec.Mismatches(c.Secret.Key); {
		case c.Secret.KeyDigest.IsZero():
			p.Events = append(p.Events, plan.Event{
				Warning: true, Reason: "DecodeFailed", Component: componentKeys,
				Message: fmt.Sprintf("Failed to decode private key stored in Secret %q - generating new key", c.Secret.Name),
			})
		case len(mismatches) > 0:
			p.Step, p.Persist = Wait, plan.AtEnd
			p.waitFor(c, fmt.Sprintf("the private key in Secret %q does not match the spec: %s, and spec.privateKey.rotationPolicy Never forbids a new one",
				c.Secret.Name, fieldList(mismatches)), now)
			p.Events = append(p.Events, plan.Event{
				Warning: true, Reason: "CannotRegenerateKey", Component: componentKeys,
				Message: fmt.Sprintf("User intervention required: existing private key in Secret %q does not match requirements on Certificate resource, mismatching fields: %s, but cert-manager cannot create new private key as the Certificate's .spec.privateKey.rotationPolicy is unset or set to Never. To allow cert-manager to create a new private key you can set .spec.privateKey.rotationPolicy to 'Always' (this will result in the private key being regenerated every time a cert is renewed) ",
					c.Secret.Name, fieldList(mismatches)),
			})
			return p
		default:
			p.Step = ReuseKey
		}
	}
	if issuing == nil || issuing.Status != cmmeta.ConditionTrue {
		p.Events = append(p.Events, begin)
	}
	return p
}

func reusesKey(crt *cmv1.Certificate) bool {
	return crt.Spec.PrivateKey != nil && crt.Spec.PrivateKey.RotationPolicy == cmv1.RotationPolicyNever
}

// withRequest makes the request, waits for its answer and stores it. stored is
// the Secret with the key, nil while the key is in memory.
func (p Plan) withRequest(c State, key pki.KeyDigest, stored *facts.Secret, next []*cmv1.CertificateRequest, now time.Time) Plan {
	var mine *cmv1.CertificateRequest
	var foreign []*cmv1.CertificateRequest
	for _, r := range next {
		switch {
		case !c.requestIsFor(r, key):
			foreign = append(foreign, r)
		case mine == nil || (request.Issued(r) && !request.Issued(mine)):
			mine = r
		}
	}
	if len(foreign) > 0 {
		p.Step, p.Requests = DeleteRequests, foreign
		return p
	}
	if mine == nil {
		p.Step, p.Revision = CreateRequest, c.nextRevision()
		if stored != nil {
			p.Persist, p.Keys = plan.Before, []*facts.Secret{stored}
		}
		return p
	}
	if condition := request.Failure(mine); condition != nil {
		return p.failed(c, cmp.Or(condition.Reason, string(condition.Type)), condition.Message, componentIssuing, now)
	}
	if !request.Issued(mine) {
		return p.wait(c, mine, now)
	}
	if why := c.unfit(mine, key, now); why != "" {
		return p.failed(c, "InvalidCertificate", why, componentIssuing, now)
	}
	p.Step, p.Requests = StoreSecret, []*cmv1.CertificateRequest{mine}
	if stored != nil {
		p.Keys = []*facts.Secret{stored}
	}
	return p
}

// wait tells, in the Issuing condition, what the request waits for.
func (p Plan) wait(c State, r *cmv1.CertificateRequest, now time.Time) Plan {
	p.waitFor(c, rootCause(r), now)
	return p
}

// waitFor appends what the issuance waits for to why it was begun.
func (p *Plan) waitFor(c State, cause string, now time.Time) {
	condition := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	message, _, _ := strings.Cut(condition.Message, causeMark)
	if cause != "" {
		message += causeMark + cause
	}
	p.set(c.Object, cmv1.CertificateConditionIssuing, cmmeta.ConditionTrue, condition.Reason, message, now)
}

// unfit says why an issued certificate must not be stored, or "".
func (c State) unfit(r *cmv1.CertificateRequest, key pki.KeyDigest, now time.Time) string {
	chain, err := pki.ParseChain(r.Status.Certificate, c.Limits)
	switch {
	case err != nil:
		return fmt.Sprintf("The issuer returned a certificate that cannot be decoded: %v", err)
	case pki.DigestOf(chain[0].PublicKey) != key:
		return "The issuer returned a certificate for another public key than the one requested"
	case !now.Before(chain[0].NotAfter):
		return fmt.Sprintf("The issuer returned a certificate that has expired on %s", chain[0].NotAfter.UTC().Format(time.RFC1123))
	default:
		return ""
	}
}

// finish ends an issuance whose certificate is in its Secret.
func (p Plan) finish(c State) Plan {
	revision := c.nextRevision()
	p.Status.Revision = &revision
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts, p.Status.NextPrivateKeySecretName = nil, nil, nil
	p.unset(cmv1.CertificateConditionIssuing)
	p.Events = append(p.Events, plan.Event{Reason: "Issuing", Message: messageIssuedSecret, Component: componentIssuing})
	if left := leftOut(c.Object); left != "" {
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: "NotSupported", Message: left, Component: componentIssuing})
	}
	p.Persist, p.Issuing = plan.Before, false
	if len(c.Keys) > 0 {
		p.Step, p.Keys = DeleteKeys, c.Keys
	}
	return p
}

// failed ends an issuance without a certificate. It is retried after the
// back-off.
func (p Plan) failed(c State, reason, message, component string, now time.Time) Plan {
	attempts := 1
	if n := p.Status.FailedIssuanceAttempts; n != nil {
		attempts = *n + 1
	}
	message = "The certificate request has failed to complete and will be retried: " + message
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts = &metav1.Time{Time: now}, &attempts
	p.Status.NextPrivateKeySecretName = nil
	p.set(c.Object, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, reason, message, now)
	p.Events = append(p.Events, plan.Event{Warning: true, Reason: reason, Message: message, Component: component})
	p.Persist, p.Issuing = plan.Before, false
	p.Until = now.Add(c.Backoff.Delay(attempts))
	if len(c.Keys) > 0 {
		p.Step, p.Keys = DeleteKeys, c.Keys
	}
	return p
}

func fieldList(fields []string) string { return "[" + strings.Join(fields, " ") + "]" }

// Unrequestable ends an issuance whose spec no signing request can
// express. It is tried again after the back-off, or when the spec changes.
func Unrequestable(c State, why string, now time.Time) Plan {
	plan := Plan{Status: *c.Object.Status.DeepCopy()}
	return plan.failed(c, "RequestFailed", "Failed to generate CSR: "+why, componentRequests, now)
}
