// Package certificate decides what a Certificate needs next.
package certificate

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// The field managers of a Certificate's writes, and the sources of its events:
// upstream's controllers, by which users filter.
const (
	ManagerIssuing   = facts.SecretManager
	ManagerKeys      = "cert-manager-certificates-key-manager"
	ManagerReadiness = "cert-manager-certificates-readiness"
	ManagerRequests  = "cert-manager-certificates-request-manager"
	ManagerTrigger   = "cert-manager-certificates-trigger"
)

const (
	// ownerRecheck is how often a Certificate looks whether it has become the
	// owner of a Secret name that it shares with another.
	ownerRecheck = 3 * time.Minute
	// rechecked ends the messages about what is looked at so often.
	rechecked = "; everleaf looks again within 3 minutes"
	// keyInMemory is how long a new private key may exist only in memory.
	keyInMemory = 2 * time.Second
)

// MemoryKey is a new private key that is not stored yet.
type MemoryKey struct {
	Digest    pki.KeyDigest
	CreatedAt time.Time
	// Name is that of the Secret that it will get.
	Name string
}

// State is everything that decides what a Certificate needs next.
type State struct {
	// Object is the Certificate; it is not to be changed.
	Object *cmv1.Certificate
	// Secret is spec.secretName's, nil if there is none.
	Secret *facts.Secret
	// Requests are those that the Certificate controls.
	Requests []*facts.Request
	// Orders are those of the requests that wait or have failed, by the UID of the
	// request: the newest of each.
	Orders map[types.UID]*facts.Order
	// Keys are the Secrets with a next private key that it controls.
	Keys []*facts.Secret
	// Started is when this process began to look at Certificates.
	Started time.Time
	// Memory is what this process knows of the issuance and does not store.
	Memory Memory
	// Remembered is the Row that this process has last known, whatever has become of
	// the request that says it.
	Remembered facts.Row
	// SecretOwnedBy is the name of another Certificate that owns spec.secretName.
	SecretOwnedBy string
	// SecretUsedBy names an issuer that needs what is in spec.secretName, for
	// signing or for its account, as in `Issuer "ca"`.
	SecretUsedBy string
	// SignsInline reports that the issuer answers within a request's creation
	// and approval, and that both are ours: the key may wait in memory.
	SignsInline bool
	// IssuerUnserved is the type of the issuer if this version does not have it and
	// nobody else answers the requests for it, else empty.
	IssuerUnserved facts.IssuerType
	// IssuerVersion is facts.IssuerVersion of the issuer, empty without one of ours.
	IssuerVersion string
	// Backoff is the wait after a failed issuance that a user has chosen, as in
	// cert-manager. The zero value leaves it to what has failed.
	Backoff plan.Backoff
	// Spread bounds how much later than due a renewal may begin, so that certificates
	// that are due at the same time are not renewed at once; zero is at once.
	Spread time.Duration
	// Applied reports that this reconcile has repaired the Secret: what differs
	// still is somebody else's doing, and no reason for a fight.
	Applied bool
	// PasswordVersions are the resourceVersions of the Secrets with the passwords of
	// keystores, by their names, empty for one that does not exist.
	PasswordVersions map[string]string
	// Keystores is what this process knows of the Secret's keystores.
	Keystores KeystoreCheck
	// OwnSecret reports whether the Secret is deleted with the Certificate.
	OwnSecret bool

	// Advised reports that the CA's advice in the status decides when the certificate
	// is renewed: TakesAdvice, or there is no issuer.
	Advised bool

	// mismatches are the fields in which requests differ from the spec.
	mismatches map[*facts.Request][]string
	// renewals are what renewal has returned, by the revision.
	renewals map[int]renewal
}

