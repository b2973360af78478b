package operator

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"

	"github.com/everleaf/everleaf/internal/plan"
)

// cert-manager's controller has these flags, with these defaults, except for the
// back-off: not set, it is none of cert-manager's.
var upstream = map[string]string{
	"cluster-resource-namespace":                   "kube-system",
	"namespace":                                    "",
	"controllers":                                  "[*]",
	"leader-elect":                                 "true",
	"leader-election-namespace":                    "kube-system",
	"leader-election-lease-duration":               "1m0s",
	"leader-election-renew-deadline":               "40s",
	"leader-election-retry-period":                 "15s",
	"dns01-recursive-nameservers":                  "[]",
	"dns01-recursive-nameservers-only":             "false",
	"dns01-check-retry-period":                     "10s",
	"acme-dns-cache-floor":                         "0s",
	"enable-certificate-owner-ref":                 "false",
	"copied-annotation-prefixes":                   "[*,-kubectl.kubernetes.io/,-fluxcd.io/,-argocd.argoproj.io/]",
	"concurrent-workers":                           "5",
	"max-concurrent-challenges":                    "60",
	"metrics-listen-address":                       "0.0.0.0:9402",
	"enable-profiling":                             "false",
	"profiler-address":                             "localhost:6060",
	"internal-healthz-listen-address":              "0.0.0.0:9403",
	"max-certificate-size":                         "36500",
	"max-private-key-size":                         "13000",
	"max-certificate-chain-length":                 "95000",
	"max-certificate-bundle-size":                  "330000",
	"certificate-request-minimum-backoff-duration": "0s",
	"certificate-request-maximum-backoff-duration": "0s",
	"kube-api-qps":                                 "20",
	"kube-api-burst":                               "50",
	"feature-gates":                                "",
	"internal-healthz-leader-election-timeout":     "20s",
	"metrics-tls-cert-file":                        "",
	"metrics-tls-private-key-file":                 "",
	"metrics-tls-cipher-suites":                    "[]",
	"metrics-tls-min-version":                      "",
	"metrics-dynamic-serving-ca-secret-namespace":  "",
	"metrics-dynamic-serving-ca-secret-name":       "",
	"metrics-dynamic-serving-dns-names":            "[]",
	"metrics-dynamic-serving-leaf-duration":        "168h0m0s",
	"acme-http01-solver-image":                     "",
	"acme-http01-solver-resource-request-cpu":      "10m",
	"acme-http01-solver-resource-request-memory":   "64Mi",
	"acme-http01-solver-resource-limits-cpu":       "100m",
	"acme-http01-solver-resource-limits-memory":    "64Mi",
	"acme-http01-solver-run-as-non-root":           "true",
	"acme-http01-solver-nameservers":               "[]",
	"acme-http01-solver-extra-labels":              "[]",
	"acme-http01-solver-runtime-class-name":        "",
	"auto-certificate-annotations":                 "[kubernetes.io/tls-acme]",
	"extra-certificate-annotations":                "[]",
	"default-issuer-name":                          "",
	"default-issuer-kind":                          "Issuer",
	"default-issuer-group":                         "cert-manager.io",
	"enable-gateway-api":                           "false",
	"enable-gateway-api-listenerset":               "false",
	"gateway-api-extra-protocols":                  "[]",
	"issuer-ambient-credentials":                   "false",
	"cluster-issuer-ambient-credentials":           "true",
}

// Flags that cert-manager does not have.
var added = map[string]string{
	"default-issuer-by-annotation":         "false",
	"events":                               "brief",
	"acme-http01-solver-mode":              "auto",
	"acme-http01-responder-listen-address": "0.0.0.0:8089",
	"acme-http01-responder-service":        "",
	"acme-http01-responder-addresses":      "[]",
	"omit-names-covered-by-wildcards":      "false",
	"enable-httproute-shim":                "false",
	"pod-certificate-trust-domain":         "cluster.local",
}

func flagSet(o *Options) *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.AddFlags(fs)
	return fs
}

