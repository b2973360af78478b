package operator

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/responder"
)

// HTTP01Mode says who answers HTTP-01 requests.
type HTTP01Mode string

// The modes.
const (
	// HTTP01Auto is HTTP01Shared where that can work, else HTTP01Pod.
	HTTP01Auto HTTP01Mode = "auto"
	// HTTP01Shared has the controllers answer for all Challenges.
	HTTP01Shared HTTP01Mode = "shared"
	// HTTP01Pod has a pod for each Challenge, as cert-manager has.
	HTTP01Pod HTTP01Mode = "pod"
)

// HTTP01Options are what can be set about HTTP-01. Complete derives the fields that have
// no flag.
type HTTP01Options struct {
	Mode HTTP01Mode
	// ListenAddress is the host:port of the shared responder, "0" for none.
	ListenAddress string
	// Grace is how long after the signal to stop the responder still answers at least:
	// until routes name other replicas. It is there with a Service only.
	Grace time.Duration
	// Service is the one whose ready endpoints are the responders.
	Service types.NamespacedName
	// Addresses are the responders in place of a Service, all of one port.
	Addresses responder.Fixed

	// Image is that of solver pods. Empty is that of Release; without a Release there
	// is none.
	Image string
	// Release is the version of this program, such as v1.2.3; empty if it is none.
	Release string
	// Requests and Limits are the CPU and the memory of solver pods.
	Requests, Limits corev1.ResourceList
	RunAsNonRoot     bool
	// Nameservers resolve names for the self-check; none means the system's.
	Nameservers []netip.AddrPort
	// ExtraLabels are those of all objects that solve a challenge.
	ExtraLabels      map[string]string
	RuntimeClassName string

	// What the flags say.
	service                                            string
	addresses, nameservers                             []string
	requestCPU, requestMemory, limitsCPU, limitsMemory string
}

const (
	flagSolverMode         = "acme-http01-solver-mode"
	flagResponderListen    = "acme-http01-responder-listen-address"
	flagResponderService   = "acme-http01-responder-service"
	flagResponderAddresses = "acme-http01-responder-addresses"
	flagSolverRequestCPU   = "acme-http01-solver-resource-request-cpu"
	flagSolverRequestMem   = "acme-http01-solver-resource-request-memory"
	flagSolverLimitsCPU    = "acme-http01-solver-resource-limits-cpu"
	flagSolverLimitsMem    = "acme-http01-solver-resource-limits-memory"
	flagSolverNameservers  = "acme-http01-solver-nameservers"
	flagSolverLabels       = "acme-http01-solver-extra-labels"
	flagSolverRuntimeClass = "acme-http01-solver-runtime-class-name"
	flagSolverImage        = "acme-http01-solver-image"

	// imageName is the name of this program's image.
	imageName = "docker.io/everleaf/everleaf"
	// responderGrace is as long as an EndpointSlice usually takes to reach a proxy, and
	// two more seconds. Together with responder.StopTime it is less than Kubernetes' 30 s.
	responderGrace = 3 * time.Second
)

// defaultHTTP01 has cert-manager's values.
func defaultHTTP01() HTTP01Options {
	return HTTP01Options{
		Mode: HTTP01Auto, ListenAddress: "0.0.0.0:" + strconv.Itoa(responder.Port), Grace: responderGrace, RunAsNonRoot: true,
		requestCPU: "10m", requestMemory: "64Mi", limitsCPU: "100m", limitsMemory: "64Mi",
	}
}

// addFlags adds the flags, with h's values as defaults.
func (h *HTTP01Options) addFlags(fs *pflag.FlagSet) {
	fs.StringVar((*string)(&h.Mode), flagSolverMode, string(h.Mode), "who answers HTTP-01 requests: shared (the controllers, for all challenges), pod (a pod for each challenge, as in cert-manager) or auto (shared, and pod for solvers with a podTemplate and where shared cannot work)")
	fs.StringVar(&h.ListenAddress, flagResponderListen, h.ListenAddress, "host:port of the shared responder, plain HTTP and TLS; 0 for none. It listens if the mode is not pod and --"+flagResponderService+" or --"+flagResponderAddresses+" is set")
	fs.StringVar(&h.service, flagResponderService, h.service, "namespace/name of the Service whose ready endpoints are the responders; its port is the one called "+responder.PortName+", or its only one")
	fs.StringSliceVar(&h.addresses, flagResponderAddresses, h.addresses, "IP addresses of the responders, with or without a port (default "+strconv.Itoa(responder.Port)+"), in place of a Service: for controllers that do not run in pods")
	fs.StringVar(&h.Image, flagSolverImage, h.Image, "image of solver pods (default "+imageName+" of this version)")
	fs.StringVar(&h.requestCPU, flagSolverRequestCPU, h.requestCPU, "CPU request of solver pods")
	fs.StringVar(&h.requestMemory, flagSolverRequestMem, h.requestMemory, "memory request of solver pods")
	fs.StringVar(&h.limitsCPU, flagSolverLimitsCPU, h.limitsCPU, "CPU limit of solver pods")
	fs.StringVar(&h.limitsMemory, flagSolverLimitsMem, h.limitsMemory, "memory limit of solver pods")
	fs.BoolVar(&h.RunAsNonRoot, "acme-http01-solver-run-as-non-root", h.RunAsNonRoot, "whether solver pods must run as non-root")
	fs.StringVar(&h.RuntimeClassName, flagSolverRuntimeClass, h.RuntimeClassName, "runtime class of solver pods")
	fs.StringToStringVar(&h.ExtraLabels, flagSolverLabels, h.ExtraLabels, "more labels of the objects that solve HTTP-01 challenges")
	fs.StringSliceVar(&h.nameservers, flagSolverNameservers, h.nameservers, "resolvers for the self-check of HTTP-01, each ip:port (default those of the system)")
}

