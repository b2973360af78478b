package admission

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
)

// recorder takes the warnings of an API server.
type recorder []string

func (r *recorder) AddWarning(_, text string) { *r = append(*r, text) }

// TestAdvice holds that names which are no DNS names are accepted with a warning,
// as cert-manager accepts them, and that all others are accepted without one.
func TestAdvice(t *testing.T) {
	const file = "certificates-advice.yaml"
	plugin := evaluator(t, map[string]string{file: Manifests()[file]})
	const bad = `spec.dnsNames[1]: Invalid value: %q: is not a DNS name, and clients will not accept the certificate for it: `
	for name, want := range map[string]string{
		"www.example.com": "", "*.example.com": "", "under_score.example.com": "", "_tls.example.com": "", "host": "", "example.com.": "",
		"xn--bcher-kva.example": "", "Example.COM": "", "1.example.com": "", "4.3.2.1.in-addr.arpa": "",
		strings.Repeat("a", 63) + ".example.com": "",

		"*-my.example.com":        "a wildcard is the whole first label, as in *.example.com",
		"www.*.example.com":       "a wildcard is the whole first label, as in *.example.com",
		"a b.example.com":         "it has letters, digits, hyphens and underscores between dots",
		"-a.example.com":          "it has letters, digits, hyphens and underscores between dots",
		"a..example.com":          "it has letters, digits, hyphens and underscores between dots",
		"":                        "remove it, it is empty",
		"b\u00fccher.example":     "write it in ASCII, as in xn--mller-kva.example.com",
		" www.example.com":        "leave out the space before or after it",
		"www.example.com ":        "leave out the space before or after it",
		"https://app.example.com": "leave out the scheme and what follows the name, or put a URI into uris",
		"app.example.com:8443":    "leave out the port",
		"10.0.0.5":                "put an address into ipAddresses",
		"2001:db8::1":             "put an address into ipAddresses",
		"[2001:db8::1]":           "put an address into ipAddresses",
	} {
		object := `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}, spec: {secretName: a, issuerRef: {name: a}, dnsNames: [a.example, "` + name + `"]}}`
		var got recorder
		ctx := warning.WithWarningRecorder(context.Background(), &got)
		interfaces := admission.NewObjectInterfacesFromScheme(runtime.NewScheme())
		if err := plugin.Validate(ctx, attributesOf(t, "", object, ""), interfaces); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
		text := ""
		if len(got) > 0 {
			_, text, _ = strings.Cut(got[0], strings.ReplaceAll(bad, "%q", `"`+name+`"`))
			if text == "" {
				text = got[0]
			}
		}
		if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}
