package operator

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"
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
	{"enable-gateway-api", false, "issue Certificates for Gateways", noShim},
	{"enable-gateway-api-listenerset", false, "issue Certificates for ListenerSets", noShim},
	{"gateway-api-extra-protocols", []string(nil), "more protocols of listeners that need a Certificate", noShim},
}

const noShim = "Ingresses and Gateways are not watched yet"

// gates are cert-manager's feature gates. None changes what this version does.
var gates = component.Gates{
	"ACMEHTTP01IngressPathTypeExact":                   {Default: true, PreRelease: featuregate.Beta},
	"ACMEUseARI":                                       {PreRelease: featuregate.Alpha},
	"AdditionalCertificateOutputFormats":               {Default: true, PreRelease: featuregate.GA},
	"DefaultPrivateKeyRotationPolicyAlways":            {Default: true, PreRelease: featuregate.GA},
	"DisallowInsecureCSRUsageDefinition":               {Default: true, PreRelease: featuregate.GA},
	"ExperimentalCertificateSigningRequestControllers": {PreRelease: featuregate.Alpha},
	"ExperimentalGatewayAPISupport":                    {Default: true, PreRelease: featuregate.Beta},
	"ListenerSets":                                     {PreRelease: featuregate.Alpha},
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
	o.flags, o.features = fs, gates.AddFlag(fs, "feature gates as Name=true,Other=false; those of cert-manager are accepted, but without effect")
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
	warnings = append(warnings, gates.Ineffective(o.features)...)
	slices.Sort(warnings)
	return warnings
}
