package configfile

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
)

// flags has one flag of each type, under the names of some fields.
func flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.Bool("leader-elect", true, "")
	fs.Duration("dns01-check-retry-period", 10*time.Second, "")
	fs.Int("max-concurrent-challenges", 60, "")
	fs.Bool("enable-gateway-api", false, "")
	fs.Float32("kube-api-qps", 20, "")
	fs.Var(&resource.QuantityValue{}, "log-json-info-buffer-size", "")
	fs.Var(&resource.QuantityValue{}, "log-text-info-buffer-size", "")
	fs.String("kubeconfig", "", "")
	fs.String("namespace", "", "")
	fs.StringSlice("controllers", []string{"*"}, "")
	fs.StringToString("acme-http01-solver-extra-labels", nil, "")
	return fs
}

const head = "apiVersion: controller.config.cert-manager.io/v1alpha1\nkind: ControllerConfiguration\n"

func TestApply(t *testing.T) {
	tests := []struct {
		name, content string
		args          []string
		want          map[string]string
		err           []string
	}{
		{name: "nothing", content: head, want: map[string]string{}},
		{
			name: "every type", content: head + `
leaderElectionConfig: {enabled: false}
acmeDNS01Config: {checkRetryPeriod: 1m30s}
maxConcurrentChallenges: 7
kubernetesAPIQPS: 2.5
kubeConfig: sub/config
controllers: ["*", -orders]
acmeHTTP01Config: {solverExtraLabels: {b: "2", a: "1"}}
namespace: null
logging: {options: {json: {infoBufferSize: 1048576}, text: {infoBufferSize: 64Ki}}}
`,
			want: map[string]string{
				"leader-elect": "false", "dns01-check-retry-period": "1m30s", "max-concurrent-challenges": "7", "kube-api-qps": "2.5",
				"kubeconfig": "DIR/sub/config", "controllers": "[*,-orders]", "acme-http01-solver-extra-labels": "[a=1,b=2]",
				"log-json-info-buffer-size": "1048576", "log-text-info-buffer-size": "64Ki",
			},
		},
		{
			name: "a duration in nanoseconds", content: head + "acmeDNS01Config: {checkRetryPeriod: 5000000000}",
			want: map[string]string{"dns01-check-retry-period": "5s"},
		},
		{
			name: "flags over file", content: head + "maxConcurrentChallenges: 7\nnamespace: file", args: []string{"--max-concurrent-challenges=60"},
			want: map[string]string{"max-concurrent-challenges": "60", "namespace": "file"},
		},
		{
			name: "an empty text is the default", content: head + `namespace: ""`, want: map[string]string{},
		},
		{
			name: "either of two fields switches on", content: head + "enableGatewayAPI: true\ngatewayAPI: {enabled: false}",
			want: map[string]string{"enable-gateway-api": "true"},
		},
		{
			name: "the other of two fields switches on", content: head + "enableGatewayAPI: false\ngatewayAPI: {enabled: true}",
			want: map[string]string{"enable-gateway-api": "true"},
		},
		{
			name: "wrong values", content: head + `
leaderElectionConfig: {enabled: "no"}
acmeDNS01Config: {checkRetryPeriod: soon}
maxConcurrentChallenges: 1.5
kubernetesAPIQPS: many
controllers: orders
acmeHTTP01Config: {solverExtraLabels: {a: 1}}
namespace: [x]
logging: {options: {json: {infoBufferSize: true}}}
`,
			err: []string{
				`acmeDNS01Config.checkRetryPeriod: must be a duration such as 1h30m, or nanoseconds, not "soon"`,
				`acmeHTTP01Config.solverExtraLabels: "a" must be a string, not 1`,
				`controllers: must be a list of strings, not "orders"`,
				`kubernetesAPIQPS: must be a number, not "many"`,
				`leaderElectionConfig.enabled: must be true or false, not "no"`,
				`logging.options.json.infoBufferSize: must be a number of bytes, or a quantity such as 64Ki, not true`,
				`maxConcurrentChallenges: 1.5: strconv.ParseInt: parsing "1.5": invalid syntax`,
				`namespace: must be a string, not ["x"]`,
			},
		},
		{
			name: "unknown fields", content: head + "maxConcurrentChalenges: 1\nleaderElectionConfig: {lease: 1s}\ngatewayAPI: true",
			err: []string{"maxConcurrentChalenges: unknown field", "leaderElectionConfig.lease: unknown field", "gatewayAPI: must be an object, not true"},
		},
		{name: "twice", content: head + "namespace: a\nnamespace: b", err: []string{`key "namespace" already set in map`}},
		{
			name: "another kind", content: "apiVersion: webhook.config.cert-manager.io/v1alpha1",
			err: []string{
				`apiVersion: must be "controller.config.cert-manager.io/v1alpha1", not "webhook.config.cert-manager.io/v1alpha1"`,
				`kind: must be "ControllerConfiguration", not nothing`,
			},
		},
		{name: "no object", content: "[]", err: []string{"the file does not hold an object"}},
		{name: "no YAML", content: "a: [", err: []string{"did not find expected node content"}},
		{name: "too large", content: head + "#" + strings.Repeat("x", maxFile), err: []string{"is larger than 1048576 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			fs := flags()
			if err := fs.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			before := map[string]string{}
			fs.VisitAll(func(f *pflag.Flag) { before[f.Name] = f.Value.String() })
			origins, err := Controller.Apply(fs, path)
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v, want %q", err, want)
				}
			}
			if len(test.err) > 0 {
				if err != nil && !strings.HasPrefix(err.Error(), "--config: ") {
					t.Errorf("the error does not name the flag: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name := range before {
				value := strings.ReplaceAll(fs.Lookup(name).Value.String(), filepath.Dir(path), "DIR")
				if _, set := origins[name]; set || fs.Changed(name) {
					got[name] = value
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyNoFile(t *testing.T) {
	if _, err := Controller.Apply(flags(), filepath.Join(t.TempDir(), "missing.yaml")); err == nil || !strings.Contains(err.Error(), "--config: open ") {
		t.Errorf("got %v", err)
	}
	if origins, err := Controller.Apply(flags(), ""); err != nil || origins != nil {
		t.Errorf("got %v, %v", origins, err)
	}
}

// Two fields may stand for one flag only where cert-manager has renamed one.
func TestFieldsAreUnique(t *testing.T) {
	renamed := []string{"enable-gateway-api", "enable-gateway-api-listenerset"}
	for _, kind := range []Kind{Controller, Webhook, CAInjector} {
		seen := map[string]string{}
		for _, field := range slices.Sorted(maps.Keys(kind.Fields)) {
			flag := kind.Fields[field]
			if before, ok := seen[flag]; ok && !slices.Contains(renamed, flag) {
				t.Errorf("%s: %s and %s both set --%s", kind.Kind, before, field, flag)
			}
			seen[flag] = field
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(head + "logging: {vmodule: [{filePattern: a, verbosity: 2}]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := Controller.decode(data)
		if err != nil {
			return
		}
		for field := range values {
			if Controller.Fields[field] == "" {
				t.Errorf("unknown field %q", field)
			}
		}
	})
}
