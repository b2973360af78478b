package operator

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/component"
)

// accepted are flags of cert-manager's controller that this version takes, so
// that its arguments work unchanged, and does nothing with.
var accepted = []struct {
	flag  string
	value any
	about string
	// reason says what does not happen, as the end of a sentence.
	reason string
}{
	{"acme-http01-solver-image", "", "image of the pods that answer HTTP-01", noHTTP01},
	{requestCPU, "10m", "CPU request of these pods", noHTTP01},
	{requestMemory, "64Mi", "memory request of these pods", noHTTP01},
	{limitsCPU, "100m", "CPU limit of these pods", noHTTP01},
	{limitsMemory, "64Mi", "memory limit of these pods", noHTTP01},
	{"acme-http01-solver-run-as-non-root", true, "whether these pods run as non-root", noHTTP01},
	{"acme-http01-solver-runtime-class-name", "", "runtime class of these pods", noHTTP01},
	{"acme-http01-solver-extra-labels", map[string]string(nil), "more labels of these pods", noHTTP01},
	{solverNameservers, []string(nil), "resolvers for the self-check of HTTP-01, each ip:port", noHTTP01},
}

const (
	noHTTP01 = "HTTP-01 challenges are not solved yet"

	requestCPU    = "acme-http01-solver-resource-request-cpu"
	requestMemory = "acme-http01-solver-resource-request-memory"
	limitsCPU     = "acme-http01-solver-resource-limits-cpu"
	limitsMemory  = "acme-http01-solver-resource-limits-memory"

	solverNameservers = "acme-http01-solver-nameservers"
)

// gates are cert-manager's feature gates. None except those of obeyed changes what this
// version does.
var gates = component.Gates{
	"ACMEHTTP01IngressPathTypeExact":                   {Default: true, PreRelease: featuregate.Beta},
	"ACMEUseARI":                                       {PreRelease: featuregate.Alpha},
	"AdditionalCertificateOutputFormats":               {Default: true, PreRelease: featuregate.GA},
	"DefaultPrivateKeyRotationPolicyAlways":            {Default: true, PreRelease: featuregate.GA},
	"DisallowInsecureCSRUsageDefinition":               {Default: true, PreRelease: featuregate.GA},
	"ExperimentalCertificateSigningRequestControllers": {PreRelease: featuregate.Alpha},
	gateGatewayAPI:                                     {Default: true, PreRelease: featuregate.Beta},
	gateListenerSets:                                   {PreRelease: featuregate.Alpha},
	"LiteralCertificateSubject":                        {Default: true, PreRelease: featuregate.Beta},
	"NameConstraints":                                  {Default: true, PreRelease: featuregate.Beta},
	"OtherNames":                                       {Default: true, PreRelease: featuregate.Beta},
	"SecretsFilteredCaching":                           {Default: true, PreRelease: featuregate.Beta},
	"ServerSideApply":                                  {PreRelease: featuregate.Alpha},
	"StableCertificateRequestName":                     {Default: true, PreRelease: featuregate.Beta},
	"UseCertificateRequestBasicConstraints":            {PreRelease: featuregate.Alpha},
	"UseDomainQualifiedFinalizer":                      {Default: true, PreRelease: featuregate.GA},
	"ValidateCAA":                                      {PreRelease: featuregate.Deprecated},
}

// obeyed are the gates that have an effect.
var obeyed = []featuregate.Feature{gateGatewayAPI, gateListenerSets}

// ineffectiveGates are the gates that have none.
func ineffectiveGates() component.Gates {
	without := maps.Clone(gates)
	maps.DeleteFunc(without, func(name featuregate.Feature, _ featuregate.FeatureSpec) bool { return slices.Contains(obeyed, name) })
	return without
}

// addAccepted adds the flags and the feature gates that are accepted only.
func (o *Options) addAccepted(fs *pflag.FlagSet) {
	for _, a := range accepted {
		about := a.about + "; accepted, but without effect: " + a.reason
		switch value := a.value.(type) {
		case bool:
			fs.Bool(a.flag, value, about)
		case string:
			fs.String(a.flag, value, about)
		case []string:
			fs.StringSlice(a.flag, value, about)
		case map[string]string:
			fs.StringToString(a.flag, value, about)
		}
	}
	o.flags, o.features = fs, gates.AddFlag(fs, "feature gates as Name=true,Other=false; those of cert-manager are accepted, but without effect except "+names(obeyed))
}

// ineffective says for each flag and feature gate that was set to something else
// than its default that this version does nothing with it.
func (o *Options) ineffective() []string {
	if o.flags == nil {
		return nil
	}
	var warnings []string
	for _, a := range accepted {
		if f := o.flags.Lookup(a.flag); f.Value.String() != f.DefValue {
			warnings = append(warnings, fmt.Sprintf("--%s=%s has no effect: %s", a.flag, f.Value, a.reason))
		}
	}
	warnings = append(warnings, ineffectiveGates().Ineffective(o.features)...)
	warnings = append(warnings, o.ineffectiveGatewayAPI()...)
	slices.Sort(warnings)
	return warnings
}

// checkAccepted checks the values that cert-manager checks.
func (o *Options) checkAccepted(bad component.Complaint) {
	if o.flags == nil {
		return
	}
	servers, _ := o.flags.GetStringSlice(solverNameservers)
	for _, server := range servers {
		if _, err := netip.ParseAddrPort(server); err != nil {
			bad(solverNameservers, "%q must be in the format <ip address>:<port>", server)
		}
	}
	for _, flag := range []string{requestCPU, requestMemory, limitsCPU, limitsMemory} {
		text, _ := o.flags.GetString(flag)
		if _, err := resource.ParseQuantity(text); err != nil {
			bad(flag, "%q is not a quantity such as 100m or 64Mi", text)
		}
	}
}

// names lists feature gates in a text.
func names(of []featuregate.Feature) string {
	var all []string
	for _, name := range of {
		all = append(all, string(name))
	}
	return strings.Join(all, " and ")
}
