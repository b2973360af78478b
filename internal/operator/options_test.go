package operator

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// cert-manager's controller has these flags, with these defaults.
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
	"certificate-request-minimum-backoff-duration": "1h0m0s",
	"certificate-request-maximum-backoff-duration": "32h0m0s",
}

// Flags that cert-manager does not have.
var added = map[string]string{"events": "brief"}

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
	for _, test := range []struct {
		name, args string
		want       []string
	}{
		{"defaults", "", nil},
		{"all events", "--events=all", nil},
		{"odd events", "--events=some", []string{`--events: must be brief or all, not "some"`}},
		{"no workers", "--concurrent-workers=0", []string{"--concurrent-workers: must be at least 1"}},
		{"no challenges", "--max-concurrent-challenges=0", []string{"--max-concurrent-challenges: must be at least 1"}},
		{"no retry", "--dns01-check-retry-period=0s", []string{"--dns01-check-retry-period: must be positive"}},
		{"back-off", "--certificate-request-maximum-backoff-duration=59m", []string{"--certificate-request-maximum-backoff-duration: must not be less than the minimum"}},
		{"no back-off", "--certificate-request-minimum-backoff-duration=0s", nil},
		{"resolvers", "--dns01-recursive-nameservers=9.9.9.9:53,[2620:fe::9]:53,https://dns.example/dns-query", nil},
		{"resolver without a port", "--dns01-recursive-nameservers=9.9.9.9", []string{`--dns01-recursive-nameservers: "9.9.9.9" is not host:port`}},
		{"lease", "--leader-election-lease-duration=40s", []string{"--leader-election-lease-duration: must be greater than --leader-election-renew-deadline, and that greater than --leader-election-retry-period"}},
		{"lease without a margin", "--leader-election-lease-duration=41s", []string{"--leader-election-lease-duration: must be greater than --leader-election-renew-deadline by 2s or more: a leader that loses its lease ends its work in this time"}},
		{"client-go's lease", "--leader-election-lease-duration=15s --leader-election-renew-deadline=10s --leader-election-retry-period=2s", nil},
		{"lease, not used", "--leader-elect=false --leader-election-lease-duration=40s", nil},
		{"sizes", "--max-certificate-bundle-size=50000", []string{"--max-certificate-bundle-size: must not be less than the sizes of a certificate and of a chain"}},
		{"all that is wrong", "--concurrent-workers=0 --events=none", []string{`--events: must be brief or all, not "none"`, "--concurrent-workers: must be at least 1"}},
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

func TestCheckListeners(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := Defaults()
	o.MetricsListenAddress, o.HealthzListenAddress, o.ProfilerAddress = "0", "", taken.Addr().String()
	if err := o.CheckListeners(); err != nil {
		t.Errorf("an address that is not used: %v", err)
	}
	o.EnableProfiling = true
	if err := o.CheckListeners(); err == nil || !strings.HasPrefix(err.Error(), "--profiler-address="+taken.Addr().String()+": ") {
		t.Errorf("a taken address: %v", err)
	}
}
