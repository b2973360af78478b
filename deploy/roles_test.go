package deploy

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestRoles holds what each role allows, as verbs by resource: a right that is too
// many is found by nobody who uses the role.
func TestRoles(t *testing.T) {
	const read = "get list watch"
	const edit = "create delete deletecollection patch update"
	want := map[string]map[string]string{
		"ClusterRole cert-manager-cluster-view": {"clusterissuers": read},
		"ClusterRole cert-manager-view": {
			"certificates": read, "certificaterequests": read, "issuers": read, "challenges": read, "orders": read,
		},
		"ClusterRole cert-manager-edit": {
			"certificates": edit, "certificaterequests": edit, "issuers": edit,
			// docs/certificates.md has people patch it.
			"certificates/status": "patch update",
			// Whoever can create these uses credentials without a right to read them.
			"challenges": "delete deletecollection patch update", "orders": "delete deletecollection",
		},
		"ClusterRole cert-manager-controller": {
			"certificates": read, "issuers": read, "clusterissuers": read,
			"certificaterequests": "create delete get list patch watch",
			"certificates/status": "patch update", "certificaterequests/status": "patch update",
			"issuers/status": "patch update", "clusterissuers/status": "patch update",
			"orders": "create delete get list watch", "challenges": "create delete get list patch watch",
			"orders/status": "patch update", "challenges/status": "patch update",
			"certificates/finalizers": "update", "certificaterequests/finalizers": "update", "orders/finalizers": "update",
			"signers issuers.cert-manager.io/* clusterissuers.cert-manager.io/*": "approve",
			"secrets": "create delete get list patch update watch", "events": "create patch",
		},
		"Role kube-system/cert-manager:leaderelection": {"leases cert-manager-controller": "get patch update", "leases": "create"},
	}
	text, err := Base.ReadFile("rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var role rbacv1.Role
		if err := yaml.Unmarshal(document, &role); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(role.Kind, "Role") {
			continue
		}
		name := role.Name
		if role.Namespace != "" {
			name = role.Namespace + "/" + name
		}
		rules := map[string]string{}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				key := strings.Join(append([]string{resource}, rule.ResourceNames...), " ")
				if rules[key] != "" {
					t.Errorf("%s has two rules for %s", name, key)
				}
				rules[key] = strings.Join(slices.Sorted(slices.Values(rule.Verbs)), " ")
			}
		}
		got[role.Kind+" "+name] = rules
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
