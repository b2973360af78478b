package shim

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"
)

func cut(annotation string) (key, value string, found bool) { return strings.Cut(annotation, "=") }

// namesOf are the names and addresses of the Certificates of an object.
func namesOf(t *testing.T, o Object, s Settings) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, c := range made(t, o, s) {
		if c.Name != c.Spec.SecretName || c.Namespace != o.Namespace {
			t.Errorf("Certificate %s/%s has the Secret %s", c.Namespace, c.Name, c.Spec.SecretName)
		}
		found[c.Name] = strings.Join(append(c.Spec.DNSNames, c.Spec.IPAddresses...), " ")
	}
	return found
}

// TestIngressEntries has the rows of the TLS entries of an Ingress.
func TestIngressEntries(t *testing.T) {
	type names = map[string]string
	for _, test := range []struct {
		name    string
		entries []string
		want    names
		warned  []string
	}{
		{"none", nil, nil, nil},
		{"several", []string{"a: x y", "b: z"}, names{"a": "x y", "b": "z"}, nil},
		{"a name twice, and addresses", []string{"a: x 192.0.2.1 x y 2001:db8::1"}, names{"a": "x y 192.0.2.1 2001:db8::1"}, nil},
		{"no hosts", []string{"a:", "b: z"}, names{"b": "z"}, []string{"BadConfig: Skipped a TLS block: spec.tls[0].hosts: Required value"}},
		{"no Secret", []string{"b: z", ": x"}, names{"b": "z"}, []string{"BadConfig: Skipped a TLS block: spec.tls[1].secretName: Required value"}},
		{"neither", []string{":"}, nil, []string{"BadConfig: Skipped a TLS block: [spec.tls[0].hosts: Required value, spec.tls[0].secretName: Required value]"}},
		{
			"a Secret twice",
			[]string{"x: a", "x: b", "y: c"},
			nil,
			[]string{`BadConfig: spec.tls[0].secretName: Invalid value: "x": this secret name must only appear in a single TLS entry but is also used in spec.tls[1].secretName`},
		},
		{
			"no Secret twice",
			[]string{"y: c", ": a", ": b"},
			nil,
			[]string{`BadConfig: spec.tls[1].secretName: Invalid value: "": this secret name must only appear in a single TLS entry but is also used in spec.tls[2].secretName`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := ingress()
			i.Spec.TLS = nil
			for _, text := range test.entries {
				name, hosts, _ := strings.Cut(text, ":")
				i.Spec.TLS = append(i.Spec.TLS, entry(name, strings.Fields(hosts)...))
			}
			check(t, "Certificates", namesOf(t, OfIngress(i), options()), test.want)
			check(t, "warnings", warned(OfIngress(i), options()), test.warned)
		})
	}
}

