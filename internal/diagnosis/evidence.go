package diagnosis

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// Version is the version of Evidence as JSON. It changes if fields get another
// meaning; new fields do not change it.
const Version = "everleaf.io/evidence/v1"

// Evidence is everything that is known of one object that may be stuck.
type Evidence struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	// Subject is the object that was asked about.
	Subject Ref `json:"subject"`

	Certificate *cmv1.Certificate        `json:"certificate,omitempty"`
	Request     *cmv1.CertificateRequest `json:"request,omitempty"`
	Order       *acmev1.Order            `json:"order,omitempty"`
	Challenges  []acmev1.Challenge       `json:"challenges,omitempty"`
	Issuer      *Issuer                  `json:"issuer,omitempty"`
	Secret      *Secret                  `json:"secret,omitempty"`
	// Rivals are other Certificates of the namespace with the same spec.secretName.
	Rivals []string `json:"rivals,omitempty"`
	// Events are the latest Warning events of these objects.
	Events []Event `json:"events,omitempty"`
	// Resolvers are those that the user has named: what they see is what a CA sees.
	Resolvers []string `json:"resolvers,omitempty"`
	// CA is what the ACME server says of itself.
	CA *CA `json:"ca,omitempty"`
	// Sightings are what servers answer.
	Sightings []Sighting `json:"sightings,omitempty"`
	// Edges are the objects at which the cluster takes requests for the names of HTTP-01
	// Challenges, as far as they may be read; DefaultClass is the default IngressClass.
	Edges        []Edge `json:"edges,omitempty"`
	DefaultClass string `json:"defaultClass,omitempty"`
	// Missing says what could not be read, and why.
	Missing []string `json:"missing,omitempty"`
}

// Ref names an object.
type Ref struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Issuer is an Issuer or a ClusterIssuer.
type Issuer struct {
	Ref
	// Group is the API group that the reference names.
	Group string `json:"group,omitempty"`
	// Found reports whether it exists, Unread whether that may not be known.
	Found  bool               `json:"found"`
	Unread bool               `json:"unread,omitempty"`
	Spec   *cmv1.IssuerSpec   `json:"spec,omitempty"`
	Status *cmv1.IssuerStatus `json:"status,omitempty"`
}

// Secret is what may be known of a Secret: never its data.
type Secret struct {
	Name string `json:"name"`
	// Found reports whether it exists, Unread whether that may not be known.
	Found  bool `json:"found"`
	Unread bool `json:"unread,omitempty"`
	// Certificate is the Certificate that it says to be made by.
	Certificate string `json:"certificate,omitempty"`
}

// Event is an event of an object.
type Event struct {
	Object  Ref         `json:"object"`
	Type    string      `json:"type"`
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	Count   int32       `json:"count,omitempty"`
	Last    metav1.Time `json:"last"`
}

// CA is what an ACME server says of itself.
type CA struct {
	Server string `json:"server"`
	// Identities are the CAA domain names that it accepts (RFC 8555 section 7.1.1).
	Identities []string `json:"identities,omitempty"`
	// Problem says why it could not be asked.
	Problem string `json:"problem,omitempty"`
}

// Edge is an object at which the cluster takes requests from outside, or which leads them
// on: an Ingress, a Gateway, an HTTPRoute, a Service of type LoadBalancer.
type Edge struct {
	Ref
	// Class is that of an Ingress or a Gateway, empty for none.
	Class string `json:"class,omitempty"`
	// Hosts are those of an Ingress.
	Hosts []string `json:"hosts,omitempty"`
	// Addresses are those in its status, IP addresses or names.
	Addresses []string `json:"addresses,omitempty"`
	// Challenge is the Challenge that it leads to the responder, empty for none. Own
	// reports whether it does nothing else, PathType is the type of the path.
	Challenge string `json:"challenge,omitempty"`
	Own       bool   `json:"own,omitempty"`
	PathType  string `json:"pathType,omitempty"`
	// Refusals are the parents that do not accept an HTTPRoute.
	Refusals []selfcheck.Refusal `json:"refusals,omitempty"`
}

// Kinds of Edges.
const (
	IngressKind   = "Ingress"
	GatewayKind   = "Gateway"
	HTTPRouteKind = "HTTPRoute"
	ServiceKind   = "Service"
)

// Place is from where servers were asked.
type Place string

// Places.
const (
	// FromController: by the controllers, in the cluster.
	FromController Place = "controller"
	// FromCommand: by the command, on the machine where it runs.
	FromCommand Place = "command"
)

