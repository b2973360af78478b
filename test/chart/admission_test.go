package chart

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/deploy"
	"github.com/everleaf/everleaf/deploy/manifests"
)

const (
	mutating   = "MutatingWebhookConfiguration/cert-manager-webhook"
	validating = "ValidatingWebhookConfiguration/cert-manager-webhook"
	identity   = "MutatingAdmissionPolicy/certificaterequests-identity.cert-manager.io"
	hasV1      = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
	isLive     = "--api-versions=v1/Pod"
)

// TestAdmission holds which way objects are admitted, by value and API server.
func TestAdmission(t *testing.T) {
	t.Parallel()
	const refused = "ERROR: everleaf.admission=policies needs an API server that has admissionregistration.k8s.io/v1 MutatingAdmissionPolicy (Kubernetes 1.36), and this one (v1."
	tests := map[string]struct {
		admission, kube string
		args            []string
		// want is webhook, policies, or the beginning of helm's complaint.
		want string
		// conditions reports whether the configurations leave out the controller.
		conditions bool
	}{
		"webhook on 1.22":                                  {"webhook", "1.22", nil, "webhook", false},
		"webhook on 1.27":                                  {"webhook", "1.27", nil, "webhook", false},
		"webhook on 1.28 of a cloud":                       {"webhook", "v1.28.3-gke.100", nil, "webhook", true},
		"webhook on 1.30":                                  {"webhook", "1.30", nil, "webhook", true},
		"webhook on 1.36":                                  {"webhook", "1.36", nil, "webhook", true},
		"policies on 1.22":                                 {"policies", "1.22", nil, refused + "22)", false},
		"policies on 1.30":                                 {"policies", "1.30", nil, refused + "30)", false},
		"policies on 1.36":                                 {"policies", "1.36", nil, "policies", false},
		"policies on 1.36 of a cloud":                      {"policies", "v1.36.0-eks-1", nil, "policies", false},
		"policies where the API is said to be":             {"policies", "1.30", []string{hasV1}, "policies", false},
		"policies in a cluster that has them":              {"policies", "1.36", []string{isLive, hasV1}, "policies", false},
		"policies in a cluster that has them switched off": {"policies", "1.36", []string{isLive}, refused + "36)", false},
		"auto on 1.22":                                     {"auto", "1.22", nil, "webhook", false},
		"auto on 1.30":                                     {"auto", "1.30", nil, "webhook", true},
		"auto on 1.36":                                     {"auto", "1.36", nil, "policies", false},
		"auto in a cluster that has them switched off":     {"auto", "1.36", []string{isLive}, "webhook", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, complaint := rendering{values: "everleaf: {admission: " + test.admission + "}", kube: test.kube, args: test.args}.try(t)
			switch test.want {
			case "webhook":
				if all[webhook] == nil || all[mutating] == nil || all[validating] == nil || all[identity] != nil {
					t.Fatalf("not the webhook: %s %v", complaint, all.ids())
				}
				for _, id := range []string{mutating, validating} {
					if got := all.get(t, id, "webhooks.0.matchConditions") != nil; got != test.conditions {
						t.Errorf("%s has match conditions: %v, want %v", id, got, test.conditions)
					}
				}
				if got := all.get(t, check, inController+"args"); !cmp.Equal(got, decoded(t, "[check, api, --wait=1m, -v]")) {
					t.Errorf("the job has the arguments %v", got)
				}
			case "policies":
				if complaint != "" {
					t.Fatal(complaint)
				}
				for _, id := range all.ids() {
					if strings.Contains(id, "cert-manager-webhook") {
						t.Errorf("%s is rendered", id)
					}
				}
				equal(t, "arguments of the job", "[check, api, --wait=1m, -v, --admission=policies]", all.get(t, check, inController+"args"))
				if all[cainjector] == nil {
					t.Error("there is no cainjector, which others need too")
				}
			default:
				if !strings.Contains(complaint, test.want) {
					t.Errorf("helm says %q, want %q", complaint, test.want)
				}
			}
		})
	}
}

// TestPolicies holds that the policies are those of package deploy, with labels.
func TestPolicies(t *testing.T) {
	t.Parallel()
	all := rendering{values: "everleaf: {admission: policies}"}.render(t)
	files, err := deploy.Policies.ReadDir("policies")
	if err != nil {
		t.Fatal(err)
	}
	want := objects{}
	for _, file := range files {
		text, err := deploy.Policies.ReadFile("policies/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range manifests.Split(text) {
			object := decoded(t, document).(map[string]any)
			labels := decoded(t, labelsOf("cert-manager", "admission")).(map[string]any)
			labels["app.kubernetes.io/part-of"] = "everleaf"
			object["metadata"].(map[string]any)["labels"] = labels
			want[object["kind"].(string)+"/"+at(t, object, "metadata.name").(string)] = object
		}
	}
	got := objects{}
	for id, object := range all {
		if strings.Contains(id, "AdmissionPolicy") {
			got[id] = object
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-deploy/policies +chart:\n%s", diff)
	}
}
