// Package injector runs the cainjector: its flags, caches, leader election and
// metrics.
package injector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller/cainjector"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

// Options are what can be set about the cainjector. The flags' names and defaults are
// those of cert-manager's cainjector.
type Options struct {
	// Scope says in which namespaces Secrets and Certificates are looked at.
	Scope          injectable.Scope
	LeaderElection component.LeaderElection

	// WatchCertificates has Certificates watched, which needs their CRD.
	WatchCertificates bool
	// The kinds that are injected into.
	ValidatingWebhookConfigurations, MutatingWebhookConfigurations bool
	CustomResourceDefinitions, APIServices                         bool

	MetricsListenAddress string
	MetricsTLS           component.TLS
	// Registerer takes the metrics; nil is the one whose metrics are served.
	Registerer prometheus.Registerer
	Profiles   component.Profiles

	// CRDTimeout is how long the CRD of Certificates is waited for.
	CRDTimeout time.Duration

	features featuregate.FeatureGate
}

// gates are the feature gates of cert-manager's cainjector. Both name what has become
// the only behaviour.
var gates = component.Gates{
	"CAInjectorMerging": {Default: true, PreRelease: featuregate.GA},
	"ServerSideApply":   {Default: true, PreRelease: featuregate.GA},
}

// Defaults are the options without any flag.
func Defaults() Options {
	return Options{
		LeaderElection:                  component.DefaultLeaderElection(),
		WatchCertificates:               true,
		ValidatingWebhookConfigurations: true,
		MutatingWebhookConfigurations:   true,
		CustomResourceDefinitions:       true,
		APIServices:                     true,
		MetricsListenAddress:            "0.0.0.0:9402",
		MetricsTLS:                      component.NewTLS("metrics-", "metrics", "cert-manager-cainjector"),
		Profiles:                        component.DefaultProfiles(),
		CRDTimeout:                      5 * time.Minute,
	}
}

const flagIgnored = "ignore-namespaces"

// AddFlags adds the flags, with o's values as defaults.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Scope.Namespace, "namespace", o.Scope.Namespace, "take CAs from Secrets and Certificates in this namespace only (default all)")
	fs.StringSliceVar(&o.Scope.Ignored, flagIgnored, o.Scope.Ignored, "namespaces whose Secrets and Certificates give no CA; not together with --namespace")
	o.LeaderElection.AddFlags(fs)
	fs.BoolVar(&o.WatchCertificates, "enable-certificates-data-source", o.WatchCertificates, "watch Certificates; without it, cert-manager.io/inject-ca-from is obeyed when the object or the Secret changes")
	fs.BoolVar(&o.ValidatingWebhookConfigurations, "enable-validatingwebhookconfigurations-injectable", o.ValidatingWebhookConfigurations, "inject CAs into ValidatingWebhookConfigurations")
	fs.BoolVar(&o.MutatingWebhookConfigurations, "enable-mutatingwebhookconfigurations-injectable", o.MutatingWebhookConfigurations, "inject CAs into MutatingWebhookConfigurations")
	fs.BoolVar(&o.CustomResourceDefinitions, "enable-customresourcedefinitions-injectable", o.CustomResourceDefinitions, "inject CAs into CustomResourceDefinitions with a conversion webhook")
	fs.BoolVar(&o.APIServices, "enable-apiservices-injectable", o.APIServices, "inject CAs into APIServices")
	fs.StringVar(&o.MetricsListenAddress, "metrics-listen-address", o.MetricsListenAddress, "host:port of the Prometheus metrics; 0 for none")
	o.Profiles.AddFlags(fs)
	o.MetricsTLS.AddFlags(fs)
	o.features = gates.AddFlag(fs, "feature gates as Name=true,Other=false; those of cert-manager are accepted, but without effect")
}

// Check implements what package cli needs of options that are set by flags.
func (o *Options) Check() error {
	var complaints component.Complaints
	bad := complaints.Add
	component.CheckNamespace("namespace", o.Scope.Namespace, true, bad)
	if o.Scope.Namespace != "" && len(o.Scope.Ignored) > 0 {
		bad(flagIgnored, "should not be used with --namespace.")
	}
	o.LeaderElection.Check(bad)
	o.Listeners().Check(bad)
	o.MetricsTLS.Check(bad)
	if len(complaints) == 0 {
		o.MetricsTLS.CheckFiles(bad)
	}
	return complaints.Err()
}

// Listeners are the addresses to listen on.
func (o *Options) Listeners() component.Listeners {
	listeners := component.Listeners{"metrics-listen-address": o.MetricsListenAddress}
	o.Profiles.Listen(listeners)
	return listeners
}

// targets are the kinds that are injected into.
func (o *Options) targets() []cainjector.Target {
	var targets []cainjector.Target
	for _, t := range []struct {
		enabled bool
		target  cainjector.Target
	}{
		{o.ValidatingWebhookConfigurations, cainjector.ValidatingWebhookConfigurations},
		{o.MutatingWebhookConfigurations, cainjector.MutatingWebhookConfigurations},
		{o.APIServices, cainjector.APIServices},
		{o.CustomResourceDefinitions, cainjector.CustomResourceDefinitions},
	} {
		if t.enabled {
			targets = append(targets, t.target)
		}
	}
	return targets
}
