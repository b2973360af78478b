package operator

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/component"
)

// gatePathTypeExact gives the paths of solver Ingresses the type Exact; without it, they
// are ImplementationSpecific.
const gatePathTypeExact featuregate.Feature = "ACMEHTTP01IngressPathTypeExact"

// gateRenewalInformation has the advice of CAs (RFC 9773) decide when certificates are
// renewed. In cert-manager it is alpha, and off.
const gateRenewalInformation featuregate.Feature = "ACMEUseARI"

// gates are cert-manager's feature gates, and gatePodCertificates, which cert-manager does
// not have. None except those of obeyed changes what this version does.
var gates = component.Gates{
	gatePathTypeExact:                       {Default: true, PreRelease: featuregate.Beta},
	gateRenewalInformation:                  {Default: true, PreRelease: featuregate.Beta},
	"AdditionalCertificateOutputFormats":    {Default: true, PreRelease: featuregate.GA},
	"DefaultPrivateKeyRotationPolicyAlways": {Default: true, PreRelease: featuregate.GA},
	"DisallowInsecureCSRUsageDefinition":    {Default: true, PreRelease: featuregate.GA},
	gateSigningRequests:                     {PreRelease: featuregate.Alpha},
	gateGatewayAPI:                          {Default: true, PreRelease: featuregate.Beta},
	gateListenerSets:                        {PreRelease: featuregate.Alpha},
	gatePodCertificates:                     {PreRelease: featuregate.Alpha},
	"LiteralCertificateSubject":             {Default: true, PreRelease: featuregate.Beta},
	"NameConstraints":                       {Default: true, PreRelease: featuregate.Beta},
	"OtherNames":                            {Default: true, PreRelease: featuregate.Beta},
	"SecretsFilteredCaching":                {Default: true, PreRelease: featuregate.Beta},
	"ServerSideApply":                       {PreRelease: featuregate.Alpha},
	"StableCertificateRequestName":          {Default: true, PreRelease: featuregate.Beta},
	"UseCertificateRequestBasicConstraints": {PreRelease: featuregate.Alpha},
	"UseDomainQualifiedFinalizer":           {Default: true, PreRelease: featuregate.GA},
	"ValidateCAA":                           {PreRelease: featuregate.Deprecated},
}

// obeyed are the gates that have an effect.
var obeyed = []featuregate.Feature{gatePathTypeExact, gateRenewalInformation, gateSigningRequests, gatePodCertificates, gateGatewayAPI, gateListenerSets}

// ineffectiveGates are the gates that have none.
func ineffectiveGates() component.Gates {
	without := maps.Clone(gates)
	maps.DeleteFunc(without, func(name featuregate.Feature, _ featuregate.FeatureSpec) bool { return slices.Contains(obeyed, name) })
	return without
}

// addGates adds the flag of the feature gates.
func (o *Options) addGates(fs *pflag.FlagSet) {
	o.features = gates.AddFlag(fs, "feature gates as Name=true,Other=false; those of cert-manager are accepted, but without effect except "+names(obeyed))
}

// ineffective says for each flag and feature gate that was set to something else
// than its default that this version does nothing with it.
func (o *Options) ineffective() []string {
	if o.features == nil {
		return nil
	}
	warnings := append(ineffectiveGates().Ineffective(o.features), o.ineffectiveGatewayAPI()...)
	for _, gate := range []featuregate.Feature{gateSigningRequests, gatePodCertificates} {
		if o.features.Enabled(gate) && o.Namespace != "" {
			warnings = append(warnings, "--feature-gates="+string(gate)+"=true has no effect: --namespace is set")
		}
	}
	slices.Sort(warnings)
	return warnings
}

// names lists feature gates in a text.
func names(of []featuregate.Feature) string {
	var all []string
	for _, name := range of {
		all = append(all, string(name))
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
