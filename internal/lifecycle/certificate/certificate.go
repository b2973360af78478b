// Package certificate decides what a Certificate needs next.
package certificate

import (
	"crypto/sha256"
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

// The sources of a Certificate's events: upstream's controllers, by which
// users filter.
const (
	componentTrigger    = "cert-manager-certificates-trigger"
	componentKeys       = "cert-manager-certificates-key-manager"
	componentRequests   = "cert-manager-certificates-request-manager"
	componentIssuing    = "cert-manager-certificates-issuing"
	messageIssuedSecret = "The certificate has been successfully issued"
)

const (
	// ownerRecheck is how often a Certificate looks whether it has become the
	// owner of a Secret name that it shares with another.
	ownerRecheck = 3 * time.Minute
	// keyInMemory is how long a new private key may be nowhere but in memory.
	keyInMemory = 2 * time.Second
)

// Step is what a Certificate needs next.
type Step string

// The steps of a Certificate.
const (
	Wait           Step = ""
	GenerateKey    Step = "generate a private key"
	ReuseKey       Step = "reuse the private key"
	StoreKey       Step = "store the next private key"
	DeleteKeys     Step = "delete next private keys"
	CreateRequest  Step = "create the CertificateRequest"
	DeleteRequests Step = "delete CertificateRequests"
	StoreSecret    Step = "store the certificate"
	ApplySecret    Step = "apply the Secret's metadata"
)

// MemoryKey is a new private key that is not stored yet.
type MemoryKey struct {
	Digest    pki.KeyDigest
	CreatedAt time.Time
}

// State is everything that decides what a Certificate needs next.
type State struct {
	// Object is the Certificate; it is not to be changed.
	Object *cmv1.Certificate
	// Secret is spec.secretName's, nil if there is none.
	Secret *facts.Secret
	// Requests are those that the Certificate controls.
	Requests []*cmv1.CertificateRequest
	// Keys are the Secrets with a next private key that it controls.
	Keys []*facts.Secret
	// Memory is the next private key if it is not stored yet.
	Memory *MemoryKey
	// SecretOwnedBy is the name of another Certificate that owns spec.secretName.
	SecretOwnedBy string
	// SignsInline says that the issuer answers within a request's creation and
	// approval, both ours: the key may wait in memory.
	SignsInline bool
	Backoff     plan.Backoff
	// OwnSecret says that the Secret is to be deleted with the Certificate.
	OwnSecret bool
	// Limits bound the PEM that is decoded.
	Limits pki.Limits
}

// Plan is what a Certificate needs next.
type Plan struct {
	Step    Step
	Status  cmv1.CertificateStatus
	Persist plan.Persist
	// Requests are those to delete, or the one whose certificate is to be stored.
	Requests []*cmv1.CertificateRequest
	// Keys are those to delete, or the one that belongs to the request.
	Keys []*facts.Secret
	// Revision of the request to create.
	Revision int
	// Issuing says that an issuance goes on: a key in memory is still needed.
	Issuing bool
	Events  []plan.Event
	// Until is when to look again if nothing happens before, zero for never.
	Until time.Time
}

// Next decides what a Certificate needs next.
func Next(c State, now time.Time) Plan {
	p := Plan{Status: *c.Object.Status.DeepCopy()}
	if c.Object.DeletionTimestamp != nil {
		return p
	}
	trigger, at := c.trigger(now)
	switch {
	case c.stored():
		// Nothing in the status need tell of it: with a key in memory, Issuing
		// may never have been written.
		p, at = p.finish(c), time.Time{}
	case trigger != nil:
		p = p.issue(c, *trigger, now)
	default:
		p = p.rest(c)
	}
	p.readiness(c, now)
	p.Until = plan.Earliest(p.Until, plan.Earliest(at, wakeUps(p.Status, now)))
	if p.Step == Wait && !p.Issuing {
		p = p.trim(c)
	}
	return p
}

// trigger says whether and why a certificate is to be issued now; the time is
// when to ask again, if waiting is what decides.
func (c State) trigger(now time.Time) (*Violation, time.Time) {
	if issuing := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing); issuing != nil && issuing.Status == cmmeta.ConditionTrue {
		return &Violation{Reason: issuing.Reason, Message: issuing.Message}, time.Time{}
	}
	violation := c.needsIssuing(now)
	if violation == nil {
		return nil, time.Time{}
	}
	if c.SecretOwnedBy != "" {
		return nil, now.Add(ownerRecheck)
	}
	if end := c.backoffEnd(); end.After(now) {
		return nil, end
	}
	return violation, time.Time{}
}

