package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/everleaf/everleaf/internal/servingcert"
)

// MetricsTLS says how the metrics are served: with a certificate from files, with
// one that a CA of this program signs, or, without either, over HTTP.
type MetricsTLS struct {
	CertFile, KeyFile string
	// Dynamic.Namespace and Dynamic.Name are those of the Secret of the CA.
	Dynamic      servingcert.Config
	CipherSuites []string
	MinVersion   string
}

const (
	flagCertFile    = "metrics-tls-cert-file"
	flagKeyFile     = "metrics-tls-private-key-file"
	flagCANamespace = "metrics-dynamic-serving-ca-secret-namespace"
	flagCAName      = "metrics-dynamic-serving-ca-secret-name"
	flagDNSNames    = "metrics-dynamic-serving-dns-names"
	flagLifetime    = "metrics-dynamic-serving-leaf-duration"
	flagCiphers     = "metrics-tls-cipher-suites"
	flagMinVersion  = "metrics-tls-min-version"
)

func (m *MetricsTLS) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&m.CertFile, flagCertFile, m.CertFile, "file of the certificate to serve metrics with; read again when it changes")
	fs.StringVar(&m.KeyFile, flagKeyFile, m.KeyFile, "file of its private key")
	fs.StringVar(&m.Dynamic.Namespace, flagCANamespace, m.Dynamic.Namespace, "namespace of the Secret of a CA that signs a certificate to serve metrics with")
	fs.StringVar(&m.Dynamic.Name, flagCAName, m.Dynamic.Name, "name of this Secret; it is created if it does not exist")
	fs.StringSliceVar(&m.Dynamic.DNSNames, flagDNSNames, m.Dynamic.DNSNames, "DNS names of this certificate")
	fs.DurationVar(&m.Dynamic.Lifetime, flagLifetime, m.Dynamic.Lifetime, "lifetime of this certificate")
	fs.StringSliceVar(&m.CipherSuites, flagCiphers, m.CipherSuites, "cipher suites of the metrics' TLS, by Go's names (default Go's)")
	fs.StringVar(&m.MinVersion, flagMinVersion, m.MinVersion, "least version of the metrics' TLS: VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13 (default Go's)")
}

func (m *MetricsTLS) files() bool { return m.CertFile != "" || m.KeyFile != "" }

func (m *MetricsTLS) dynamic() bool {
	return m.Dynamic.Namespace != "" || m.Dynamic.Name != "" || len(m.Dynamic.DNSNames) > 0
}

func (m *MetricsTLS) check(bad complaint) {
	const neededForFiles, neededForDynamic = "must be specified when using filesystem based TLS config", "must be specified when using dynamic TLS config"
	if m.files() && m.dynamic() {
		bad(flagCertFile, "cannot specify both filesystem based and dynamic TLS configuration (--metrics-dynamic-serving-*)")
	}
	if m.files() && m.CertFile == "" {
		bad(flagCertFile, neededForFiles)
	}
	if m.files() && m.KeyFile == "" {
		bad(flagKeyFile, neededForFiles)
	}
	if m.dynamic() && m.Dynamic.Namespace == "" {
		bad(flagCANamespace, neededForDynamic)
	}
	if m.dynamic() && m.Dynamic.Name == "" {
		bad(flagCAName, neededForDynamic)
	}
	if m.dynamic() && len(m.Dynamic.DNSNames) == 0 {
		bad(flagDNSNames, neededForDynamic)
	}
	if m.dynamic() && m.Dynamic.Lifetime < time.Hour {
		bad(flagLifetime, "must be at least 1h")
	}
	if _, err := cliflag.TLSCipherSuites(m.CipherSuites); err != nil {
		bad(flagCiphers, "%v; known are %s", err, strings.Join(cliflag.TLSCipherPossibleValues(), ", "))
	}
	if _, err := cliflag.TLSVersion(m.MinVersion); err != nil {
		bad(flagMinVersion, "%q is none of %s", m.MinVersion, strings.Join(cliflag.TLSPossibleVersions(), ", "))
	}
}

// checkFiles reports files that hold no certificate with its key. They are read again
// when the metrics are served.
func (m *MetricsTLS) checkFiles() error {
	if !m.files() {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(m.CertFile, m.KeyFile); err != nil {
		return &FlagError{flagCertFile, fmt.Sprintf("cannot be used together with --%s: %v", flagKeyFile, err)}
	}
	return nil
}

// source returns what serves a certificate, nil without TLS.
func (m *MetricsTLS) source(dynamic func(servingcert.Config) (*servingcert.Source, error)) (certificateSource, error) {
	switch {
	case m.files():
		return certwatcher.New(m.CertFile, m.KeyFile)
	case m.dynamic():
		return dynamic(m.Dynamic)
	default:
		return nil, nil
	}
}

// certificateSource serves the certificate of a TLS server, and keeps it up to date
// while it runs.
type certificateSource interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Start(ctx context.Context) error
}

// serve has the metrics served with TLS.
func (m *MetricsTLS) serve(options *metricsserver.Options, source certificateSource) {
	options.SecureServing = true
	options.TLSOpts = append(options.TLSOpts, func(c *tls.Config) {
		// Both were checked with the flags.
		c.CipherSuites, _ = cliflag.TLSCipherSuites(m.CipherSuites)
		if m.MinVersion != "" {
			c.MinVersion, _ = cliflag.TLSVersion(m.MinVersion)
		}
		c.GetCertificate = source.GetCertificate
	})
}
