package component

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/everleaf/everleaf/internal/servingcert"
)

// TLS says how a server serves: with a certificate from files, with one that a CA of
// this program signs, or, without either, in plain text.
type TLS struct {
	CertFile, KeyFile string
	// Dynamic.Namespace and Dynamic.Name are those of the Secret of the CA.
	Dynamic      servingcert.Config
	CipherSuites []string
	MinVersion   string

	// prefix and server are those of NewTLS.
	prefix, server string
}

// NewTLS returns the TLS of a server. Its flags begin with a prefix, which may be
// empty; server is what the flags' texts call the server. managedBy is the label
// of a Secret that is created for the CA.
func NewTLS(prefix, server, managedBy string) TLS {
	return TLS{prefix: prefix, server: server, Dynamic: servingcert.Config{Lifetime: 168 * time.Hour, ManagedBy: managedBy}}
}

const (
	flagCertFile    = "tls-cert-file"
	flagKeyFile     = "tls-private-key-file"
	flagCANamespace = "dynamic-serving-ca-secret-namespace"
	flagCAName      = "dynamic-serving-ca-secret-name"
	flagDNSNames    = "dynamic-serving-dns-names"
	flagLifetime    = "dynamic-serving-leaf-duration"
	flagCiphers     = "tls-cipher-suites"
	flagMinVersion  = "tls-min-version"
)

// AddFlags adds the flags, with t's values as defaults.
func (t *TLS) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&t.CertFile, t.prefix+flagCertFile, t.CertFile, "file of the certificate to serve "+t.server+" with; read again when it changes")
	fs.StringVar(&t.KeyFile, t.prefix+flagKeyFile, t.KeyFile, "file of its private key")
	fs.StringVar(&t.Dynamic.Namespace, t.prefix+flagCANamespace, t.Dynamic.Namespace, "namespace of the Secret of a CA that signs a certificate to serve "+t.server+" with")
	fs.StringVar(&t.Dynamic.Name, t.prefix+flagCAName, t.Dynamic.Name, "name of this Secret; it is created if it does not exist")
	fs.StringSliceVar(&t.Dynamic.DNSNames, t.prefix+flagDNSNames, t.Dynamic.DNSNames, "DNS names of this certificate")
	fs.DurationVar(&t.Dynamic.Lifetime, t.prefix+flagLifetime, t.Dynamic.Lifetime, "lifetime of this certificate")
	fs.StringSliceVar(&t.CipherSuites, t.prefix+flagCiphers, t.CipherSuites, "cipher suites of the TLS of "+t.server+", by Go's names (default Go's)")
	fs.StringVar(&t.MinVersion, t.prefix+flagMinVersion, t.MinVersion, "least version of the TLS of "+t.server+": VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13 (default Go's)")
}

func (t *TLS) files() bool { return t.CertFile != "" || t.KeyFile != "" }

func (t *TLS) dynamic() bool {
	return t.Dynamic.Namespace != "" || t.Dynamic.Name != "" || len(t.Dynamic.DNSNames) > 0
}

// Check complains about values that do not fit together. It reads no file.
func (t *TLS) Check(complain Complaint) {
	bad := func(flag, format string, args ...any) { complain(t.prefix+flag, format, args...) }
	const neededForFiles, neededForDynamic = "must be specified when using filesystem based TLS config", "must be specified when using dynamic TLS config"
	if t.files() && t.dynamic() {
		bad(flagCertFile, "cannot specify both filesystem based and dynamic TLS configuration (--%sdynamic-serving-*)", t.prefix)
	}
	if t.files() && t.CertFile == "" {
		bad(flagCertFile, neededForFiles)
	}
	if t.files() && t.KeyFile == "" {
		bad(flagKeyFile, neededForFiles)
	}
	if t.dynamic() && t.Dynamic.Namespace == "" {
		bad(flagCANamespace, neededForDynamic)
	}
	if t.dynamic() && t.Dynamic.Name == "" {
		bad(flagCAName, neededForDynamic)
	}
	if t.dynamic() && len(t.Dynamic.DNSNames) == 0 {
		bad(flagDNSNames, neededForDynamic)
	}
	if t.dynamic() && t.Dynamic.Lifetime < time.Hour {
		bad(flagLifetime, "must be at least 1h")
	}
	if _, err := cliflag.TLSCipherSuites(t.CipherSuites); err != nil {
		bad(flagCiphers, "%v; known are %s", err, strings.Join(cliflag.TLSCipherPossibleValues(), ", "))
	}
	if _, err := cliflag.TLSVersion(t.MinVersion); err != nil {
		bad(flagMinVersion, "%q is none of %s", t.MinVersion, strings.Join(cliflag.TLSPossibleVersions(), ", "))
	}
}

// CheckFiles reports files that hold no certificate with its key. They are read again
// when the server starts.
func (t *TLS) CheckFiles(bad Complaint) {
	if !t.files() {
		return
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		bad(t.prefix+flagCertFile, "cannot be read as a certificate with the key in --%s: %v", t.prefix+flagKeyFile, err)
	}
}

// Source returns what serves a certificate, nil without TLS. core is asked for only
// if a CA is kept in a Secret.
func (t *TLS) Source(core func() (kubernetes.Interface, error), log logr.Logger) (Certificate, error) {
	switch {
	case t.files():
		return certwatcher.New(t.CertFile, t.KeyFile)
	case t.dynamic():
		client, err := core()
		if err != nil {
			return nil, err
		}
		return servingcert.New(t.Dynamic, client, clock.RealClock{}, log), nil
	default:
		return nil, nil
	}
}

// Certificate serves the certificate of a TLS server, and keeps it up to date
// while it runs.
type Certificate interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Start(ctx context.Context) error
}

// Configure has a server use the certificate, the cipher suites and the version.
func (t *TLS) Configure(c *tls.Config, certificate Certificate) {
	// Both were checked with the flags.
	c.CipherSuites, _ = cliflag.TLSCipherSuites(t.CipherSuites)
	if t.MinVersion != "" {
		c.MinVersion, _ = cliflag.TLSVersion(t.MinVersion)
	}
	c.GetCertificate = certificate.GetCertificate
}

// ServeMetrics has the metrics served with TLS, if they are. core is asked for only if a
// CA is kept in a Secret. keep adds what keeps the certificate, if there is one.
func (t *TLS) ServeMetrics(options *metricsserver.Options, core func() (kubernetes.Interface, error), log logr.Logger) (keep func(Adder) error, err error) {
	certificate, err := t.Source(core, log)
	if err != nil {
		return nil, fmt.Errorf("serve metrics with TLS: %w", err)
	}
	if certificate == nil {
		return func(Adder) error { return nil }, nil
	}
	options.SecureServing = true
	options.TLSOpts = append(options.TLSOpts, func(c *tls.Config) { t.Configure(c, certificate) })
	return func(to Adder) error { return to.Add(Always(certificate.Start)) }, nil
}
