// Package solver says how a challenge of any type is solved: it is presented
// where a CA looks for it, checked, and cleaned up (RFC 8555 section 8).
//
// A Solver exists for each challenge type. Begin returns a Session for one
// Challenge; the Session keeps what is needed to clean up, so that the issuer
// and its Secrets can be gone by then. The controller keeps one Session per
// Challenge object for the life of the process. After a restart, a new Session
// does the same work from the Challenge alone.
//
// How the types fit:
//
//   - dns-01 (package dns01). Present reads the provider's credentials and adds
//     a TXT record, Check asks the name servers, CleanUp removes the record.
//     Resolvers of the CA cache answers, so its Sessions are Observers and the
//     Solver is a Restorer. They cache all values of a name together, so the
//     Solver is a Grouper.
//   - http-01 (package http01). Present creates the Service, EndpointSlice and
//     route, in the Challenge's namespace and owned by it; Check fetches the URL
//     and compares the body with Key; CleanUp deletes the objects. It needs no
//     Secret, so the Solver is Unaided; a CA caches nothing of it, and each
//     Challenge has a path of its own. Its Sessions are Witnesses.
package solver

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// Challenge is what a Solver needs to know of a Challenge object.
type Challenge struct {
	// Namespace, Name and UID are those of the object. Objects that a Solver
	// creates are in its namespace and owned by it.
	Namespace, Name string
	UID             types.UID
	// SecretNamespace is the namespace of the issuer's Secrets. ClusterIssuer reports
	// whether the issuer is one.
	SecretNamespace string
	ClusterIssuer   bool
	// Resumed reports whether the object says that the challenge has been presented: if
	// that was not this process, there is something of an earlier one.
	Resumed bool
	// CA is the directory URL of the issuer's ACME server.
	CA string
	// CacheFloor is how long the resolvers of the CA keep an answer at least, if
	// the issuer says so; nil for what holds in general.
	CacheFloor *time.Duration

	Type acmev1.ACMEChallengeType
	// DNSName is the identifier, without the wildcard label.
	DNSName  string
	Wildcard bool
	// Token is the token of the challenge, Key what has to be found: the key
	// authorization for http-01, its digest for dns-01.
	Token, Key string
	// Solver is the issuer's configuration that was selected.
	Solver acmev1.ACMEChallengeSolver
}

// ChallengeOf returns the Challenge of an object, with copies of what it holds.
func ChallengeOf(c *acmev1.Challenge, ca, secretNamespace string) Challenge {
	return Challenge{
		Namespace: c.Namespace, Name: c.Name, UID: c.UID,
		SecretNamespace: secretNamespace, CA: ca, ClusterIssuer: c.Spec.IssuerRef.WithDefaults().Kind == cmv1.ClusterIssuerKind,
		Type: c.Spec.Type, DNSName: c.Spec.DNSName, Wildcard: c.Spec.Wildcard,
		Token: c.Spec.Token, Key: c.Spec.Key, Solver: *c.Spec.Solver.DeepCopy(), Resumed: c.Status.Presented || c.Status.PresentedAt != nil,
	}
}

// Solver solves challenges of one type. It is safe for concurrent use.
type Solver interface {
	// Begin returns a Session for a Challenge. It asks nobody and reads no
	// Secret.
	//
	// The Session uses the Challenge as it is now, even if the object changes
	// later. So the caller must check first that the issuer has this solver, and,
	// if the Session is to do more than to clean up, that an Order calls for the
	// Challenge.
	Begin(Challenge) Session
}

// Session solves one Challenge. It is used by one goroutine at a time. Its
// methods return soon: they do not wait for propagation. Errors are
// fault.Errors with texts that fit a status.
type Session interface {
	// Present makes the challenge visible. It reads credentials at each call.
	// Repeating it is safe.
	Present(ctx context.Context) error
	// Check looks for the challenge where the CA will look. It fails only if it
	// cannot find out where that is; a challenge that is not there is Evidence.
	// With waitInsteadOfSelfCheck it asks nobody, and the Evidence is what is
	// known of the CA's caches.
	Check(ctx context.Context) (propagation.Evidence, error)
	// CleanUp removes what Present made, and nothing else. It uses what Present
	// used; if Present was not called in this process, or if an earlier CleanUp
	// failed, it reads credentials again. Repeating it is safe.
	CleanUp(ctx context.Context) error
	// Presented reports whether Present, in this process, got so far that there
	// may be something to remove, even if it failed then.
	Presented() bool
	// String says where the challenge is presented, for logs.
	String() string
}

