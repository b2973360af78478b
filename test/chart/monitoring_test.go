package chart

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// rule is an alert as in a PrometheusRule.
type rule struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      struct{ Summary, Description string }
}

// rules are the alerts of a render.
func rules(t *testing.T, values string) []rule {
	t.Helper()
	all := rendering{values: values}.render(t)
	text, err := yaml.Marshal(all.get(t, "PrometheusRule/cert-manager", "spec.groups.0.rules"))
	if err != nil {
		t.Fatal(err)
	}
	var list []rule
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// dashboard are the expressions of the Grafana dashboard, by the title of their panel.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	all := rendering{values: "everleaf: {dashboards: {enabled: true, namespace: monitoring}}"}.render(t)
	const id = "ConfigMap/cert-manager-dashboards"
	equal(t, "namespace", "monitoring", all.get(t, id, "metadata.namespace"))
	equal(t, "label", `"1"`, all.get(t, id, "metadata.labels.grafana_dashboard"))
	var d struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text := all.get(t, id, "data[everleaf.json]").(string)
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if packed := file(t, chart+"/dashboards/everleaf.json"); packed != text {
		t.Error("the ConfigMap has another text than the file")
	}
	expressions := map[string][]string{}
	seen := map[int]bool{}
	for _, panel := range d.Panels {
		if seen[panel.ID] {
			t.Errorf("two panels have the id %d", panel.ID)
		}
		seen[panel.ID] = true
		for _, target := range panel.Targets {
			expressions[panel.Title] = append(expressions[panel.Title], target.Expr)
		}
	}
	return expressions
}

var (
	metricName = regexp.MustCompile(`\b(?:certmanager|everleaf|go|process|controller_runtime|workqueue|rest_client)_[a-z0-9_]+\b`)
	documented = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\|([^|]*)\\|")
	matcher    = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile("([a-z_]+)(?:=|!)")
)

// TestMetricsExist holds that the alerts and the dashboard use metrics that docs/metrics.md
// has, with labels that they have there.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	page := file(t, root+"/docs/metrics.md")
	known := map[string]string{}
	for _, row := range documented.FindAllStringSubmatch(page, -1) {
		name, kind, labels := row[1], row[2], row[3]
		known[name] = labels
		switch kind {
		case "histogram":
			known[name+"_bucket"] = labels + " `le`"
			fallthrough
		case "summary":
			known[name+"_sum"], known[name+"_count"] = labels, labels
		}
		if kind == "summary" {
			known[name] += " `quantile`"
		}
	}
	if len(known) < 25 {
		t.Fatalf("docs/metrics.md has only the metrics %v", known)
	}
	check := func(where, expression string) {
		names := metricName.FindAllString(expression, -1)
		if len(names) == 0 && !strings.Contains(expression, "up{") {
			t.Errorf("%s: no metric in %s", where, expression)
		}
		for _, name := range names {
			ours := strings.HasPrefix(name, "certmanager_") || strings.HasPrefix(name, "everleaf_")
			if _, ok := known[name]; ours && !ok {
				t.Errorf("%s: docs/metrics.md has no metric %s", where, name)
			}
		}
		for _, selected := range matcher.FindAllStringSubmatch(expression, -1) {
			labels, ours := known[selected[1]]
			for _, label := range labelName.FindAllStringSubmatch(selected[2], -1) {
				if ours && !strings.Contains(labels, "`"+label[1]+"`") {
					t.Errorf("%s: docs/metrics.md has no label %s of %s", where, label[1], selected[1])
				}
			}
		}
	}
	for _, r := range rules(t, "{everleaf: {prometheusRule: {enabled: true}}, prometheus: {servicemonitor: {enabled: true}}}") {
		check(r.Alert, r.Expr)
	}
	panels := dashboard(t)
	if len(panels) < 10 {
		t.Errorf("only %d panels", len(panels))
	}
	for title, expressions := range panels {
		for _, e := range expressions {
			check(title, e)
		}
	}
}

// nextCommand are the commands that alerts name: see internal/cli/explain.go for the first.
var nextCommand = regexp.MustCompile(`Run: (everleaf explain (certificate|issuer|challenge) \{\{ \$labels\.name \}\} -n \{\{ \$labels\.namespace \}\}|everleaf explain clusterissuer \{\{ \$labels\.name \}\}|everleaf explain --all-namespaces|kubectl (describe pods|logs) -n cert-manager -l app\.kubernetes\.io/component=(controller|webhook))`)

// TestAlerts holds that each alert says what happens, how grave it is and what to run
// next, with labels that its expression keeps.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var names []string
	for _, r := range rules(t, "{everleaf: {prometheusRule: {enabled: true, alertLabels: {team: pki, page: true}}}, prometheus: {servicemonitor: {enabled: true}}}") {
		if slices.Contains(names, r.Alert) {
			t.Errorf("%s is there twice", r.Alert)
		}
		names = append(names, r.Alert)
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || r.Labels["team"] != "pki" || r.Labels["page"] != "true" {
			t.Errorf("%s has the labels %v", r.Alert, r.Labels)
		}
		if !nextCommand.MatchString(r.Annotations.Description) {
			t.Errorf("%s does not say what to run: %s", r.Alert, r.Annotations.Description)
		}
		for _, used := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(r.Annotations.Summary+r.Annotations.Description, -1) {
			if !regexp.MustCompile(`by \([a-z_, ]*\b` + used[1] + `\b`).MatchString(r.Expr) {
				t.Errorf("%s names the label %s, which its expression does not keep: %s", r.Alert, used[1], r.Expr)
			}
		}
		if strings.Contains(r.Expr, "@") || strings.Contains(r.Annotations.Description, "@") {
			t.Errorf("%s has a place holder: %+v", r.Alert, r)
		}
	}
	if len(names) < 12 || !slices.Contains(names, "EverleafWebhookDown") {
		t.Errorf("the alerts are %v", names)
	}

	// What the values leave out and add. Without a monitor there is no label job.
	var others []string
	for _, r := range rules(t, "everleaf: {prometheusRule: {enabled: true, disabled: [EverleafErrors], additionalRules: [{alert: Mine, expr: vector(1)}]}}") {
		others = append(others, r.Alert)
	}
	want := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "EverleafErrors" || name == "EverleafWebhookDown" })
	if want = append(want, "Mine"); !slices.Equal(others, want) {
		t.Errorf("the alerts are %v, want %v", others, want)
	}
}
