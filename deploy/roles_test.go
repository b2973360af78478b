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
	const events = "create patch"
	const solver = "create delete get list update"
	const route = "create delete get list update watch"
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
		"ClusterRole cert-manager-controller-issuers": {
			"issuers": read, "issuers/status": "update", "secrets": "create get list watch", "events": events,
		},
		"ClusterRole cert-manager-controller-clusterissuers": {
			"clusterissuers": read, "clusterissuers/status": "update", "secrets": "create get list watch", "events": events,
		},
		"ClusterRole cert-manager-controller-certificates": {
			"certificates": read, "issuers": read, "clusterissuers": read,
			"certificaterequests": "create delete get list patch watch", "orders": "create delete get list watch",
			"certificates/status": "update", "certificaterequests/status": "update",
			"certificates/finalizers": "update", "certificaterequests/finalizers": "update",
			"secrets": "create delete get list patch update watch", "events": events,
		},
		"ClusterRole cert-manager-controller-orders": {
			"orders": "get list patch watch", "orders/status": "update", "orders/finalizers": "update", "challenges": "create delete get list watch",
			"certificates": read, "certificaterequests": read, "issuers": read, "clusterissuers": read, "secrets": read, "events": events,
		},
		"ClusterRole cert-manager-controller-challenges": {
			"challenges": "get list patch watch", "challenges/status": "update", "orders": read, "certificaterequests": read,
			"issuers": read, "clusterissuers": read, "secrets": read, "events": events, "apiservices": "get",
			"pods": solver, "services": solver, "ingresses": solver, "httproutes": solver, "endpointslices": route, "ingressclasses": "list", "gateways": "get",
			"routes/custom-host": "create", "endpointslices/restricted": "create", "challenges/finalizers": "update",
		},
		"ClusterRole cert-manager-controller-ingress-shim": {
			"ingresses": read, "ingresses/finalizers": "update",
			"gateways": read, "listenersets": read, "httproutes": read,
			"gateways/finalizers": "update", "listenersets/finalizers": "update", "httproutes/finalizers": "update",
			"certificates": "create delete get list patch watch",
			"issuers":      read, "clusterissuers": read, "events": events,
		},
		"ClusterRole cert-manager-controller-certificatesigningrequests": {
			"certificatesigningrequests": "get list update watch", "certificatesigningrequests/status": "update",
			"podcertificaterequests": "list watch", "podcertificaterequests/status": "update",
			"signers issuers.cert-manager.io/* clusterissuers.cert-manager.io/*": "sign", "subjectaccessreviews": "create",
		},
		"Role cert-manager/cert-manager-controller-challenges:records": {
			"secrets everleaf-records-left-behind": "delete get update", "secrets": "create",
		},
		"ClusterRole cert-manager-controller-approve:cert-manager-io": {
			"signers issuers.cert-manager.io/* clusterissuers.cert-manager.io/*": "approve",
		},
		"Role kube-system/cert-manager:leaderelection": {"leases cert-manager-controller": "get patch update", "leases": "create"},
	}
	text, err := Base.ReadFile("base/rbac.yaml")
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

// TestBindingsHaveSubjects holds that the manifests create the roles and the service
// accounts that their bindings name, and the namespaces of these.
func TestBindingsHaveSubjects(t *testing.T) {
	made, needed := map[string]bool{"Namespace /kube-system": true}, map[string]string{}
	for _, file := range []string{"base/namespace.yaml", "base/rbac.yaml"} {
		text, err := Base.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var object rbacv1.RoleBinding
			if err := yaml.Unmarshal(document, &object); err != nil {
				t.Fatal(err)
			}
			id := object.Kind + " " + object.Namespace + "/" + object.Name
			made[id] = true
			if object.Namespace != "" {
				needed["Namespace /"+object.Namespace] = id
			}
			if !strings.HasSuffix(object.Kind, "Binding") {
				continue
			}
			role := object.RoleRef.Kind + " /" + object.RoleRef.Name
			if object.RoleRef.Kind == "Role" {
				role = "Role " + object.Namespace + "/" + object.RoleRef.Name
			}
			needed[role] = id
			for _, s := range object.Subjects {
				needed[s.Kind+" "+s.Namespace+"/"+s.Name] = id
			}
		}
	}
	if len(needed) < 11 {
		t.Errorf("the bindings need only %v", needed)
	}
	for what, by := range needed {
		if !made[what] {
			t.Errorf("%s needs %s, which the manifests do not create", by, what)
		}
	}
}