func TestFlagsAreUpstreams(t *testing.T) {
	o := Defaults()
	got := map[string]string{}
	flagSet(&o).VisitAll(func(f *pflag.Flag) { got[f.Name] = f.DefValue })
	want := map[string]string{}
	for _, m := range []map[string]string{upstream, added} {
		for name, value := range m {
			want[name] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestComplete(t *testing.T) {
	const label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	for _, test := range []struct {
		name, args string
		want       []string
	}{
		{"defaults", "", nil},
		{"all events", "--events=all", nil},
		{"odd events", "--events=some", []string{`--events: must be brief or all, not "some"`}},
		{"no workers", "--concurrent-workers=0", []string{"--concurrent-workers: must be greater than 0, not 0"}},
		{"no challenges", "--max-concurrent-challenges=0", []string{"--max-concurrent-challenges: must be greater than 0, not 0"}},
		{"negative floor", "--acme-dns-cache-floor=-1s", []string{"--acme-dns-cache-floor: must be between 0s and 1h0m0s, not -1s"}},
		{"no retry", "--dns01-check-retry-period=0s", []string{"--dns01-check-retry-period: must be greater than 0, not 0s"}},
		{"back-off", "--certificate-request-maximum-backoff-duration=59m", []string{"--certificate-request-maximum-backoff-duration: is 59m0s, and must not be less than --certificate-request-minimum-backoff-duration, which is 1h0m0s"}},
		{"negative back-off", "--certificate-request-minimum-backoff-duration=-1h", []string{"--certificate-request-minimum-backoff-duration: must not be negative, but is -1h0m0s"}},
		{"long floor", "--acme-dns-cache-floor=2h", []string{"--acme-dns-cache-floor: must be between 0s and 1h0m0s, not 2h0m0s"}},
		{"no address", "--metrics-listen-address=", []string{"--metrics-listen-address: must be host:port, or 0 for none"}},
		{"no namespaces", "--cluster-resource-namespace= --leader-election-namespace=", []string{
			`--cluster-resource-namespace: "" is not the name of a namespace: ` + label, `--leader-election-namespace: "" is not the name of a namespace: ` + label,
		}},
		{"no election", "--leader-elect=false --leader-election-namespace= --leader-election-lease-duration=0s", nil},
		{"odd namespace", "--namespace=Foo", []string{`--namespace: "Foo" is not the name of a namespace: ` + label}},
		{"limits", "--max-certificate-size=-5 --max-private-key-size=0", []string{"--max-certificate-size: must be greater than 0, not -5", "--max-private-key-size: must be greater than 0, not 0"}},
		{"odd quantity", "--acme-http01-solver-resource-limits-cpu=abc", []string{`--acme-http01-solver-resource-limits-cpu: "abc" is not a quantity such as 100m or 64Mi`}},
		{"no timeout", "--internal-healthz-leader-election-timeout=-1s", []string{"--internal-healthz-leader-election-timeout: must be greater than 0, not -1s"}},
		{"odd limit of requests", "--kube-api-qps=NaN", []string{"--kube-api-qps: must be -1 (no limit) or more, not NaN"}},
		{"negative lease", "--leader-election-lease-duration=-1s --leader-election-retry-period=0s", []string{"--leader-election-lease-duration: must be greater than 0, not -1s", "--leader-election-retry-period: must be greater than 0, not 0s"}},
		{"late renewal", "--leader-election-renew-deadline=16s", []string{"--leader-election-renew-deadline: is 16s, and must be greater than 1.2 times --leader-election-retry-period, which is 15s"}},
		{"resolvers", "--dns01-recursive-nameservers=9.9.9.9:53,[2620:fe::9]:53,tcp://9.9.9.9,tls://dns.example,https://dns.example/dns-query", nil},
		{"resolver that speaks JSON", "--dns01-recursive-nameservers=https://dns.google/resolve", []string{`--dns01-recursive-nameservers: name server "https://dns.google/resolve" speaks JSON, use https://dns.google/dns-query`}},
		{"resolver without a port", "--dns01-recursive-nameservers=9.9.9.9", []string{`--dns01-recursive-nameservers: name server "9.9.9.9" is not of the form host:port: write 9.9.9.9:53`}},
		{"no limit of requests", "--kube-api-qps=-1 --kube-api-burst=-1", nil},
		{"requests", "--kube-api-qps=-2 --kube-api-burst=-3", []string{"--kube-api-qps: must be -1 (no limit) or more, not -2", "--kube-api-burst: must be -1 or more, not -3"}},
		{"burst below", "--kube-api-qps=60", []string{"--kube-api-burst: is 50, and must not be less than --kube-api-qps, which is 60"}},
		{"metrics with files", "--metrics-tls-cert-file=a --metrics-tls-private-key-file=b --metrics-tls-min-version=VersionTLS13 --metrics-tls-cipher-suites=TLS_AES_128_GCM_SHA256", nil},
		{"metrics with a CA", "--metrics-dynamic-serving-ca-secret-namespace=a --metrics-dynamic-serving-ca-secret-name=b --metrics-dynamic-serving-dns-names=c", nil},
		{"metrics with both", "--metrics-tls-cert-file=a --metrics-tls-private-key-file=b --metrics-dynamic-serving-ca-secret-namespace=a --metrics-dynamic-serving-ca-secret-name=b --metrics-dynamic-serving-dns-names=c", []string{"--metrics-tls-cert-file: cannot specify both filesystem based and dynamic TLS configuration (--metrics-dynamic-serving-*)"}},
		{"no key", "--metrics-tls-cert-file=a", []string{"--metrics-tls-private-key-file: must be specified when using filesystem based TLS config"}},
		{"no certificate", "--metrics-tls-private-key-file=a", []string{"--metrics-tls-cert-file: must be specified when using filesystem based TLS config"}},
		{"no names", "--metrics-dynamic-serving-ca-secret-name=b", []string{"--metrics-dynamic-serving-ca-secret-namespace: must be specified when using dynamic TLS config", "--metrics-dynamic-serving-dns-names: must be specified when using dynamic TLS config"}},
		{"no Secret", "--metrics-dynamic-serving-ca-secret-namespace=a --metrics-dynamic-serving-dns-names=c --metrics-dynamic-serving-leaf-duration=1m", []string{"--metrics-dynamic-serving-ca-secret-name: must be specified when using dynamic TLS config", "--metrics-dynamic-serving-leaf-duration: must be at least 1h"}},
		{"odd TLS", "--metrics-tls-min-version=TLS13", []string{`--metrics-tls-min-version: "TLS13" is none of VersionTLS10, VersionTLS11, VersionTLS12, VersionTLS13`}},
		{"odd cipher", "--metrics-tls-cipher-suites=AES", []string{"--metrics-tls-cipher-suites: Cipher suite AES not supported or doesn't exist; known are " + strings.Join(cliflag.TLSCipherPossibleValues(), ", ")}},
		{"HTTP-01 resolvers", "--acme-http01-solver-nameservers=9.9.9.9:53,dns.example:53", []string{`--acme-http01-solver-nameservers: "dns.example:53" must be in the format <ip address>:<port>`}},
		{"no kind", "--default-issuer-kind=", []string{"--default-issuer-kind: must not be empty"}},
		{"lease", "--leader-election-lease-duration=40s", []string{"--leader-election-lease-duration: is 40s, and must be greater than --leader-election-renew-deadline, which is 40s"}},
		{"lease with the least margin", "--leader-election-lease-duration=40001ms", nil},
		{"client-go's lease", "--leader-election-lease-duration=15s --leader-election-renew-deadline=10s --leader-election-retry-period=2s", nil},
		{"lease, not used", "--leader-elect=false --leader-election-lease-duration=40s", nil},
		{"sizes", "--max-certificate-bundle-size=50000", []string{"--max-certificate-chain-length: is 95000, and must not be larger than --max-certificate-bundle-size, which is 50000"}},
		{"all that is wrong", "--concurrent-workers=0 --events=none", []string{`--events: must be brief or all, not "none"`, "--concurrent-workers: must be greater than 0, not 0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Defaults()
			if err := flagSet(&o).Parse(strings.Fields(test.args)); err != nil {
				t.Fatal(err)
			}
			var got []string
			if err := o.Complete(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if o.AllEvents != strings.Contains(test.args, "--events=all") {
				t.Errorf("all events: %t", o.AllEvents)
			}
		})
	}
}

// TestBackoff has the back-off that a user has chosen: a duration of 0 is not set, as in
// cert-manager, and without any what has failed decides.
func TestBackoff(t *testing.T) {
	for args, want := range map[string]plan.Backoff{
		"": {},
		"--certificate-request-minimum-backoff-duration=0":                                                      {},
		"--certificate-request-minimum-backoff-duration=1h":                                                     plan.DefaultIssuance,
		"--certificate-request-minimum-backoff-duration=30s":                                                    {Min: 30 * time.Second, Max: 32 * time.Hour},
		"--certificate-request-maximum-backoff-duration=2h":                                                     {Min: time.Hour, Max: 2 * time.Hour},
		"--certificate-request-minimum-backoff-duration=0 --certificate-request-maximum-backoff-duration=32h":   plan.DefaultIssuance,
		"--certificate-request-minimum-backoff-duration=30s --certificate-request-maximum-backoff-duration=30s": {Min: 30 * time.Second, Max: 30 * time.Second},
	} {
		o := Defaults()
		if err := flagSet(&o).Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if err := o.Complete(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, o.Backoff); diff != "" {
			t.Errorf("%s: -want +got:\n%s", args, diff)
		}
	}
}

func TestCheckListeners(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := Defaults()
	o.MetricsListenAddress, o.HealthzListenAddress, o.Profiles.Address = "0", "0", taken.Addr().String()
	if err := o.Listeners().Try(); err != nil {
		t.Errorf("an address that is not used: %v", err)
	}
	o.Profiles.Enabled = true
	if err := o.Listeners().Try(); err == nil || !strings.HasPrefix(err.Error(), "--profiler-address: cannot listen on ") {
		t.Errorf("a taken address: %v", err)
	}
}

func TestIneffective(t *testing.T) {
	for _, test := range []struct {
		name, args string
		want       []string
	}{
		{"defaults", "", nil},
		{"defaults, spelt out", "--enable-gateway-api=false --feature-gates=OtherNames=true", nil},
		{"flags that work", "--concurrent-workers=7 --kube-api-qps=30 --acme-http01-solver-image=reg.example/solver", nil},
		{"Gateway API", "--enable-gateway-api --enable-gateway-api-listenerset --enable-httproute-shim --feature-gates=ListenerSets=true", nil},
		{
			"parts of the Gateway API", "--enable-gateway-api-listenerset --enable-httproute-shim",
			[]string{
				"--enable-gateway-api-listenerset=true has no effect: --enable-gateway-api is not set",
				"--enable-httproute-shim=true has no effect: --enable-gateway-api is not set",
			},
		},
		{
			"Gateway API without its gates", "--enable-gateway-api --enable-gateway-api-listenerset --feature-gates=ExperimentalGatewayAPISupport=false",
			[]string{
				"--enable-gateway-api-listenerset=true has no effect: the feature gate ExperimentalGatewayAPISupport is off",
				"--enable-gateway-api=true has no effect: the feature gate ExperimentalGatewayAPISupport is off",
			},
		},
		{
			"ListenerSets without their gate", "--enable-gateway-api --enable-gateway-api-listenerset",
			[]string{"--enable-gateway-api-listenerset=true has no effect: the feature gate ListenerSets is off"},
		},
		{
			"feature gates", "--feature-gates=ACMEUseARI=false,ServerSideApply=true,NameConstraints=false",
			[]string{
				"--feature-gates=NameConstraints=false has no effect: this version behaves as with NameConstraints=true",
				"--feature-gates=ServerSideApply=true has no effect: this version behaves as with ServerSideApply=false",
			},
		},
	} {
		o := Defaults()
		if err := flagSet(&o).Parse(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, o.ineffective()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
	o := Defaults()
	if got := o.ineffective(); got != nil {
		t.Errorf("without flags: %q", got)
	}
}

func TestUnknownFeatureGate(t *testing.T) {
	o := Defaults()
	err := flagSet(&o).Parse([]string{"--feature-gates=NoSuchGate=true"})
	if err == nil || !strings.Contains(err.Error(), "unrecognized feature gate: NoSuchGate") {
		t.Errorf("got %v", err)
	}
}