// Unaided is implemented by Solvers whose Sessions need no issuer and no Secret to clean
// up: what they remove is in the Challenge's own namespace, and no other Challenge's.
type Unaided interface{ Unaided() }

// Describer is implemented by Sessions that can present a challenge in several ways.
type Describer interface {
	// Describe says how the challenge is presented, as the end of "using …", and whether a
	// person should hear of it.
	Describe() (how string, unusual bool)
}

// Placed is implemented by Solvers whose Sessions ask a foreign server to present a
// challenge: how many ask one server at a time is bounded.
type Placed interface {
	// Server names the server of a solver, as in a message: "the Cloudflare API".
	Server(*acmev1.ACMEChallengeSolver) string
}

// Located is implemented by Sessions that know in which DNS zone they present.
type Located interface {
	// Zone returns the zone, or "" as long as it is not known.
	Zone() string
}

// Poller is implemented by Sessions whose Check asks more than name servers.
type Poller interface {
	// Polls reports whether the next Check asks the server that presents the
	// challenge as well: while that limits calls, it has to wait.
	Polls() bool
}

// Witness is implemented by Sessions that can show a person what is to be seen of
// their challenge.
type Witness interface {
	// View asks until ctx ends. It presents nothing, and reads no credentials. It is for
	// a challenge that is presented: others must not be asked for before.
	View(ctx context.Context) View
}

// View is what is to be seen of a challenge: one of the two, by its type.
type View struct {
	// DNS is what name servers answer about a dns-01 challenge.
	DNS *propagation.View
	// HTTP is what the addresses of the name answer about an http-01 challenge.
	HTTP *selfcheck.View
}

// Detacher is implemented by Sessions that read credentials.
type Detacher interface {
	// Detach has CleanUp read no credentials from now on: what was read for the issuer
	// may belong to somebody else. Without any, CleanUp fails for good.
	Detach()
}

// Observer is implemented by Sessions that learn from what the CA does.
type Observer interface {
	// Accepted records that the CA is asked to validate. It must be called
	// before the request, because the CA may look before it answers.
	Accepted(at time.Time)
	// Refused removes what Accepted recorded for the time accepted: the CA did
	// not look.
	Refused(accepted time.Time)
	// Concluded records that the result of a validation was seen. missed is what
	// the CA says if it failed because the CA did not find the value, else empty.
	Concluded(failed bool, missed string, at time.Time)
	// Forget drops what the Checks of this Challenge have collected, when the
	// Challenge is gone. It keeps what the CA has done.
	Forget()
}

// ObserverOf returns the Session's Observer, or one that does nothing.
func ObserverOf(s Session) Observer {
	if o, ok := s.(Observer); ok {
		return o
	}
	return indifferent{}
}

type indifferent struct{}

func (indifferent) Accepted(time.Time)                {}
func (indifferent) Refused(time.Time)                 {}
func (indifferent) Concluded(bool, string, time.Time) {}
func (indifferent) Forget()                           {}

// Restorer is implemented by Solvers whose Sessions are Observers. It takes the
// Challenge as the object has it, without a Session: nothing has been checked of
// the Challenge, and a Session must not be kept for it.
type Restorer interface {
	// Restore records a validation of an earlier process, accepted and ended at
	// these times.
	Restore(c Challenge, accepted, ended time.Time, failed bool)
}

// Grouper is implemented by Solvers for which the CA sees several Challenges
// together: all of a group must be presented and visible before one is accepted.
type Grouper interface {
	// Grouped reports whether a and b are of one group.
	Grouped(a, b Challenge) bool
}

// Solvers are the Solvers of this build by type.
type Solvers map[acmev1.ACMEChallengeType]Solver

// Begin returns a Session of the Solver for the Challenge's type, or a User
// fault if there is none.
func (s Solvers) Begin(c Challenge) (Session, error) {
	if one := s[c.Type]; one != nil {
		return one.Begin(c), nil
	}
	return nil, fault.New(fault.User, "UnsupportedSolver", "this version of everleaf has no solver for %s challenges", c.Type)
}