// TestListeners has the rows of a listener.
func TestListeners(t *testing.T) {
	const path = "BadConfig: Skipped a listener block: spec.listeners[0]"
	for _, test := range []struct {
		name   string
		change func(*gwapi.Listener)
		made   bool
		warned string
	}{
		{"HTTPS", func(*gwapi.Listener) {}, true, ""},
		{"another port", func(l *gwapi.Listener) { l.Port = 8443 }, true, ""},
		{"TLS", func(l *gwapi.Listener) { l.Protocol = gwapi.TLSProtocolType }, true, ""},
		{"another protocol that is listed", func(l *gwapi.Listener) { l.Protocol = "DTLS" }, true, ""},
		{"its case counts", func(l *gwapi.Listener) { l.Protocol = "dtls" }, false, ""},
		{"HTTP", func(l *gwapi.Listener) { l.Protocol, l.TLS = gwapi.HTTPProtocolType, nil }, false, ""},
		{"HTTP with a Secret", func(l *gwapi.Listener) { l.Protocol = gwapi.HTTPProtocolType }, false, ""},
		{"Passthrough", func(l *gwapi.Listener) { l.TLS = &gwapi.ListenerTLSConfig{Mode: ptr.To(gwapi.TLSModePassthrough)} }, false, ""},
		{"left out", func(l *gwapi.Listener) { l.Name, l.Hostname = "left", nil }, false, ""},
		{"no hostname", func(l *gwapi.Listener) { l.Hostname = nil }, false, path + ".hostname: Required value: the hostname cannot be empty"},
		{"empty hostname", func(l *gwapi.Listener) { l.Hostname = ptr.To(gwapi.Hostname("")) }, false, path + ".hostname: Required value: the hostname cannot be empty"},
		{"no TLS", func(l *gwapi.Listener) { l.TLS = nil }, false, path + ".tls: Required value: the TLS block cannot be empty"},
		{"no Secret", func(l *gwapi.Listener) { l.TLS.CertificateRefs = nil }, false, path + ".tls.certificateRef: Required value: listener has no certificateRefs"},
		{"group core", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Group = ptr.To(gwapi.Group("core")) }, true, ""},
		{"another group", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Group = ptr.To(gwapi.Group("x")) }, false, path + `.tls.certificateRef[0].group: Unsupported value: "x": supported values: "core", ""`},
		{"kind Secret", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Kind = ptr.To(gwapi.Kind("Secret")) }, true, ""},
		{"another kind", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Kind = ptr.To(gwapi.Kind("x")) }, false, path + `.tls.certificateRef[0].kind: Unsupported value: "x": supported values: "Secret", ""`},
		{"its own namespace", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Namespace = ptr.To(gwapi.Namespace("lab")) }, true, ""},
		{"another namespace", func(l *gwapi.Listener) { l.TLS.CertificateRefs[0].Namespace = ptr.To(gwapi.Namespace("ns")) }, false, path + `.tls.certificateRef[0].namespace: Invalid value: "ns": cross-namespace secret references are not allowed in listeners`},
		{"no mode", func(l *gwapi.Listener) { l.TLS.Mode = nil }, false, path + ".tls.mode: Required value: the mode field is required"},
		{"another mode", func(l *gwapi.Listener) { l.TLS.Mode = ptr.To(gwapi.TLSModeType("x")) }, false, path + `.tls.mode: Unsupported value: "x": supported values: "Terminate"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := listener("a", "a.example.test", "a-tls")
			test.change(&changed)
			g := gateway(changed, listener("b", "b.example.test", "b-tls"))
			g.Annotations["cert-manager.io/ignore-tls-listeners"] = "other , left"
			s := options()
			s.ExtraProtocols = []string{"DTLS"}
			want, warnings := map[string]string{"b-tls": "b.example.test"}, []string(nil)
			if test.made {
				want["a-tls"] = "a.example.test"
			}
			if test.warned != "" {
				warnings = []string{test.warned}
			}
			check(t, "Certificates", namesOf(t, OfGateway(g), s), want)
			check(t, "warnings", warned(OfGateway(g), s), warnings)
		})
	}
}

// TestSharedSecret: listeners with one Secret are put together, in their order.
func TestSharedSecret(t *testing.T) {
	g := gateway(
		listener("a", "*.example.test", "one", "two"), listener("b", "app.example.test", "one"),
		listener("c", "example.test", "two"), listener("d", "app.example.test", "one"),
	)
	check(t, "Certificates", namesOf(t, OfGateway(g), options()), map[string]string{
		"one": "*.example.test app.example.test", "two": "*.example.test example.test",
	})
}

// TestOmitCovered: with the option, a name that a wildcard covers is left out.
func TestOmitCovered(t *testing.T) {
	s := options()
	s.OmitCovered = true
	g := gateway()
	for i, host := range []string{"*.example.test", "app.example.test", "example.test", "a.b.example.test", "*.b.example.test", "App2.Example.test", "cn.example.test"} {
		g.Spec.Listeners = append(g.Spec.Listeners, listener(fmt.Sprint(i), host, "one"))
	}
	g.Spec.Listeners = append(g.Spec.Listeners, listener("x", "app.example.test", "two"))
	g.Annotations["cert-manager.io/common-name"] = "cn.example.test"
	check(t, "Certificates", namesOf(t, OfGateway(g), s), map[string]string{
		"one": "*.example.test example.test *.b.example.test cn.example.test", "two": "app.example.test",
	})
}