// backoffEnd is until when a failed issuance is not repeated. A change of the
// spec that makes the failed request obsolete ends it at once; so does any
// change if the issuance failed before it had a request.
func (c State) backoffEnd() time.Time {
	failed := c.Object.Status.LastFailureTime
	if failed == nil {
		return time.Time{}
	}
	next := c.requestsOf(c.nextRevision())
	for _, r := range next {
		if p, err := c.parseRequest(r); err != nil || len(p.mismatches) > 0 {
			return time.Time{}
		}
	}
	told := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	if len(next) == 0 && told != nil && told.ObservedGeneration > 0 && told.ObservedGeneration < c.Object.Generation {
		return time.Time{}
	}
	attempts := 1
	if n := c.Object.Status.FailedIssuanceAttempts; n != nil {
		attempts = max(*n, 1)
	}
	return failed.Add(c.Backoff.Delay(attempts))
}

func (c State) nextRevision() int {
	if c.Object.Status.Revision == nil {
		return 1
	}
	return *c.Object.Status.Revision + 1
}

func (c State) requestsOf(revision int) []*cmv1.CertificateRequest {
	var found []*cmv1.CertificateRequest
	for _, r := range c.Requests {
		if r.DeletionTimestamp == nil && request.Revision(r) == revision {
			found = append(found, r)
		}
	}
	return found
}

// stored reports whether the Secret holds the certificate of the next revision:
// then only the status is missing.
func (c State) stored() bool {
	return slices.ContainsFunc(c.requestsOf(c.nextRevision()), func(r *cmv1.CertificateRequest) bool {
		return request.Issued(r) && holds(c.Secret, r.Status.Certificate)
	})
}

// rest is what a Certificate needs that is not being issued: no leftovers, and
// a Secret whose metadata follows the spec.
func (p Plan) rest(c State) Plan {
	p.Status.NextPrivateKeySecretName = nil
	if len(c.Keys) > 0 {
		p.Step, p.Keys, p.Persist = DeleteKeys, c.Keys, plan.Before
		return p
	}
	if c.SecretOwnedBy == "" && c.Secret != nil && c.Secret.Leaf != nil && !c.Secret.KeyDigest.IsZero() && secretOutdated(c) {
		p.Step, p.Persist = ApplySecret, plan.Before
	}
	return p
}

// trim deletes the oldest requests once the certificate is ready. One of the
// next revision is no history yet: it must not displace the current one, by
// which changes of the spec are found.
func (p Plan) trim(c State) Plan {
	ready := condition.Find(p.Status.Conditions, cmv1.CertificateConditionReady)
	if ready == nil || ready.Status != cmmeta.ConditionTrue || p.Status.Revision == nil {
		return p
	}
	limit := 1
	if c.Object.Spec.RevisionHistoryLimit != nil {
		limit = int(*c.Object.Spec.RevisionHistoryLimit)
	}
	var kept []*cmv1.CertificateRequest
	for _, r := range c.Requests {
		if n := request.Revision(r); r.DeletionTimestamp == nil && n > 0 && n <= *p.Status.Revision {
			kept = append(kept, r)
		}
	}
	if len(kept) <= limit {
		return p
	}
	slices.SortFunc(kept, func(a, b *cmv1.CertificateRequest) int { return request.Revision(a) - request.Revision(b) })
	p.Step, p.Requests, p.Persist = DeleteRequests, kept[:len(kept)-limit], plan.Before
	return p
}

