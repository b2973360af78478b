package http01

// Mode says who answers the requests of CAs: --acme-http01-solver-mode.
type Mode string

// Modes.
const (
	// Auto is Shared, except where that cannot work or a podTemplate asks for a pod.
	Auto Mode = "auto"
	// Shared has the controllers answer for all Challenges.
	Shared Mode = "shared"
	// InPod makes a pod for each Challenge, as cert-manager does.
	InPod Mode = "pod"
)

// mode is how one Challenge is answered.
type mode string

const (
	byResponder mode = "shared responder"
	inPod       mode = "pod"
)

// choice is what decides how a Challenge is answered.
type choice struct {
	Mode Mode
	// Template reports whether the solver has a podTemplate.
	Template bool
	// Configured reports whether it is known where the responder can be reached, Ready
	// whether a pod of it is ready. Absent reports whether none has been for too long.
	Configured, Ready, Absent bool
	// Obstacle says why it may not be known that a pod is ready, empty if it is known.
	Obstacle string
	// Forbidden reports whether EndpointSlices may not be written.
	Forbidden bool
	// HasPod reports whether a pod answers already, of an earlier process.
	HasPod bool
}

// decision is the mode, and why it is not the usual one.
type decision struct {
	Mode mode
	Why  string
	// Problem says what is missing, if neither mode can be used now.
	Problem string
}

const (
	flagMode    = "--acme-http01-solver-mode"
	flagService = "--acme-http01-responder-service"
)

// decide chooses how a Challenge is answered.
func (c choice) decide() decision {
	none := c.Configured && !c.Ready
	switch {
	case c.Mode == InPod:
		return decision{Mode: inPod, Why: flagMode + "=pod"}
	case c.Mode == Auto && c.HasPod:
		return decision{Mode: inPod, Why: "a solver pod exists already"}
	case c.Mode == Auto && c.Template:
		return decision{Mode: inPod, Why: "the solver has a podTemplate"}
	case c.Mode == Auto && none && c.Obstacle != "" && c.Absent:
		return decision{Mode: inPod, Why: c.Obstacle}
	case none && c.Obstacle != "":
		return decision{Problem: c.Obstacle}
	case c.Mode == Shared && !c.Configured:
		return decision{Problem: "no pod of the shared responder is known: set " + flagService + ", or " + flagMode + "=auto"}
	case c.Mode == Shared && none:
		return decision{Problem: "no pod of the shared responder is ready: see the endpoints of the Service of " + flagService}
	case c.Mode == Shared:
		return decision{Mode: byResponder}
	case !c.Configured:
		return decision{Mode: inPod, Why: "the responder is not reachable as a pod (" + flagService + " is not set)"}
	case c.Forbidden:
		return decision{Mode: inPod, Why: "the controllers may not write EndpointSlices in this namespace"}
	case none && c.Absent:
		return decision{Mode: inPod, Why: "no pod of the shared responder is ready"}
	case none:
		return decision{Problem: "no pod of the shared responder is ready yet"}
	default:
		return decision{Mode: byResponder}
	}
}
