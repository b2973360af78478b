package solverwebhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// What charts of solver webhooks pass.
func TestFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want Options
	}{
		{"usual", []string{"--tls-cert-file=/tls/tls.crt", "--tls-private-key-file=/tls/tls.key"}, Options{CertFile: "/tls/tls.crt", KeyFile: "/tls/tls.key", SecurePort: 443}},
		{"port", []string{"--secure-port=8443", "--v=2"}, Options{SecurePort: 8443}},
		{"short verbosity", []string{"-v=4", "--bind-address", "127.0.0.1"}, Options{SecurePort: 443, BindAddress: "127.0.0.1"}},
		{"separate verbosity", []string{"-v", "4"}, Options{SecurePort: 443}},
		{"without effect", []string{"--audit-log-path=-", "--profiling", "--contention-profiling=false", "--feature-gates=A=true", "--logtostderr=true", "--authentication-skip-lookup", "--secure-port=10250"}, Options{SecurePort: 10250}},
		{"kubeconfigs", []string{"--kubeconfig=a", "--authentication-kubeconfig=a", "--authorization-kubeconfig=a"}, Options{SecurePort: 443, Kubeconfig: "a"}},
		{"TLS", []string{"--tls-min-version=VersionTLS13", "--tls-cipher-suites=TLS_A,TLS_B"}, Options{SecurePort: 443, MinTLSVersion: "VersionTLS13", CipherSuites: []string{"TLS_A", "TLS_B"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{}
			flags := pflag.NewFlagSet("solver", pflag.ContinueOnError)
			o.AddFlags(flags)
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, o); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusedOptions(t *testing.T) {
	one := []Solver{&scripted{}}
	for name, c := range map[string]struct {
		o       Options
		solvers []Solver
		want    string
	}{
		"no group":        {Options{}, one, "set the environment variable GROUP_NAME"},
		"no domain":       {Options{GroupName: "A b"}, one, `API group "A b"`},
		"foreign group":   {Options{GroupName: "cert-manager.io"}, one, "belongs to cert-manager"},
		"foreign group 2": {Options{GroupName: "acme.cert-manager.io"}, one, "belongs to cert-manager"},
		"no solver":       {Options{GroupName: apiGroup}, nil, "no solver"},
		"two of one name": {Options{GroupName: apiGroup}, []Solver{&scripted{}, &scripted{}}, `two solvers have the name "example"`},
		"no key":          {Options{GroupName: apiGroup, CertFile: "a"}, one, "set both or none"},
		"no file":         {Options{GroupName: apiGroup, CertFile: "/absent", KeyFile: "/absent"}, one, "serving certificate: open /absent"},
		"version":         {Options{GroupName: apiGroup, MinTLSVersion: "TLS1.2"}, one, "--tls-min-version"},
		"suite":           {Options{GroupName: apiGroup, CipherSuites: []string{"A"}}, one, "--tls-cipher-suites"},
		"port":            {Options{GroupName: apiGroup, BindAddress: "192.0.2.1", SecurePort: 443}, one, "choose another --secure-port"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Config = &rest.Config{Host: "127.0.0.1:1"}
			if c.o.BindAddress == "" {
				c.o.BindAddress = "127.0.0.1"
			}
			err := Run(t.Context(), c.o, c.solvers...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// The serving certificate is renewed without a restart.
func TestServingCertificateIsReadAgain(t *testing.T) {
	authority := newSigner(t)
	dir := t.TempDir()
	o := Options{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	write := func() *x509.Certificate {
		cert, key := issue(t, &x509.Certificate{DNSNames: []string{"solver"}, NotBefore: time.Now().Add(-time.Hour)}, authority.cert, authority.key)
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for path, block := range map[string]*pem.Block{o.KeyFile: {Type: "EC PRIVATE KEY", Bytes: der}, o.CertFile: {Type: "CERTIFICATE", Bytes: cert.Raw}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return cert
	}
	write()
	source, err := servingCertificate(o)
	if err != nil {
		t.Fatal(err)
	}
	source.(*certwatcher.CertWatcher).WithWatchInterval(10 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Start(ctx) }()
	second := write()
	w := &world{t: t}
	w.eventually(func() bool {
		now, err := source.GetCertificate(&tls.ClientHelloInfo{})
		return err == nil && now.Leaf.Equal(second)
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
