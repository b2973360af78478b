package chart

import (
	"slices"
	"strings"
	"testing"
)

// TestNames holds the names for releases with other names (they and the selectors cannot
// change in an upgrade from cert-manager's chart), and the selectors.
func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 52) + "-cert-manager"
	tests := map[string]struct {
		release, values string
		// controller, webhook and others are names of objects: of the controller, of the
		// webhook, and how the names of the cainjector and of the Job begin.
		controller, webhook, others string
		// label is app.kubernetes.io/name of the controller.
		label string
	}{
		"the release is cert-manager":       {"cert-manager", "", "cert-manager", "cert-manager-webhook", "cert-manager", "cert-manager"},
		"the release contains cert-manager": {"wix-cert-manager", "", "wix-cert-manager", "wix-cert-manager-webhook", "wix-cert-manager", "cert-manager"},
		"any other release":                 {"shop", "", "shop-cert-manager", "shop-cert-manager-webhook", "shop-cert-manager", "cert-manager"},
		"both names are overridden":         {"x", "{fullnameOverride: cm, nameOverride: tls}", "cm", "cm-webhook", "cm", "tls"},
		"the name is overridden":            {"x", "nameOverride: tls", "x-tls", "x-tls-webhook", "x-tls", "tls"},
		"the release contains that name":    {"mytls", "nameOverride: tls", "mytls", "mytls-webhook", "mytls", "tls"},
		"the release is a number":           {"1", "", "1-cert-manager", "1-cert-manager-webhook", "1-cert-manager", "cert-manager"},
		// At most 63 bytes, without a dash at the end.
		"a long name": {
			"r", "fullnameOverride: " + long, long[:63], strings.Repeat("a", 52) + "-ce-webhook", strings.Repeat("a", 52), "cert-manager",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := rendering{values: test.values, release: test.release}.render(t)
			for component, id := range map[string]string{
				"controller": "Deployment/" + test.controller, "webhook": "Deployment/" + test.webhook,
				"cainjector": "Deployment/" + test.others + "-cainjector", "startupapicheck": "Job/" + test.others + "-startupapicheck",
			} {
				label := component
				if component == "controller" {
					label = test.label
				}
				selector := `{app.kubernetes.io/name: ` + label + `, app.kubernetes.io/instance: "` + test.release + `", app.kubernetes.io/component: ` + component + `}`
				object := strings.SplitN(id, "/", 2)[1]
				if component != "startupapicheck" {
					equal(t, id, selector, all.get(t, id, "spec.selector.matchLabels"))
					equal(t, "selector of the Service "+object, selector, all.get(t, "Service/"+object, "spec.selector"))
				}
				equal(t, "app of "+id, label, all.get(t, id, "metadata.labels.app"))
				equal(t, "account of "+id, object, all.get(t, id, inPod+"serviceAccountName"))
				equal(t, "account "+object, object, all.get(t, "ServiceAccount/"+object, "metadata.name"))
			}
			ids := []string{
				"MutatingWebhookConfiguration/" + test.webhook, "ValidatingWebhookConfiguration/" + test.webhook,
				"Role/" + test.webhook + ":dynamic-serving", "ClusterRole/" + test.webhook + ":subjectaccessreviews",
				"Role/" + test.controller + ":leaderelection", "Role/" + test.others + "-cainjector:leaderelection",
				"ClusterRole/" + test.others + "-cainjector", "Role/" + test.others + "-startupapicheck:create-cert",
				"ClusterRole/" + test.controller + "-controller-approve:cert-manager-io",
			}
			for _, role := range []string{"view", "edit", "cluster-view", "controller-issuers", "controller-clusterissuers", "controller-certificates", "controller-orders", "controller-challenges", "controller-ingress-shim", "controller-certificatesigningrequests"} {
				ids = append(ids, "ClusterRole/"+test.controller+"-"+role)
			}
			for _, id := range ids {
				if all[id] == nil {
					t.Errorf("there is no %s, but %v", id, all.ids())
				}
			}
			equal(t, "annotation", "cert-manager/"+test.webhook+"-ca", all.get(t, "MutatingWebhookConfiguration/"+test.webhook, "metadata.annotations[cert-manager.io/inject-ca-from-secret]"))
			args := all.get(t, "Deployment/"+test.webhook, inController+"args").([]any)
			if !slices.Contains(args, any("--dynamic-serving-ca-secret-name="+test.webhook+"-ca")) {
				t.Errorf("the webhook has the arguments %v", args)
			}
		})
	}
}
