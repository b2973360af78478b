package webhook

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
)

// Options are what can be set about the webhook. The flags' names and defaults are
// those of cert-manager's webhook.
type Options struct {
	// SecurePort is where admission requests are answered; 0 is a free port.
	SecurePort int
	// HealthzPort is where probes are answered; 0 is nowhere.
	HealthzPort int
	TLS         component.TLS
	Clients     Clients

	MetricsListenAddress string
	MetricsTLS           component.TLS
	Profiles             component.Profiles

	Gates  validation.Gates
	Limits pki.Limits

	// Grace is how long new connections are still accepted after the signal to stop.
	Grace time.Duration

	features featuregate.FeatureGate
}

// Clients says which clients may connect.
type Clients struct {
	// Verify has clients show a certificate that a CA in the file CAPath has signed.
	Verify bool
	CAPath string
	// Subjects are common names and DNS names: the certificate must have one of them. None
	// means that all are good.
	Subjects []string
}

const (
	flagSecurePort  = "secure-port"
	flagHealthzPort = "healthz-port"
	flagMetrics     = "metrics-listen-address"
	flagVerify      = "enable-client-verification"
	flagClientCA    = "client-ca-path"
	flagSubjects    = "client-subject-names"

	managedBy = "cert-manager-webhook"
	// defaultGrace is longer than Kubernetes usually takes to send no more
	// connections to a pod that is deleted.
	defaultGrace = 5 * time.Second
)

// Defaults are the options without any flag.
func Defaults() Options {
	return Options{
		SecurePort:           6443,
		HealthzPort:          6080,
		TLS:                  component.NewTLS("", "admission requests", managedBy),
		MetricsListenAddress: "0.0.0.0:9402",
		MetricsTLS:           component.NewTLS("metrics-", "metrics", managedBy),
		Profiles:             component.DefaultProfiles(),
		Gates:                validation.DefaultGates,
		Limits:               pki.DefaultLimits,
		Grace:                defaultGrace,
	}
}

// AddFlags adds the flags, with o's values as defaults.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.SecurePort, flagSecurePort, o.SecurePort, "port of the HTTPS server for admission requests; 0 is a free port")
	fs.IntVar(&o.HealthzPort, flagHealthzPort, o.HealthzPort, "port of /livez and /healthz, in plain HTTP; 0 for none")
	o.TLS.AddFlags(fs)
	fs.BoolVar(&o.Clients.Verify, flagVerify, o.Clients.Verify, "have clients show a certificate")
	fs.StringVar(&o.Clients.CAPath, flagClientCA, o.Clients.CAPath, "file of the CAs of the clients' certificates")
	fs.StringSliceVar(&o.Clients.Subjects, flagSubjects, o.Clients.Subjects, "common names and DNS names; a client's certificate must have one of them (default any)")
	fs.StringVar(&o.MetricsListenAddress, flagMetrics, o.MetricsListenAddress, "host:port of the Prometheus metrics; 0 for none")
	o.MetricsTLS.AddFlags(fs)
	o.Profiles.AddFlags(fs)
	component.AddLimits(fs, &o.Limits)
	o.features = gates.AddFlag(fs, "feature gates as Name=true,Other=false")
}

const (
	gateLiteralSubject  = "LiteralCertificateSubject"
	gateNameConstraints = "NameConstraints"
	gateOtherNames      = "OtherNames"
)

// gates are those of cert-manager's webhook.
var gates = component.Gates{
	"AdditionalCertificateOutputFormats": {Default: true, PreRelease: featuregate.GA},
	"DisallowInsecureCSRUsageDefinition": {Default: true, PreRelease: featuregate.GA},
	gateLiteralSubject:                   {Default: true, PreRelease: featuregate.Beta},
	gateNameConstraints:                  {Default: true, PreRelease: featuregate.Beta},
	gateOtherNames:                       {Default: true, PreRelease: featuregate.Beta},
}

// ineffective says which feature gates were set to something that changes nothing.
func (o *Options) ineffective() []string {
	if o.features == nil {
		return nil
	}
	var warnings []string
	for name, spec := range gates {
		if spec.PreRelease == featuregate.GA && !o.features.Enabled(name) {
			warnings = append(warnings, fmt.Sprintf("--feature-gates=%s=false has no effect: this version behaves as with %s=true", name, name))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// Check checks the options and derives what follows from them. The error names
// every option that is wrong.
func (o *Options) Check() error {
	var complaints component.Complaints
	bad := complaints.Add
	for flag, port := range map[string]int{flagSecurePort: o.SecurePort, flagHealthzPort: o.HealthzPort} {
		if port < 0 || port > 65535 {
			bad(flag, "must be between 0 and 65535, not %d", port)
		}
	}
	o.TLS.Check(bad)
	o.MetricsTLS.Check(bad)
	if o.Clients.Verify && o.Clients.CAPath == "" {
		bad(flagClientCA, "error: when --%s is true, you must also provide --%s", flagVerify, flagClientCA)
	}
	o.otherListeners().Check(bad)
	component.CheckLimits(o.Limits, bad)
	if o.features != nil {
		o.Gates = validation.Gates{
			LiteralCertificateSubject: o.features.Enabled(gateLiteralSubject),
			NameConstraints:           o.features.Enabled(gateNameConstraints),
			OtherNames:                o.features.Enabled(gateOtherNames),
		}
	}
	if err := complaints.Err(); err != nil {
		return err
	}
	o.TLS.CheckFiles(bad)
	o.MetricsTLS.CheckFiles(bad)
	if _, err := o.Clients.pool(); err != nil {
		bad(flagClientCA, "%v", err)
	}
	return complaints.Err()
}

// otherListeners are the addresses of what is served besides admission and probes.
func (o *Options) otherListeners() component.Listeners {
	listeners := component.Listeners{flagMetrics: o.MetricsListenAddress}
	o.Profiles.Listen(listeners)
	return listeners
}