// Memory is what a process knows of an issuance and does not store.
type Memory struct {
	// Key is the next private key if it is not stored yet.
	Key *MemoryKey
	// Generating reports that a key is being made; it wakes the Certificate.
	Generating      bool
	GeneratingSince time.Time
	// Request is the one that this process has made last in this issuance.
	Request types.UID
	// Requests and Keys count how often this process has made the request and
	// stored the key of this issuance, for one generation of the spec.
	Requests, Keys int
	// Temporaries counts as well how often it has stored a temporary certificate.
	Temporaries int
	// FailedAttempts is how many attempts in a row have failed whose requests have
	// been deleted in this issuance.
	FailedAttempts int
	// AbsentAt is when the API server said that there is no target Secret.
	AbsentAt time.Time
	// BegunAt is when this process began an issuance that is not announced yet.
	BegunAt time.Time
	// Kept reports that there is anything to forget, of use or not.
	Kept bool
}

// Plan is what a Certificate needs next.
type Plan = plan.Plan[cmv1.CertificateStatus]

// Next decides what the Certificate needs next.
func (c State) Next(now time.Time) Plan {
	p := Plan{Status: *c.Object.Status.DeepCopy()}
	if c.Object.DeletionTimestamp != nil {
		return p
	}
	c.compare()
	if failed := c.lastFailure(now); p.Status.LastFailureTime != nil && !failed.Equal(p.Status.LastFailureTime.Time) {
		p.Status.LastFailureTime = &metav1.Time{Time: failed}
	}
	trigger, at := c.trigger(now)
	switch {
	case c.stored():
		at = time.Time{}
		// The status need not mention it: with a key in memory, Issuing may never
		// have been written.
		p = c.finish(p)
	case trigger != nil:
		p = c.issue(p, *trigger, now)
		if p.Do != nil && c.early(now) {
			// Once there is a new request, nothing else shows that the back-off is over.
			p.Persist = plan.Before
		}
	default:
		p = c.idle(p, now)
		c.dropFailure(&p, now)
		c.awaitOwner(&p, now)
		if at.IsZero() {
			c.halt(&p, now)
		}
	}
	c.readiness(&p, now)
	p.Until = plan.Earliest(p.Until, plan.Earliest(at, c.wakeUps(p.Status, now)))
	if p.Do == nil && len(p.Events) == 0 && !issuing(p.Status) {
		p = c.tidy(p)
	}
	return p
}

// issuing reports whether an issuance goes on.
func issuing(s cmv1.CertificateStatus) bool {
	return condition.True(s.Conditions, cmv1.CertificateConditionIssuing)
}

// compare compares the requests that decide with the spec, once.
func (c *State) compare() {
	c.renewals = map[int]renewal{}
	c.mismatches = make(map[*facts.Request][]string, len(c.Requests))
	for _, r := range c.Requests {
		if r.CSRError == "" {
			c.mismatches[r] = requestMismatches(&c.Object.Spec, r)
		}
	}
}

// trigger returns whether and why a certificate must be issued now; the time is
// when to ask again, if waiting is what decides.
func (c State) trigger(now time.Time) (*Violation, time.Time) {
	if issuing(c.Object.Status) {
		if c.SecretOwnedBy != "" {
			return nil, now.Add(ownerRecheck)
		}
		begun := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
		return &Violation{Reason: begun.Reason, Message: begun.Message}, time.Time{}
	}
	violation := c.needsIssuing(now)
	if violation == nil {
		return nil, time.Time{}
	}
	if c.SecretOwnedBy != "" {
		return nil, now.Add(ownerRecheck)
	}
	if end := c.backoffEnd(now); end.After(now) {
		return nil, end
	}
	if c.halted(violation, now) {
		return nil, time.Time{}
	}
	return violation, time.Time{}
}

// maxRevision bounds revisions. A status is writable by others.
const maxRevision = math.MaxInt32

// revision is that of the present certificate, 0 without one or if it is none
// that everleaf has written.
func revision(s cmv1.CertificateStatus) int {
	if n := ptr.Deref(s.Revision, 0); n > 0 && n < maxRevision {
		return n
	}
	return 0
}

func (c State) nextRevision() int { return revision(c.Object.Status) + 1 }

