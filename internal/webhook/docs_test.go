package webhook

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// TestMetricsPage holds that the page has exactly the webhook's own metrics, with
// their types.
func TestMetricsPage(t *testing.T) {
	if _, err := newHandler(&Validator{}, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	families, err := ctrlmetrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]string{}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "controller_runtime_webhook_") || strings.HasPrefix(name, "certwatcher_") {
			served[name] = strings.ToLower(f.GetType().String())
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Webhook\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(section, -1) {
		documented[row[1]] = row[2]
	}
	// A histogram without a request has no series yet.
	if !slices.Contains([]string{"", "histogram"}, served["controller_runtime_webhook_latency_seconds"]) {
		t.Errorf("the latency is a %s", served["controller_runtime_webhook_latency_seconds"])
	}
	served["controller_runtime_webhook_latency_seconds"] = "histogram"
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("docs/metrics.md differs from the code (-code +page):\n%s", diff)
	}
}
