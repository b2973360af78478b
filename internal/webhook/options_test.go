package webhook

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/validation"
)

func parse(t *testing.T, args ...string) (*Options, error) {
	t.Helper()
	o := Defaults()
	flags := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	o.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return &o, o.Check()
}

var dynamic = []string{"--dynamic-serving-ca-secret-namespace=ns", "--dynamic-serving-ca-secret-name=ca", "--dynamic-serving-dns-names=webhook"}

func TestOptionErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--secure-port=70000":                                   "--secure-port: must be between 0 and 65535, not 70000",
		"--healthz-port=-1":                                     "--healthz-port: must be between 0 and 65535, not -1",
		"--enable-client-verification":                          "--client-ca-path: error: when --enable-client-verification is true, you must also provide --client-ca-path",
		"--enable-client-verification --client-ca-path=" + text: "--client-ca-path: " + text + " has no certificate in PEM",
		"--feature-gates=NoSuchGate=true":                       "unrecognized feature gate: NoSuchGate",
		"--tls-cert-file=a":                                     "--tls-private-key-file: must be specified when using filesystem based TLS config",
		"--tls-min-version=TLS1":                                `--tls-min-version: "TLS1" is none of `,
		"--tls-cipher-suites=x":                                 "--tls-cipher-suites: Cipher suite x not supported or doesn't exist",
		"--dynamic-serving-ca-secret-name=x":                    "--dynamic-serving-dns-names: must be specified when using dynamic TLS config",
		"--max-certificate-size=0":                              "--max-certificate-size: must be greater than 0, not 0",
		"--metrics-listen-address=x":                            `--metrics-listen-address: cannot listen on "x"`,
	} {
		if _, err := parse(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

func TestGates(t *testing.T) {
	o, err := parse(t, "--feature-gates=OtherNames=false,AdditionalCertificateOutputFormats=false,NameConstraints=true")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(validation.Gates{LiteralCertificateSubject: true, NameConstraints: true}, o.Gates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"--feature-gates=AdditionalCertificateOutputFormats=false has no effect: this version behaves as with AdditionalCertificateOutputFormats=true"}, o.ineffective()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestStartFails holds that a start which cannot succeed ends with a message that
// says what to change: by the flag, and by the value of the chart.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	free := []string{"--secure-port=0", "--healthz-port=0", "--metrics-listen-address=0"}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"no certificate": {nil, []string{"no CertificateSource specified"}},
		"secure port":    {append(dynamic, "--secure-port="+port), []string{`--secure-port: cannot listen on ":` + port + `": `, "address already in use", "webhook.securePort"}},
		"probes":         {append(dynamic, "--healthz-port="+port), []string{`--healthz-port: cannot listen on ":` + port + `": `, "webhook.config.healthzPort"}},
		"metrics":        {append(dynamic, "--metrics-listen-address=0.0.0.0:"+port), []string{`--metrics-listen-address: cannot listen on "0.0.0.0:` + port + `": `, "webhook.config.metricsListenAddress"}},
		"profiles":       {append(dynamic, "--enable-profiling", "--profiler-address=:"+port), []string{`--profiler-address: cannot listen on ":` + port + `": `, "webhook.config.pprofAddress"}},
		"all":            {append(dynamic, "--secure-port="+port, "--healthz-port="+port), []string{"--secure-port", "--healthz-port"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(t, append(free, test.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			err = Run(t.Context(), &rest.Config{Host: "http://127.0.0.1:1"}, *o, logr.Discard())
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}
