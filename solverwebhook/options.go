package solverwebhook

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/klog/v2"
)

// Patience is the longest time that a solver has for a request. The API server gives
// up on a request after 60 s, and clients earlier.
const Patience = 30 * time.Second

// Options are how solvers are served.
type Options struct {
	// GroupName is the API group of the solvers: a domain name that their users own.
	GroupName string
	// BindAddress and SecurePort are where the server listens.
	BindAddress string
	SecurePort  int
	// CertFile and KeyFile are the serving certificate, with its intermediates, and its
	// key, in PEM. Changes of the files are noticed. Without them the server makes
	// itself a certificate that nobody knows.
	CertFile, KeyFile string
	// MinTLSVersion is VersionTLS12 or VersionTLS13, and CipherSuites are names of
	// Go's crypto/tls. They are its defaults if empty.
	MinTLSVersion string
	CipherSuites  []string
	// Kubeconfig is a kubeconfig file. If it is empty, the server uses the service
	// account of its pod.
	Kubeconfig string

	// Config is how to reach the API server, instead of Kubeconfig.
	Config *rest.Config
	// Listener is what to listen on, instead of BindAddress and SecurePort. Run closes
	// it.
	Listener net.Listener
}

// ignored are flags of generic API servers that charts pass, and that have no effect
// here, with their default values: "true" and "false" for those that need no value.
var ignored = map[string]string{
	"audit-log-maxage": "0", "audit-log-maxbackup": "0", "audit-log-maxsize": "0", "audit-log-path": "", "audit-policy-file": "",
	"authentication-skip-lookup": "false", "authentication-tolerate-lookup-failure": "false", "authentication-token-webhook-cache-ttl": "10s",
	"authorization-always-allow-paths": "", "authorization-webhook-cache-authorized-ttl": "10s", "authorization-webhook-cache-unauthorized-ttl": "10s",
	"cert-dir": "", "client-ca-file": "", "contention-profiling": "false", "debug-socket-path": "", "disable-http2-serving": "false",
	"egress-selector-config-file": "", "emulated-version": "", "emulation-forward-compatible": "false", "enable-priority-and-fairness": "true", "feature-gates": "",
	"http2-max-streams-per-connection": "1000", "logging-format": "text", "permit-address-sharing": "false", "permit-port-sharing": "false",
	"profiling": "false", "requestheader-allowed-names": "", "requestheader-client-ca-file": "", "requestheader-extra-headers-prefix": "",
	"requestheader-group-headers": "", "requestheader-uid-headers": "", "requestheader-username-headers": "", "tls-sni-cert-key": "",
}

// AddFlags adds the flags of the options, and those of the log. Flags that generic API
// servers have beside them are accepted and have no effect.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.BindAddress, "bind-address", o.BindAddress, "address to listen on (default: all)")
	flags.IntVar(&o.SecurePort, "secure-port", cmp.Or(o.SecurePort, 443), "port to listen on, with TLS")
	flags.StringVar(&o.CertFile, "tls-cert-file", o.CertFile, "file with the serving certificate (PEM); it is read again when it changes")
	flags.StringVar(&o.KeyFile, "tls-private-key-file", o.KeyFile, "file with the key of the serving certificate (PEM)")
	flags.StringVar(&o.MinTLSVersion, "tls-min-version", o.MinTLSVersion, "VersionTLS12 (default) or VersionTLS13")
	flags.StringSliceVar(&o.CipherSuites, "tls-cipher-suites", o.CipherSuites, "cipher suites for TLS 1.2, as Go names them")
	for _, name := range []string{"kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"} {
		flags.StringVar(&o.Kubeconfig, name, o.Kubeconfig, "kubeconfig file for the API server (default: the service account of the pod)")
	}
	for name, value := range ignored {
		flags.String(name, value, "has no effect")
		f := flags.Lookup(name)
		f.Hidden = true
		if value == "true" || value == "false" {
			f.NoOptDefVal = "true"
		}
	}
	log := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(log)
	log.VisitAll(func(f *flag.Flag) {
		flags.AddGoFlag(f)
		// The others of klog, such as --logtostderr, are old and rare.
		flags.Lookup(f.Name).Hidden = f.Name != "v" && f.Name != "vmodule"
	})
}

// warnOfIgnored logs which flags of the command line have no effect.
func warnOfIgnored(flags *pflag.FlagSet) {
	var names []string
	flags.Visit(func(f *pflag.Flag) {
		if _, is := ignored[f.Name]; is {
			names = append(names, "--"+f.Name)
		}
	})
	if len(names) > 0 {
		klog.InfoS("These flags have no effect", "flags", names)
	}
}

// complete checks the options and fills in what follows from others.
func (o *Options) complete(solvers []Solver) error {
	if o.GroupName == "" {
		return fmt.Errorf("the API group is empty: set the environment variable %s to groupName of the issuers, a domain of your own such as acme.example.org", groupVariable)
	}
	if why := validation.IsDNS1123Subdomain(o.GroupName); len(why) > 0 {
		return fmt.Errorf("API group %q: %s", o.GroupName, strings.Join(why, "; "))
	}
	if o.GroupName == "cert-manager.io" || strings.HasSuffix(o.GroupName, ".cert-manager.io") {
		return fmt.Errorf("API group %q belongs to cert-manager: use a group of your own, such as acme.example.org, in %s, in the APIService and as groupName of the issuers", o.GroupName, groupVariable)
	}
	if len(solvers) == 0 {
		return errors.New("no solver is given")
	}
	names := map[string]bool{}
	for _, s := range solvers {
		if why := validation.IsDNS1123Label(s.Name()); len(why) > 0 {
			return fmt.Errorf("solver name %q: %s", s.Name(), strings.Join(why, "; "))
		}
		if names[s.Name()] {
			return fmt.Errorf("two solvers have the name %q", s.Name())
		}
		names[s.Name()] = true
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return errors.New("--tls-cert-file and --tls-private-key-file belong together: set both or none")
	}
	if err := o.connect(); err != nil {
		return err
	}
	return o.listen()
}

func (o *Options) connect() error {
	if o.Config != nil {
		return nil
	}
	var err error
	if o.Kubeconfig != "" {
		o.Config, err = clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	} else {
		o.Config, err = rest.InClusterConfig()
	}
	if err != nil {
		return fmt.Errorf("how to reach the API server: %w; outside of a cluster, set --kubeconfig", err)
	}
	// Every request to the server costs one to the API server.
	o.Config.QPS, o.Config.Burst = 200, 400
	return nil
}

func (o *Options) listen() error {
	if o.Listener != nil {
		return nil
	}
	var err error
	o.Listener, err = net.Listen("tcp", net.JoinHostPort(o.BindAddress, strconv.Itoa(o.SecurePort)))
	if err != nil {
		return fmt.Errorf("%w; choose another --secure-port", err)
	}
	return nil
}

// tlsVersions returns what crypto/tls takes for MinTLSVersion and CipherSuites.
func (o *Options) tlsVersions() (uint16, []uint16, error) {
	version, err := cliflag.TLSVersion(o.MinTLSVersion)
	if err != nil {
		return 0, nil, fmt.Errorf("--tls-min-version: %w", err)
	}
	suites, err := cliflag.TLSCipherSuites(slices.Clone(o.CipherSuites))
	if err != nil {
		return 0, nil, fmt.Errorf("--tls-cipher-suites: %w", err)
	}
	return version, suites, nil
}
