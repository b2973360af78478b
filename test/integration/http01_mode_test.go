package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/http01"
	"github.com/everleaf/everleaf/test/harness"
)

// asInPod are the objects of a challenge that a pod answers.
func asInPod(host string) []string {
	return []string{"Pod --domain=" + host, "Service NodePort of pods", "Ingress - " + host}
}

// TestHTTP01ResponderGone has no responder ready for long: a pod takes its place, with all
// that it has without a responder.
func TestHTTP01ResponderGone(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	_, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
	present(t, s)
	l.pods.set()
	if err := s.Present(t.Context()); err == nil || err.Error() != `nobody can answer the challenge of "app.example.test": no pod of the shared responder is ready yet` {
		t.Errorf("without a responder: %v", err)
	}
	l.clock.SetTime(l.clock.Now().Add(30 * time.Second))
	present(t, s)
	l.want(t, "without a responder for 30 s", asInPod("app.example.test")...)
	if how, _ := s.(solver.Describer).Describe(); how != "pod, because no pod of the shared responder is ready" {
		t.Errorf("presented by the %s", how)
	}
	// It stays so: a challenge does not move to and fro.
	l.pods.set("10.1.0.7")
	present(t, s)
	l.want(t, "with the responder again", asInPod("app.example.test")...)
	cleanUp(t, s)
	l.want(t, "cleaned up")
}

// TestHTTP01SlicesForbidden has a policy that admits no EndpointSlice, as some clusters have
// against CVE-2021-25740.
func TestHTTP01SlicesForbidden(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	admits(t, l, "discovery.k8s.io", "endpointslices", "EndpointSlices are made by Kubernetes alone")
	var s solver.Session
	n := 0
	harness.Eventually(t, time.Minute, func() error {
		// A policy counts a moment after it was made.
		n++
		name := fmt.Sprintf("app-%d", n)
		_, s = l.begin(t, name, acmev1.ACMEChallengeSolverHTTP01Ingress{})
		present(t, s)
		got := l.objects(t)
		if slices.Equal(got, asInPod(name+".example.test")) {
			return nil
		}
		cleanUp(t, s)
		return &unlike{got}
	})
	if how, _ := s.(solver.Describer).Describe(); how != "pod, because the controllers may not write EndpointSlices in this namespace" {
		t.Errorf("presented by the %s", how)
	}
	cleanUp(t, s)
	l.want(t, "cleaned up")
}

// admits has a policy refuse all objects of a resource in the namespace of a lab.
func admits(t *testing.T, l *http01Lab, group, resource, message string) {
	t.Helper()
	l.Apply(t, "", fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s-%[3]s}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [%[2]s], apiVersions: ["*"], resources: [%[3]s], operations: [CREATE]}]}
  validations: [{expression: "false", message: %[4]q}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s-%[3]s}
spec:
  policyName: %[1]s-%[3]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`, l.ns, group, resource, message))
}