// complete checks what the flags say and derives what follows from it.
func (h *HTTP01Options) complete(bad component.Complaint) {
	switch h.Mode {
	case HTTP01Auto, HTTP01Shared, HTTP01Pod:
	default:
		bad(flagSolverMode, "must be %s, %s or %s, not %q", HTTP01Shared, HTTP01Pod, HTTP01Auto, h.Mode)
	}
	h.completeBackends(bad)
	if h.Image == "" && h.Release != "" {
		h.Image = imageName + ":" + h.Release
	}
	h.Requests, h.Limits = corev1.ResourceList{}, corev1.ResourceList{}
	h.quantities(corev1.ResourceCPU, flagSolverRequestCPU, h.requestCPU, flagSolverLimitsCPU, h.limitsCPU, bad)
	h.quantities(corev1.ResourceMemory, flagSolverRequestMem, h.requestMemory, flagSolverLimitsMem, h.limitsMemory, bad)
	if len(h.nameservers) > 0 {
		h.Nameservers = nil
	}
	for _, text := range h.nameservers {
		server, err := netip.ParseAddrPort(text)
		if err != nil {
			bad(flagSolverNameservers, "%q must be in the format <ip address>:<port>", text)
			continue
		}
		h.Nameservers = append(h.Nameservers, server)
	}
	for key, value := range h.ExtraLabels {
		for _, wrong := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			bad(flagSolverLabels, "%s=%s is not a label: %s", key, value, wrong)
		}
	}
	if wrong := validation.IsDNS1123Subdomain(h.RuntimeClassName); h.RuntimeClassName != "" && len(wrong) > 0 {
		bad(flagSolverRuntimeClass, "%q is not the name of a RuntimeClass: %s", h.RuntimeClassName, wrong[0])
	}
}

// quantities reads the request and the limit of a resource.
func (h *HTTP01Options) quantities(name corev1.ResourceName, requestFlag, request, limitFlag, limit string, bad component.Complaint) {
	parse := func(flag, text string, to corev1.ResourceList) bool {
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			bad(flag, "%q is not a quantity such as 100m or 64Mi", text)
			return false
		}
		to[name] = quantity
		return true
	}
	requestOK, limitOK := parse(requestFlag, request, h.Requests), parse(limitFlag, limit, h.Limits)
	if !requestOK || !limitOK {
		return
	}
	if least, most := h.Requests[name], h.Limits[name]; least.Cmp(most) > 0 {
		bad(requestFlag, "is %s, and must not be greater than --%s, which is %s", request, limitFlag, limit)
	}
}

// completeBackends reads where the responders are.
func (h *HTTP01Options) completeBackends(bad component.Complaint) {
	if h.service != "" {
		namespace, name, ok := strings.Cut(h.service, "/")
		if !ok || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1035Label(name)) > 0 {
			bad(flagResponderService, "%q is not the namespace/name of a Service", h.service)
		}
		h.Service = types.NamespacedName{Namespace: namespace, Name: name}
	}
	if len(h.addresses) > 0 {
		h.Addresses = nil
	}
	for _, text := range h.addresses {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			var only netip.Addr
			only, err = netip.ParseAddr(text)
			address = netip.AddrPortFrom(only, responder.Port)
		}
		if err != nil || address.Port() == 0 {
			bad(flagResponderAddresses, "%q is not an IP address, with or without a port, such as 10.0.0.5, 10.0.0.5:8089 or [2001:db8::5]:8089", text)
			continue
		}
		h.Addresses = append(h.Addresses, address)
	}
	for _, address := range h.Addresses {
		if a := address.Addr(); a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.Zone() != "" {
			bad(flagResponderAddresses, "%s cannot be in an EndpointSlice: the API refuses addresses of loopback, link-local and multicast", a)
		}
		if address.Port() != h.Addresses[0].Port() {
			bad(flagResponderAddresses, "has the ports %d and %d, and must have one: an EndpointSlice has the same port for all", h.Addresses[0].Port(), address.Port())
		}
	}
	if h.Service.Name != "" && len(h.Addresses) > 0 {
		bad(flagResponderAddresses, "cannot be set together with --%s", flagResponderService)
	}
	if h.Mode == HTTP01Shared && !h.hasBackends() {
		bad(flagSolverMode, "%s needs --%s or --%s", HTTP01Shared, flagResponderService, flagResponderAddresses)
	}
}

// hasBackends reports whether it is known where the responders are.
func (h *HTTP01Options) hasBackends() bool { return h.Service.Name != "" || len(h.Addresses) > 0 }

// Responds reports whether this process answers HTTP-01 requests.
func (h *HTTP01Options) Responds() bool {
	return h.Mode != HTTP01Pod && h.ListenAddress != "0" && h.hasBackends()
}
