package challenge

import (
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
)

// Slot is a Challenge's share in what limits the number of Challenges that are
// worked on at once, from presenting to accepting. One that waits gives it back: what
// waits for a name server must not stop others.
type Slot string

// Slots.
const (
	// NoSlot: the Challenge has not asked for a slot.
	NoSlot Slot = ""
	// Queued: it has asked, and others are before it.
	Queued Slot = "queued"
	// Offered: it has asked, and it is its turn.
	Offered Slot = "offered"
	// Held: it may be worked on.
	Held Slot = "held"
)

// Issuer is whose slots a Challenge takes: each issuer has its own. That of a
// ClusterIssuer has no namespace.
type Issuer struct{ Kind, Namespace, Name string }

// IssuerOf returns the issuer of a Challenge.
func IssuerOf(c *acmev1.Challenge) Issuer {
	ref := c.Spec.IssuerRef.WithDefaults()
	if ref.Kind == cmv1.ClusterIssuerKind {
		return Issuer{Kind: ref.Kind, Name: ref.Name}
	}
	return Issuer{Kind: ref.Kind, Namespace: c.Namespace, Name: ref.Name}
}

// queuePatience is how long a Challenge may wait for a slot without a reason in its
// status: where many challenges begin together, most get one sooner, and each status
// is a write, which the Order, the request and the Certificate follow.
const queuePatience = 10 * time.Second

// pausing reports whether a plan is to wait.
func pausing(p Plan, now time.Time) bool {
	return p.Do == nil && p.Persist == plan.AtEnd && !order.Final(p.Status.State) && (p.Until.IsZero() || p.Until.After(now))
}

// needsSlot reports whether an action is one between presenting and accepting.
func needsSlot(action plan.Action) bool {
	switch action.(type) {
	case Present, Probe, Accept, AddFinalizer:
		return true
	default:
		return false
	}
}

// accepted reports whether a plan only follows a validation that the server was asked
// for.
func (s State) accepted(p Plan) bool {
	return s.Object.Status.Presented && s.Memory.asked() && !needsSlot(p.Do)
}

// queue waits for a slot. A slot that becomes free wakes those whose turn it is.
func (s State) queue(now time.Time) Plan {
	p := Plan{Status: *s.Object.Status.DeepCopy()}
	if s.Slot != Queued {
		p.Do = TakeSlot{}
		return p
	}
	places := "places"
	if s.Slots == 1 {
		places = "place"
	}
	issuer := IssuerOf(s.Object)
	reason := fmt.Sprintf("Waiting for one of the %d %s for challenges of %s %q in progress (--max-concurrent-challenges): others are before it",
		s.Slots, places, issuer.Kind, issuer.Name)
	return s.waitQuietly(p, reason, queuePatience, time.Time{}, now)
}
