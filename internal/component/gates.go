package component

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/component-base/featuregate"
)

// Gates are feature gates, by name.
type Gates map[featuregate.Feature]featuregate.FeatureSpec

// AddFlag adds --feature-gates, whose text begins with about, and returns what tells
// which are on.
func (g Gates) AddFlag(fs *pflag.FlagSet, about string) featuregate.FeatureGate {
	features := featuregate.NewFeatureGate()
	runtime.Must(features.Add(g))
	features.AddFlag(fs)
	flag := fs.Lookup("feature-gates")
	flag.Value = gatesValue{flag.Value, g}
	flag.Usage = about + ": " + strings.Join(g.names(), ", ")
	return features
}

// Ineffective says for each gate that is not set as by default that this changes
// nothing. It is for programs that know gates, but behave in one way only.
func (g Gates) Ineffective(features featuregate.FeatureGate) []string {
	var warnings []string
	for name, spec := range g {
		if on := features.Enabled(name); on != spec.Default {
			warnings = append(warnings, fmt.Sprintf("--feature-gates=%s=%t has no effect: this version behaves as with %s=%t", name, on, name, spec.Default))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// gatesValue is the value of --feature-gates, whose errors say which there are.
type gatesValue struct {
	pflag.Value
	gates Gates
}

// Set implements pflag.Value.
func (v gatesValue) Set(text string) error {
	if err := v.Value.Set(text); err != nil {
		return fmt.Errorf("%w; known are %s", err, strings.Join(v.gates.names(), ", "))
	}
	return nil
}

// names lists the feature gates with stage and default.
func (g Gates) names() []string {
	var names []string
	for name, spec := range g {
		stage := strings.ToLower(string(spec.PreRelease))
		if spec.PreRelease == featuregate.GA {
			stage = "ga"
		}
		names = append(names, fmt.Sprintf("%s (%s, %t)", name, stage, spec.Default))
	}
	slices.Sort(names)
	return names
}
