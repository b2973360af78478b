package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// TestHTTP01Stripped has somebody remove the owner of everything that a challenge has, again
// and again. There is one object of each kind all the time, and none in the end.
func TestHTTP01Stripped(t *testing.T) {
	t.Parallel()
	for _, mode := range []http01.Mode{http01.Shared, http01.InPod} {
		t.Run(string(mode), func(t *testing.T) {
			l := newHTTP01Lab(t, mode)
			all := asInPod("app.example.test")
			if mode == http01.Shared {
				all = []string{"Service ClusterIP", "EndpointSlice 10.1.0.7", "Ingress - app.example.test"}
			}
			challenge, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
			present(t, s)
			for range 3 {
				l.strip(t)
				l.fail(t, s)
				l.want(t, "without owners", all...)
			}
			// A later process finds them without their owners.
			l.strip(t)
			challenge.Resumed = true
			later := l.solver.Begin(challenge)
			l.fail(t, later)
			l.want(t, "with a later process", all...)
			l.strip(t)
			cleanUp(t, later)
			l.want(t, "cleaned up")
		})
	}
}

// strip removes the owners of the objects of challenges.
func (l *http01Lab) strip(t *testing.T) {
	t.Helper()
	for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}, &networkingv1.IngressList{}} {
		if err := l.List(t.Context(), list, client.InNamespace(l.ns), client.HasLabels{acmev1.SolverIdentificationLabelKey}); err != nil {
			t.Fatal(err)
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			return l.Patch(t.Context(), o.(client.Object), client.RawPatch(types.JSONPatchType, []byte(`[{"op": "remove", "path": "/metadata/ownerReferences"}]`)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestHTTP01PathType has controllers start with the feature gate of the path type Exact off,
// while a challenge waits.
func TestHTTP01PathType(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Shared)
	pathType := func() networkingv1.PathType {
		t.Helper()
		list := &networkingv1.IngressList{}
		if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d Ingresses: %v", len(list.Items), err)
		}
		return *list.Items[0].Spec.Rules[0].HTTP.Paths[0].PathType
	}
	challenge, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
	present(t, s)
	if got := pathType(); got != networkingv1.PathTypeExact {
		t.Errorf("the path has the type %s", got)
	}
	config := l.solver.Config
	config.PathType = networkingv1.PathTypeImplementationSpecific
	later, err := http01.New(config)
	if err != nil {
		t.Fatal(err)
	}
	challenge.Resumed = true
	s = later.Begin(challenge)
	l.fail(t, s)
	if got := pathType(); got != networkingv1.PathTypeImplementationSpecific {
		t.Errorf("with the feature gate off, the path has the type %s", got)
	}
	cleanUp(t, s)
}

// TestHTTP01Restricted has pods in a namespace of the restricted level: ours is admitted, and
// one whose template takes the seccomp profile away is refused with the reason.
func TestHTTP01Restricted(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.InPod)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.ns}}
	label := []byte(`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`)
	if err := l.Patch(t.Context(), namespace, client.RawPatch(types.MergePatchType, label)); err != nil {
		t.Fatal(err)
	}
	with := func(context *acmev1.ACMEChallengeSolverHTTP01IngressPodSecurityContext) acmev1.ACMEChallengeSolverHTTP01Ingress {
		return acmev1.ACMEChallengeSolverHTTP01Ingress{PodTemplate: &acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate{
			Spec: acmev1.ACMEChallengeSolverHTTP01IngressPodSpec{SecurityContext: context},
		}}
	}
	_, s := l.begin(t, "app", with(nil))
	present(t, s)
	l.want(t, "presented", asInPod("app.example.test")...)
	cleanUp(t, s)
	_, s = l.begin(t, "nonroot", with(&acmev1.ACMEChallengeSolverHTTP01IngressPodSecurityContext{RunAsNonRoot: ptr(true)}))
	err := s.Present(t.Context())
	for _, says := range []string{`violates PodSecurity "restricted:latest"`, "seccompProfile", "podTemplate.spec.securityContext replaces the default security context, with its seccomp profile"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the refusal does not say %q: %v", says, err)
		}
	}
	cleanUp(t, s)
	l.want(t, "cleaned up")
}

func TestHTTP01InPod(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	challenge, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{PodTemplate: &acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate{}})
	all := []string{"Pod --domain=app.example.test", "Service NodePort of pods", "Ingress - app.example.test"}
	present(t, s)
	l.want(t, "presented", all...)
	if how, unusual := s.(solver.Describer).Describe(); how != "pod, because the solver has a podTemplate" || !unusual {
		t.Errorf("presented by the %s, unusual: %v", how, unusual)
	}
	pods := &corev1.PodList{}
	deletePod := func() {
		if err := l.List(t.Context(), pods, client.InNamespace(l.ns)); err != nil {
			t.Fatal(err)
		}
		if err := l.Delete(t.Context(), &pods.Items[0], client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	deletePod()
	l.fail(t, s)
	l.want(t, "after the pod was deleted", all...)
	if err := l.List(t.Context(), pods, client.InNamespace(l.ns)); err != nil {
		t.Fatal(err)
	}
	pods.Items[0].Status.Phase = corev1.PodFailed
	if err := l.Status().Update(t.Context(), &pods.Items[0]); err != nil {
		t.Fatal(err)
	}
	l.fail(t, s)
	l.fail(t, s)
	l.want(t, "after the pod was evicted", all...)

	// A later process finds what is there.
	challenge.Resumed = true
	later := l.solver.Begin(challenge)
	l.fail(t, later)
	l.want(t, "with a later process", all...)
	cleanUp(t, later)
	l.want(t, "cleaned up")
}

// TestHTTP01Refused checks what is said if the API server does not admit an object.
func TestHTTP01Refused(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.InPod)
	none := corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: "ports"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	if err := l.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	// No controller-manager runs here that would do this.
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	if err := l.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	_, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
	harness.Eventually(t, time.Minute, func() error {
		err := s.Present(t.Context())
		if err == nil || !strings.Contains(err.Error(), "exceeded quota: ports") || !strings.HasSuffix(err.Error(), "; set serviceType: ClusterIP in the solver's http01.ingress, or raise the quota") {
			cleanUp(t, s)
			return &unlike{[]string{errorText(err)}}
		}
		return nil
	})
	_, s = l.begin(t, "clusterip", acmev1.ACMEChallengeSolverHTTP01Ingress{ServiceType: corev1.ServiceTypeClusterIP})
	present(t, s)
	cleanUp(t, s)
}
