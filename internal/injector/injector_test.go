package injector

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/configfile"
)

func flagSet(o *Options) *pflag.FlagSet {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(fs)
	return fs
}

// TestDefaults holds the flags and defaults of cert-manager's cainjector.
func TestDefaults(t *testing.T) {
	o := Defaults()
	got := map[string]string{}
	flagSet(&o).VisitAll(func(f *pflag.Flag) { got[f.Name] = f.DefValue })
	want := map[string]string{
		"enable-apiservices-injectable":                     "true",
		"enable-certificates-data-source":                   "true",
		"enable-customresourcedefinitions-injectable":       "true",
		"enable-mutatingwebhookconfigurations-injectable":   "true",
		"enable-profiling":                                  "false",
		"enable-validatingwebhookconfigurations-injectable": "true",
		"feature-gates":                                     "",
		"ignore-namespaces":                                 "[]",
		"leader-elect":                                      "true",
		"leader-election-lease-duration":                    "1m0s",
		"leader-election-namespace":                         "kube-system",
		"leader-election-renew-deadline":                    "40s",
		"leader-election-retry-period":                      "15s",
		"metrics-dynamic-serving-ca-secret-name":            "",
		"metrics-dynamic-serving-ca-secret-namespace":       "",
		"metrics-dynamic-serving-dns-names":                 "[]",
		"metrics-dynamic-serving-leaf-duration":             "168h0m0s",
		"metrics-listen-address":                            "0.0.0.0:9402",
		"metrics-tls-cert-file":                             "",
		"metrics-tls-cipher-suites":                         "[]",
		"metrics-tls-min-version":                           "",
		"metrics-tls-private-key-file":                      "",
		"namespace":                                         "",
		"profiler-address":                                  "localhost:6060",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := o.MetricsTLS.Dynamic.ManagedBy, "cert-manager-cainjector"; got != want {
		t.Errorf("the Secret of the CA is managed by %q, want %q", got, want)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name, args string
		want       []string
	}{
		{"defaults", "", nil},
		{"one namespace", "--namespace=a", nil},
		{"ignored namespaces", "--ignore-namespaces=a,b", nil},
		{"both", "--namespace=a --ignore-namespaces=b", []string{"--ignore-namespaces: should not be used with --namespace."}},
		{"odd namespace", "--namespace=A", []string{`--namespace: "A" is not the name of a namespace: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`}},
		{"no metrics", "--metrics-listen-address=0", nil},
		{"several", "--leader-election-lease-duration=1s --metrics-tls-cert-file=x", []string{
			"--leader-election-lease-duration: is 1s, and must be greater than --leader-election-renew-deadline, which is 40s",
			"--metrics-tls-private-key-file: must be specified when using filesystem based TLS config",
		}},
	} {
		o := Defaults()
		if err := flagSet(&o).Parse(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := o.Check(); err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
}

// TestConfigFile sets each field of the file, and looks at the options.
func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	err := os.WriteFile(path, []byte(`
apiVersion: cainjector.config.cert-manager.io/v1alpha1
kind: CAInjectorConfiguration
ignoreNamespaces: [a, b]
leaderElectionConfig: {enabled: false}
enableDataSourceConfig: {certificates: false}
enableInjectableConfig: {validatingWebhookConfigurations: false, mutatingWebhookConfigurations: false, customResourceDefinitions: false}
metricsListenAddress: "0"
featureGates: {CAInjectorMerging: true, ServerSideApply: false}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	if _, err := configfile.CAInjector.Apply(flagSet(&o), path); err != nil {
		t.Fatal(err)
	}
	if len(o.Scope.Ignored) != 2 || o.LeaderElection.Enabled || o.WatchCertificates || o.MetricsListenAddress != "0" || len(o.targets()) != 1 {
		t.Errorf("%+v", o)
	}
	want := []string{"--feature-gates=ServerSideApply=false has no effect: this version behaves as with ServerSideApply=true"}
	if diff := cmp.Diff(want, o.ineffective()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWaitForCRD(t *testing.T) {
	unreachable := errors.New("connection refused")
	for _, test := range []struct {
		name  string
		known func(since time.Duration) (bool, error)
		took  time.Duration
		want  string
	}{
		{"there", func(time.Duration) (bool, error) { return true, nil }, 0, ""},
		{"after a minute", func(d time.Duration) (bool, error) { return d >= time.Minute, nil }, time.Minute, ""},
		{"after errors", func(d time.Duration) (bool, error) { return d >= 10*time.Second, unreachable }, 10 * time.Second, ""},
		{
			"never", func(time.Duration) (bool, error) { return false, nil }, 5 * time.Minute,
			"the CRD certificates.cert-manager.io has not been installed within 5m0s: install the CRDs, or set --enable-certificates-data-source=false, which needs none",
		},
		{
			"no answer", func(time.Duration) (bool, error) { return false, unreachable }, 5 * time.Minute,
			"the API server has not said within 5m0s whether it has the CRD certificates.cert-manager.io: connection refused",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, lines := time.Now(), 0
				log := funcr.New(func(string, string) { lines++ }, funcr.Options{})
				err := waitForCRD(t.Context(), log, 5*time.Minute, func() (bool, error) { return test.known(time.Since(begin)) })
				got := ""
				if err != nil {
					got = err.Error()
				}
				if got != test.want || time.Since(begin) != test.took || lines != min(1, int(test.took)) {
					t.Errorf("after %s, with %d lines: %q, want %q after %s", time.Since(begin), lines, got, test.want, test.took)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := waitForCRD(ctx, logr.Discard(), time.Minute, func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestAPIServerCA(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, []byte("file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		config rest.TLSClientConfig
		want   string
		fails  bool
	}{
		{rest.TLSClientConfig{}, "", false},
		{rest.TLSClientConfig{CAData: []byte("data")}, "data", false},
		{rest.TLSClientConfig{CAFile: path}, "file", false},
		{rest.TLSClientConfig{CAFile: path + "x"}, "", true},
	} {
		got, err := apiServerCA(&rest.Config{TLSClientConfig: test.config})
		if string(got) != test.want || (err != nil) != test.fails {
			t.Errorf("%+v: %s, %v", test.config, got, err)
		}
	}
}
