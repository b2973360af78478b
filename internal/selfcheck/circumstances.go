package selfcheck

// Circumstances are what the cluster knows of a challenge, as far as it is known: the
// zero value of each field says nothing. They are stored as JSON.
type Circumstances struct {
	// Mode is how the challenge is answered.
	Mode Mode `json:"mode,omitempty"`
	// Route is the object that leads to the responder.
	Route Route `json:"route,omitzero"`
	// Responder is what is known of who answers.
	Responder Responder `json:"responder,omitzero"`
	// Pod is the solver's pod, if it is not ready.
	Pod Pod `json:"pod,omitzero"`
	// DefaultClass is the name of the default IngressClass.
	DefaultClass string `json:"defaultClass,omitempty"`
	// Neighbours are other Ingresses with the host.
	Neighbours []Neighbour `json:"neighbours,omitempty"`
	// Edges are the addresses at which the cluster serves the route: those in the
	// status of Ingresses of its class, of its Gateway, or of a LoadBalancer Service.
	Edges []string `json:"edges,omitempty"`
}

// Mode is how a challenge is answered.
type Mode string

// Modes (--acme-http01-solver-mode).
const (
	// Shared: one responder answers all challenges.
	Shared Mode = "shared"
	// PodMode: a pod for each challenge.
	PodMode Mode = "pod"
)

// RouteKind is the kind of a route.
type RouteKind string

// Kinds of routes.
const (
	// SolverIngress is an Ingress of the challenge alone.
	SolverIngress RouteKind = "Ingress"
	// EditedIngress is an Ingress of somebody else (http01-edit-in-place).
	EditedIngress RouteKind = "EditedIngress"
	// HTTPRoute is one of the Gateway API.
	HTTPRoute RouteKind = "HTTPRoute"
)

// Route is the object that leads to the responder.
type Route struct {
	Kind      RouteKind `json:"kind,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty"`
	// Class is the class of an Ingress, from its annotation or spec.ingressClassName.
	Class string `json:"class,omitempty"`
	// PathType is that of the challenge's path.
	PathType string `json:"pathType,omitempty"`
	// Refusals are the parents that do not accept an HTTPRoute.
	Refusals []Refusal `json:"refusals,omitempty"`
}

// Text names the route for a person.
func (r Route) Text() string {
	switch r.Kind {
	case HTTPRoute:
		return string(HTTPRoute) + " " + r.Name
	default:
		return string(SolverIngress) + " " + r.Namespace + "/" + r.Name
	}
}

// ReasonMissing is the Reason of a Refusal by a parent that does not exist.
const ReasonMissing = "Missing"

// Refusal is a condition of an HTTPRoute that is False for a parent, or a parent that does
// not exist.
type Refusal struct {
	// Parent is the parent, such as "Gateway infra/gw".
	Parent string `json:"parent"`
	// Condition is its type, Accepted or ResolvedRefs, Reason its reason.
	Condition string `json:"condition,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Responder is who answers challenges.
type Responder struct {
	// At names it for a person, with its port: "pod lab/cm-acme-http-solver-x, port 8089".
	At string `json:"at,omitempty"`
	// Answers reports whether that of the process which has looked answers the challenge if
	// it is asked itself, Asked whether a request for the token has arrived there. False
	// says nothing: requests may have arrived at others.
	Answers bool `json:"answers,omitempty"`
	Asked   bool `json:"asked,omitempty"`
	// Host is the Host header of a request that it refused because of that.
	Host string `json:"host,omitempty"`
}

// Pod is a solver's pod that is not ready.
type Pod struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Reason is why: that of a waiting container, such as ImagePullBackOff, or of the
	// condition PodScheduled, such as Unschedulable. Message is its message.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Neighbour is another Ingress with the host of a challenge.
type Neighbour struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Class is its class; empty for none. Addresses are those in its status.
	Class     string   `json:"class,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
}
