package admission

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// recorder takes the warnings of an API server.
type recorder []string

func (r *recorder) AddWarning(_, text string) { *r = append(*r, text) }

// TestAdvice holds that names which are no DNS names are accepted with a warning,
// as cert-manager accepts them, and that all others are accepted without one.
func TestAdvice(t *testing.T) {
	const file = "certificates-advice.yaml"
	plugin := evaluator(t, map[string]string{file: Manifests()[file]})
	for name, want := range validationtest.Advice() {
		bad := `spec.dnsNames[1]: Invalid value: "` + name + `": ` + validationtest.NoDNSName
		object := `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {}, spec: {secretName: a, issuerRef: {name: a}, dnsNames: [a.example, "` + name + `"]}}`
		var got recorder
		ctx := warning.WithWarningRecorder(context.Background(), &got)
		interfaces := admission.NewObjectInterfacesFromScheme(runtime.NewScheme())
		if err := plugin.Validate(ctx, attributesOf(t, "", object, ""), interfaces); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
		text := ""
		if len(got) > 0 {
			_, text, _ = strings.Cut(got[0], bad)
			if text == "" {
				text = got[0]
			}
		}
		if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}
