package operator

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/everleaf/everleaf/internal/responder"
)

// http01 returns the options that follow from flags.
func http01Flags(t *testing.T, args string) (HTTP01Options, error) {
	t.Helper()
	o := Defaults()
	o.HTTP01.Release = "v1.2.3"
	if err := flagSet(&o).Parse(strings.Fields(args)); err != nil {
		t.Fatal(err)
	}
	// What was completed can be completed again: a command checks, and Run does.
	if err := o.Complete(); err != nil {
		return o.HTTP01, err
	}
	return o.HTTP01, o.Complete()
}

func TestHTTP01Options(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	defaults := HTTP01Options{
		Mode: HTTP01Auto, ListenAddress: "0.0.0.0:8089", Grace: responderGrace, Image: "docker.io/everleaf/everleaf:v1.2.3", Release: "v1.2.3",
		Requests: list("10m", "64Mi"), Limits: list("100m", "64Mi"), RunAsNonRoot: true,
	}
	for _, tt := range []struct {
		args     string
		change   func(*HTTP01Options)
		responds bool
	}{
		{"", func(*HTTP01Options) {}, false},
		{"--acme-http01-responder-service=cert-manager/cert-manager-acmesolver", func(o *HTTP01Options) {
			o.Service = types.NamespacedName{Namespace: "cert-manager", Name: "cert-manager-acmesolver"}
		}, true},
		{"--acme-http01-responder-service=a/b --acme-http01-solver-mode=pod", func(o *HTTP01Options) {
			o.Service, o.Mode = types.NamespacedName{Namespace: "a", Name: "b"}, HTTP01Pod
		}, false},
		{"--acme-http01-responder-addresses=10.0.0.5,2001:db8::5 --acme-http01-responder-listen-address=0 --acme-http01-solver-mode=shared", func(o *HTTP01Options) {
			o.Addresses = responder.Fixed{netip.MustParseAddrPort("10.0.0.5:8089"), netip.MustParseAddrPort("[2001:db8::5]:8089")}
			o.Mode, o.ListenAddress = HTTP01Shared, "0"
		}, false},
		{"--acme-http01-responder-addresses=10.0.0.5:9000 --acme-http01-responder-addresses=[2001:db8::5]:9000", func(o *HTTP01Options) {
			o.Addresses = responder.Fixed{netip.MustParseAddrPort("10.0.0.5:9000"), netip.MustParseAddrPort("[2001:db8::5]:9000")}
		}, true},
		{
			"--acme-http01-solver-image=reg.example/solver:v1 --acme-http01-solver-resource-request-cpu=20m --acme-http01-solver-resource-limits-memory=128Mi --acme-http01-solver-run-as-non-root=false " +
				"--acme-http01-solver-nameservers=9.9.9.9:53,[2620:fe::9]:53 --acme-http01-solver-extra-labels=team=a,example.com/b= --acme-http01-solver-runtime-class-name=gvisor",
			func(o *HTTP01Options) {
				o.Image, o.Requests, o.Limits, o.RunAsNonRoot = "reg.example/solver:v1", list("20m", "64Mi"), list("100m", "128Mi"), false
				o.Nameservers = []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53"), netip.MustParseAddrPort("[2620:fe::9]:53")}
				o.ExtraLabels, o.RuntimeClassName = map[string]string{"team": "a", "example.com/b": ""}, "gvisor"
			}, false,
		},
	} {
		got, err := http01Flags(t, tt.args)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		want := defaults
		tt.change(&want)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(HTTP01Options{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.args, diff)
		}
		o := Options{HTTP01: got}
		if got.Responds() != tt.responds || (o.Listeners()[flagResponderListen] != "") != tt.responds {
			t.Errorf("%s: responds %t, listens at %q", tt.args, got.Responds(), o.Listeners()[flagResponderListen])
		}
	}
}

func TestHTTP01OptionsThatAreWrong(t *testing.T) {
	for args, want := range map[string][]string{
		"--acme-http01-solver-mode=Pod":    {`--acme-http01-solver-mode: must be shared, pod or auto, not "Pod"`},
		"--acme-http01-solver-mode=shared": {"--acme-http01-solver-mode: shared needs --acme-http01-responder-service or --acme-http01-responder-addresses"},
		"--acme-http01-responder-service=acmesolver": {
			`--acme-http01-responder-service: "acmesolver" is not the namespace/name of a Service`,
		},
		"--acme-http01-responder-service=a/b/c": {`--acme-http01-responder-service: "a/b/c" is not the namespace/name of a Service`},
		"--acme-http01-responder-service=a/b --acme-http01-responder-addresses=10.0.0.5": {
			"--acme-http01-responder-addresses: cannot be set together with --acme-http01-responder-service",
		},
		"--acme-http01-responder-addresses=node-1,10.0.0.5:0": {
			`--acme-http01-responder-addresses: "node-1" is not an IP address, with or without a port, such as 10.0.0.5, 10.0.0.5:8089 or [2001:db8::5]:8089`,
			`--acme-http01-responder-addresses: "10.0.0.5:0" is not an IP address, with or without a port, such as 10.0.0.5, 10.0.0.5:8089 or [2001:db8::5]:8089`,
		},
		"--acme-http01-responder-addresses=127.0.0.1,10.0.0.5:9000": {
			"--acme-http01-responder-addresses: 127.0.0.1 cannot be in an EndpointSlice: the API refuses addresses of loopback, link-local and multicast",
			"--acme-http01-responder-addresses: has the ports 8089 and 9000, and must have one: an EndpointSlice has the same port for all",
		},
		"--acme-http01-responder-service=a/b --acme-http01-responder-listen-address=": {
			"--acme-http01-responder-listen-address: must be host:port, or 0 for none",
		},
		"--acme-http01-solver-resource-request-memory=65Mi": {
			"--acme-http01-solver-resource-request-memory: is 65Mi, and must not be greater than --acme-http01-solver-resource-limits-memory, which is 64Mi",
		},
		"--acme-http01-solver-extra-labels=a=b/c": {
			"--acme-http01-solver-extra-labels: a=b/c is not a label: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		},
	} {
		_, err := http01Flags(t, args)
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", args, diff)
		}
	}
}

// Without a release there is no image that could be named.
func TestHTTP01ImageOfNoRelease(t *testing.T) {
	o := Defaults()
	if err := o.Complete(); err != nil || o.HTTP01.Image != "" {
		t.Errorf("image %q, %v", o.HTTP01.Image, err)
	}
}