// readiness sets the Ready condition and what the status tells of the leaf.
func (p *Plan) readiness(c State, now time.Time) {
	p.Status.NotBefore, p.Status.NotAfter, p.Status.RenewalTime = nil, nil, nil
	if s := c.Secret; s != nil && s.Leaf != nil {
		notBefore, notAfter := metav1.NewTime(s.Leaf.NotBefore), metav1.NewTime(s.Leaf.NotAfter)
		p.Status.NotBefore, p.Status.NotAfter = &notBefore, &notAfter
		if at := renewalTime(c.Object, s); !at.IsZero() {
			renewal := metav1.NewTime(at)
			p.Status.RenewalTime = &renewal
		}
	}
	if v := c.violation(p.Status.Revision, true, now); v != nil {
		p.set(c.Object, cmv1.CertificateConditionReady, cmmeta.ConditionFalse, v.Reason, v.Message, now)
		return
	}
	message := "Certificate is up to date and has not expired"
	if end := c.Secret.IssuerNotAfter; !end.IsZero() && end.Before(c.Secret.Leaf.NotAfter) {
		message += fmt.Sprintf(", but it outlives its issuer: it is valid until %s and its issuer's certificate until %s",
			c.Secret.Leaf.NotAfter.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	p.set(c.Object, cmv1.CertificateConditionReady, cmmeta.ConditionTrue, "Ready", message, now)
}

// wakeUps is when the clock alone changes what the status says or needs.
func wakeUps(s cmv1.CertificateStatus, now time.Time) time.Time {
	var at time.Time
	for _, t := range []*metav1.Time{s.RenewalTime, s.NotAfter} {
		if t != nil && t.After(now) {
			at = plan.Earliest(at, t.Time)
		}
	}
	return at
}

// renewalTime is when the leaf in the Secret is due, zero for never. If the
// leaf reaches as far as its issuer's own certificate, another one could not
// reach further, so it is not due before half its life has passed.
func renewalTime(crt *cmv1.Certificate, s *facts.Secret) time.Time {
	if crt.Spec.Renewal != nil && crt.Spec.Renewal.Policy == cmv1.RenewalPolicyDisabled {
		return time.Time{}
	}
	leaf := s.Leaf
	var before *time.Duration
	if crt.Spec.RenewBefore != nil {
		before = &crt.Spec.RenewBefore.Duration
	}
	at := pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, before, crt.Spec.RenewBeforePercentage)
	if !s.IssuerNotAfter.IsZero() && !leaf.NotAfter.Before(s.IssuerNotAfter) {
		half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2).Truncate(time.Second)
		if at.Before(half) {
			return half
		}
	}
	return at
}

// set sets a condition; its transition time changes only with its status.
func (p *Plan) set(crt *cmv1.Certificate, kind cmv1.CertificateConditionType, status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	at := metav1.NewTime(now)
	p.Status.Conditions = condition.Set(p.Status.Conditions, cmv1.CertificateCondition{
		Type: kind, Status: status, Reason: reason, Message: message,
		LastTransitionTime: &at, ObservedGeneration: crt.Generation,
	})
}

func (p *Plan) unset(kind cmv1.CertificateConditionType) {
	p.Status.Conditions = condition.Remove(p.Status.Conditions, kind)
}

// holds reports whether a Secret has exactly this certificate.
func holds(s *facts.Secret, chain []byte) bool {
	return s != nil && len(chain) > 0 && s.Digests["tls.crt"] == sha256.Sum256(chain)
}

// rootCause is what a pending request waits for, if that is more than the
// usual course of things.
func rootCause(r *cmv1.CertificateRequest) string {
	ready := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if ready == nil || ready.Reason != cmv1.CertificateRequestReasonPending {
		return ""
	}
	if rest, ok := strings.CutPrefix(ready.Message, "Waiting on certificate issuance from order "); ok {
		_, cause, _ := strings.Cut(rest, "\": ")
		return cause
	}
	return ready.Message
}

// SecretOwner is the name of the Certificate, of several that share a
// spec.secretName, whose Secret it is: the one that the Secret was issued for,
// else the oldest, else the first by name. One that is being deleted is not
// waited for.
func SecretOwner(sharing []cmv1.Certificate, secret *facts.Secret) string {
	staying := slices.DeleteFunc(slices.Clone(sharing), func(c cmv1.Certificate) bool { return c.DeletionTimestamp != nil })
	if len(staying) > 0 {
		sharing = staying
	}
	if secret != nil {
		for i := range sharing {
			if name := secret.Annotations[cmv1.CertificateNameKey]; sharing[i].Name == name {
				return name
			}
		}
	}
	oldest := slices.MinFunc(sharing, func(a, b cmv1.Certificate) int {
		if d := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return oldest.Name
}

// RequestName is the name of the request for a revision. Long names are cut,
// with a hash to keep them apart: the names of Orders and Challenges grow from
// it.
func RequestName(certificate string, revision int) string {
	const longest, kept = 233, 168
	if len(certificate) > longest {
		sum := sha256.Sum256([]byte(certificate))
		certificate = fmt.Sprintf("%s-%x", certificate[:kept], sum)
	}
	return fmt.Sprintf("%s-%d", certificate, revision)
}