// Sighting is what servers answer about a Challenge, from one place.
type Sighting struct {
	Challenge string `json:"challenge"`
	From      Place  `json:"from"`
	// Provider names the server to which the record is written, as in a message.
	Provider string `json:"provider,omitempty"`
	// Problem says why nothing was seen.
	Problem string `json:"problem,omitempty"`
	// View is what name servers answer (DNS-01), HTTP what the addresses of the name
	// answer (HTTP-01).
	View *propagation.View `json:"view,omitempty"`
	HTTP *selfcheck.View   `json:"http,omitempty"`
}

// Verdict is one thing that keeps a certificate from being issued.
type Verdict struct {
	Code Code `json:"code"`
	// Object is what the verdict is about.
	Object Ref `json:"object"`
	// Message is the cause in one sentence.
	Message string `json:"message"`
	// Fix are the things to do, the most promising first. A line that begins with
	// "$ " is a command or a flag, as it is typed.
	Fix []string `json:"fix,omitempty"`
	// Until is when it ends by itself, NextTry when everleaf tries again; nil if that is
	// not known.
	Until   *time.Time `json:"until,omitempty"`
	NextTry *time.Time `json:"nextTry,omitempty"`
	// Seen is the place from which it was seen, empty for what the objects say.
	Seen Place `json:"seen,omitempty"`
	// Aside reports whether it is worth knowing, and does not stop the certificate.
	Aside bool `json:"aside,omitempty"`
}

// Code names a kind of Verdict.
type Code string

// Codes of what objects say.
const (
	Healthy           Code = "Healthy"
	InProgress        Code = "InProgress"
	NotFound          Code = "NotFound"
	NoController      Code = "NoController"
	SecretOwned       Code = "SecretOwned"
	RenewalWindows    Code = "RenewalWindows"
	IssuancesHalted   Code = "IssuancesHalted"
	NotApproved       Code = "NotApproved"
	Denied            Code = "Denied"
	IssuerMissing     Code = "IssuerMissing"
	IssuerNotReady    Code = "IssuerNotReady"
	IssuerUnserved    Code = "IssuerUnserved"
	IssuerSilent      Code = "IssuerSilent"
	IssuerFails       Code = "IssuerFails"
	KeystorePassword  Code = "KeystorePassword"
	AdmissionRefuses  Code = "AdmissionRefuses"
	RateLimited       Code = "RateLimited"
	ProviderFails     Code = "ProviderFails"
	CARefuses         Code = "CARefuses"
	NoSolver          Code = "NoSolver"
	CADoesNotSee      Code = "CADoesNotSee"
	CAANotAllowed     Code = "CAAForbids"
	CAAUnanswered     Code = "CAAUnanswered"
	WaitingForOthers  Code = "WaitingForOthers"
	NotPropagated     Code = "NotPropagated"
	Failed            Code = "Failed"
	SelfCheckDisabled Code = "SelfCheckDisabled"
)

// Codes of what name servers answer.
const (
	Propagated         Code = "Propagated"
	RecordAbsent       Code = "RecordAbsent"
	OtherZone          Code = "OtherZone"
	LaggingServers     Code = "LaggingServers"
	SplitHorizon       Code = "SplitHorizon"
	ShadowingZone      Code = "ShadowingZone"
	NegativeCached     Code = "NegativeAnswerCached"
	OldAnswerCached    Code = "OldAnswerCached"
	PortIntercepted    Code = "PortIntercepted"
	PortBlocked        Code = "PortBlocked"
	LameDelegation     Code = "LameDelegation"
	NotDelegated       Code = "NotDelegated"
	DNSSECFailure      Code = "DNSSECFailure"
	AliasNotFollowed   Code = "AliasNotFollowed"
	AnsweredByProvider Code = "AnsweredByProvider"
	ResolverFails      Code = "ResolverFails"
	Undecided          Code = "Undecided"
)

// Codes of what the addresses of a name answer to HTTP-01. The others are those of
// selfcheck.Cause.
const (
	// Reachable: every address that answers has the challenge.
	Reachable Code = "Reachable"
	// NotServed: no address has the challenge, and no cause is known.
	NotServed Code = "NotServed"
	// AddressDead: an address does not answer, while others have the challenge.
	AddressDead Code = "AddressDead"
	// IPv6Dead is AddressDead for one of IPv6, which CAs prefer.
	IPv6Dead Code = "IPv6Dead"
	// NotPresented: what answers the challenge could not be set up.
	NotPresented Code = "NotPresented"
	// CASeesOther: the CA has asked another address than the name has here.
	CASeesOther Code = "CASeesOther"
)