func (c State) requestsOf(revision int) []*facts.Request {
	var found []*facts.Request
	for _, r := range c.Requests {
		if !r.Deleting && r.Revision == revision {
			found = append(found, r)
		}
	}
	return found
}

// stored reports whether the Secret holds the certificate of the next revision:
// then only the status is missing.
func (c State) stored() bool {
	return slices.ContainsFunc(c.requestsOf(c.nextRevision()), func(r *facts.Request) bool {
		return r.Issued && holds(c.Secret, r.Answer)
	})
}

// idle is what a Certificate needs that is not being issued: no leftovers, and
// a Secret that follows the spec.
func (c State) idle(p Plan, now time.Time) Plan {
	p.Status.NextPrivateKeySecretName = nil
	if len(c.Keys) > 0 {
		p = c.deleteKeys(p, c.Keys)
		p.Persist = plan.Before
		return p
	}
	return c.repair(p, now)
}

// tidy drops what an ended issuance leaves in memory, and deletes the oldest
// requests once the certificate is ready. One of the next revision is no
// history yet: it must not displace the current one, by which changes of the
// spec are found.
func (c State) tidy(p Plan) Plan {
	if c.Memory != (Memory{}) && !c.Memory.Generating {
		p.Do, p.Persist = Forget{}, plan.Before
		return p
	}
	current := revision(p.Status)
	if ready := condition.Find(p.Status.Conditions, cmv1.CertificateConditionReady); current == 0 ||
		ready.Status != cmmeta.ConditionTrue && ready.Reason != cmv1.CertificateReasonWindowError {
		return p
	}
	limit := max(int(ptr.Deref(c.Object.Spec.RevisionHistoryLimit, 1)), 1)
	var kept []*facts.Request
	for _, r := range c.Requests {
		if !r.Deleting && r.Revision > 0 && r.Revision <= current {
			kept = append(kept, r)
		}
	}
	if len(kept) <= limit {
		return p
	}
	slices.SortFunc(kept, func(a, b *facts.Request) int { return a.Revision - b.Revision })
	p.Do, p.Confirm, p.Persist = DeleteRevisions{kept[:len(kept)-limit]}, []plan.Confirm{c.self()}, plan.Before
	return p
}

// wakeUps is when the clock alone changes what the status says or needs.
func (c State) wakeUps(s cmv1.CertificateStatus, now time.Time) time.Time {
	var at time.Time
	if s.RenewalTime != nil {
		at = plan.Earliest(at, after(c.renewal(revision(s)).begins, now))
	}
	if s.NotAfter != nil {
		at = plan.Earliest(at, after(s.NotAfter.Time, now))
	}
	return at
}

// after returns a time if it is to come, else zero.
func after(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}

// set sets a condition.
func (c State) set(p *Plan, kind cmv1.CertificateConditionType, status cmmeta.ConditionStatus, reason, message string, now time.Time) {
	p.Status.Conditions = condition.Set(p.Status.Conditions, cmv1.CertificateCondition{
		Type: kind, Status: status, Reason: reason, Message: message,
		LastTransitionTime: &metav1.Time{Time: now}, ObservedGeneration: c.Object.Generation,
	})
}

// holds reports whether a Secret has exactly this certificate.
func holds(s *facts.Secret, a facts.Answer) bool {
	if s == nil || a == (facts.Answer{}) {
		return false
	}
	sum, _ := s.Digest("tls.crt")
	return sum == a.Digest
}

// RequestName is the name of the request for a revision. Long names are cut,
// with a hash to keep them apart: the names of Orders and Challenges grow from
// it.
func RequestName(certificate string, revision int) string {
	const longest, kept = 233, 168
	if len(certificate) > longest {
		sum := sha256.Sum256([]byte(certificate))
		certificate = fmt.Sprintf("%s-%x", facts.CutName(certificate, kept), sum)
	}
	return fmt.Sprintf("%s-%d", certificate, revision)
}
