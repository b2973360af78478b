package cli

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/internal/configfile"
)

// Each field of the file has a flag, so that it works or is warned about.
func TestFieldsHaveFlags(t *testing.T) {
	for name, kind := range map[string]configfile.Kind{"controller": configfile.Controller, "webhook": configfile.Webhook} {
		flags := command(t, newRootCommand(), name).Flags()
		for _, field := range slices.Sorted(maps.Keys(kind.Fields)) {
			if flags.Lookup(kind.Fields[field]) == nil {
				t.Errorf("%s: %s stands for --%s, which does not exist", name, field, kind.Fields[field])
			}
		}
	}
}

// Errors name what the user has written: the field of the file, or the flag.
func TestConfigErrors(t *testing.T) {
	const head = "apiVersion: controller.config.cert-manager.io/v1alpha1\nkind: ControllerConfiguration\n"
	tests := []struct {
		name, content string
		args          []string
		want          []string
	}{
		{"value of a field", head + "numberOfConcurrentWorkers: 0\nmaxConcurrentChallenges: 0", nil, []string{
			"--config: FILE: numberOfConcurrentWorkers: must be greater than 0, not 0", "--config: FILE: maxConcurrentChallenges: must be greater than 0, not 0",
		}},
		{"value of a flag", head + "numberOfConcurrentWorkers: 3", []string{"--concurrent-workers=0"}, []string{"--concurrent-workers: must be greater than 0, not 0"}},
		{"type", head + "numberOfConcurrentWorkers: many", nil, []string{`--config: FILE: numberOfConcurrentWorkers: must be a number, not "many"`}},
		{"feature gate", head + "featureGates: {NoSuchGate: true}", nil, []string{"--config: FILE: featureGates: {\"NoSuchGate\":true}: unrecognized feature gate: NoSuchGate"}},
		{"log format", head + "logging: {format: xml}", nil, []string{`--config: FILE: logging.format: Invalid value: "xml": Unsupported log format; it must be text or json`}},
		{"two values, the other flag's", head + "kubernetesAPIQPS: 100", nil, []string{"--kube-api-burst: is 50, and must not be less than FILE: kubernetesAPIQPS, which is 100"}},
		{"address", head + "metricsListenAddress: foo", []string{"--metrics-listen-address=foo"}, []string{`--metrics-listen-address: cannot listen on "foo": address foo: missing port in address; choose another address, or 0 for none`}},
		{"certificate file", head + "metricsTLSConfig: {filesystem: {certFile: a, keyFile: b}}", nil, []string{
			"--config: FILE: metricsTLSConfig.filesystem.certFile: cannot be read as a certificate with the key in FILE: metricsTLSConfig.filesystem.keyFile: open ",
		}},
		{"controllers", head + "controllers: [nonsense]", nil, []string{`--config: FILE: controllers: "nonsense" is not in the list of known controllers`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			root := newRootCommand()
			root.SetArgs(append([]string{"controller", "--config=" + path, "--metrics-listen-address=0", "--internal-healthz-listen-address=0"}, test.args...))
			err := root.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if got := strings.ReplaceAll(err.Error(), path, "FILE"); !strings.Contains(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// TestWebhookConfig holds that the webhook reads its own kind of file, and names its
// fields.
func TestWebhookConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	const content = "apiVersion: webhook.config.cert-manager.io/v1alpha1\nkind: WebhookConfiguration\nsecurePort: 70000\nenableClientVerification: true\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.SetArgs([]string{"webhook", "--config=" + path})
	err := root.ExecuteContext(t.Context())
	for _, want := range []string{
		"--config: FILE: securePort: must be between 0 and 65535, not 70000",
		"--client-ca-path: error: when FILE: enableClientVerification is true, you must also provide --client-ca-path",
	} {
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "FILE"), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
