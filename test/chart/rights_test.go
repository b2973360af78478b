package chart

import (
	"slices"
	"strings"
	"testing"
)

// TestRights holds for every way to install that no role has a wildcard, that no right is
// granted that a role without a name would escalate, and that bindings name what there is.
func TestRights(t *testing.T) {
	t.Parallel()
	for _, values := range []string{
		"", "everleaf: {admission: policies}", "everleaf: {watchNamespace: cert-manager}",
		"{disableAutoApproval: true, cainjector: {enabled: false}}", "{fullnameOverride: cm, namespace: elsewhere}",
		"{everleaf: {watchNamespace: cert-manager}, config: {metricsTLSConfig: {dynamic: {secretNamespace: pki, secretName: ca}}}}",
	} {
		t.Run(values, func(t *testing.T) {
			t.Parallel()
			all := rendering{values: values}.render(t)
			bound := map[string]bool{}
			for _, id := range all.ids() {
				switch kind, _, _ := strings.Cut(id, "/"); kind {
				case "Role", "ClusterRole":
					checkRules(t, id, all.get(t, id, "rules").([]any))
				case "RoleBinding", "ClusterRoleBinding":
					role := all.get(t, id, "roleRef.kind").(string) + "/" + all.get(t, id, "roleRef.name").(string)
					bound[role] = true
					if all[role] == nil || all.get(t, role, "metadata.namespace") != all.get(t, id, "metadata.namespace") {
						t.Errorf("%s names %s, which is not there", id, role)
					}
					account := "ServiceAccount/" + all.get(t, id, "subjects.0.name").(string)
					if all[account] == nil || all.get(t, account, "metadata.namespace") != all.get(t, id, "subjects.0.namespace") {
						t.Errorf("%s names %s, which is not there", id, account)
					}
				}
			}
			for _, id := range all.ids() {
				kind, name, _ := strings.Cut(id, "/")
				people := strings.HasSuffix(name, "-view") || strings.HasSuffix(name, "-edit")
				if strings.HasSuffix(kind, "Role") && bound[id] == people {
					t.Errorf("%s is bound: %v", id, bound[id])
				}
			}
		})
	}
}

// checkRules holds what no rule of the chart may be.
func checkRules(t *testing.T, id string, rules []any) {
	t.Helper()
	for _, rule := range rules {
		verbs := at(t, rule, "verbs").([]any)
		resources := at(t, rule, "resources").([]any)
		groups := at(t, rule, "apiGroups").([]any)
		for _, list := range [][]any{verbs, resources, groups} {
			if slices.Contains(list, any("*")) {
				t.Errorf("%s has a wildcard: %v", id, rule)
			}
		}
		for _, verb := range []string{"escalate", "bind", "impersonate", "use"} {
			if slices.Contains(verbs, any(verb)) {
				t.Errorf("%s allows to %s: %v", id, verb, rule)
			}
		}
		// A Challenge names credentials of an issuer: nobody but the controllers makes one.
		people := strings.HasSuffix(id, "-edit")
		acme := slices.Contains(groups, any("acme.cert-manager.io"))
		if people && acme && slices.Contains(verbs, any("create")) {
			t.Errorf("%s allows people to create %v", id, resources)
		}
	}
}
