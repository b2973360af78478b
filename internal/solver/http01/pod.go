package http01

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver"
)

// Pods says how the pods of solvers are made.
type Pods struct {
	// Image is that of the acmesolver (--acme-http01-solver-image).
	Image string
	// Requests and Limits are the resources of the container. Both are always set, so that
	// a ResourceQuota admits the pod.
	Requests, Limits corev1.ResourceList
	// RunAsNonRoot is --acme-http01-solver-run-as-non-root.
	RunAsNonRoot bool
	// RuntimeClassName is --acme-http01-solver-runtime-class-name, empty for none.
	RuntimeClassName string
}

// podTemplateOf is the podTemplate of a Challenge's solver, nil if it has none.
func podTemplateOf(c solver.Challenge) *acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate {
	switch http01 := c.Solver.HTTP01; {
	case http01 == nil:
		return nil
	case http01.Ingress != nil:
		return http01.Ingress.PodTemplate
	case http01.GatewayHTTPRoute != nil:
		return http01.GatewayHTTPRoute.PodTemplate
	default:
		return nil
	}
}

// pod is the pod that answers a Challenge: as cert-manager makes it, field by field, because
// policies of clusters are written for that. A quantity that cannot be read is a User fault.
func (p Pods) pod(c solver.Challenge, extra map[string]string) (*corev1.Pod, error) {
	if p.Image == "" {
		return nil, fault.New(fault.User, "NoResponder", "there is no image for solver pods: set --acme-http01-solver-image, or use the shared responder ("+flagService+", or where controllers do not run in pods, as with everleaf local, --acme-http01-responder-addresses)")
	}
	template := podTemplateOf(c)
	if template == nil {
		template = &acmev1.ACMEChallengeSolverHTTP01IngressPodTemplate{}
	}
	annotations := map[string]string{
		"sidecar.istio.io/inject":                        "false",
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
	}
	maps.Copy(annotations, template.Annotations)
	selector := map[string]string{corev1.LabelOSStable: "linux"}
	maps.Copy(selector, template.Spec.NodeSelector)
	requests, limits, err := p.resources(template.Spec.Resources)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{
		ObjectMeta: metadata(c, labels(c, extra, template.Labels), annotations),
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: ptr.To(false),
			EnableServiceLinks:           ptr.To(false),
			RestartPolicy:                corev1.RestartPolicyOnFailure,
			NodeSelector:                 selector,
			SecurityContext:              p.securityContext(template.Spec.SecurityContext),
			Tolerations:                  slices.Clone(template.Spec.Tolerations),
			ImagePullSecrets:             slices.Clone(template.Spec.ImagePullSecrets),
			Affinity:                     template.Spec.Affinity.DeepCopy(),
			PriorityClassName:            template.Spec.PriorityClassName,
			ServiceAccountName:           template.Spec.ServiceAccountName,
			Containers: []corev1.Container{{
				Name: "acmesolver", Image: p.Image, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{
					fmt.Sprintf("--listen-port=%d", Port), "--domain=" + c.DNSName, "--token=" + c.Token, "--key=" + c.Key,
				},
				Ports:     []corev1.ContainerPort{{Name: portName, ContainerPort: Port}},
				Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits},
				SecurityContext: &corev1.SecurityContext{
					ReadOnlyRootFilesystem:   ptr.To(true),
					AllowPrivilegeEscalation: ptr.To(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if p.RuntimeClassName != "" {
		pod.Spec.RuntimeClassName = ptr.To(p.RuntimeClassName)
	}
	return pod, nil
}

// securityContext is that of the pod. A template's takes the place of the whole default.
func (p Pods) securityContext(template *acmev1.ACMEChallengeSolverHTTP01IngressPodSecurityContext) *corev1.PodSecurityContext {
	if template == nil {
		return &corev1.PodSecurityContext{
			RunAsNonRoot:   ptr.To(p.RunAsNonRoot),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
	}
	t := template.DeepCopy()
	return &corev1.PodSecurityContext{
		SELinuxOptions: t.SELinuxOptions, RunAsUser: t.RunAsUser, RunAsGroup: t.RunAsGroup, RunAsNonRoot: t.RunAsNonRoot,
		SupplementalGroups: t.SupplementalGroups, FSGroup: t.FSGroup, Sysctls: t.Sysctls,
		FSGroupChangePolicy: t.FSGroupChangePolicy, SeccompProfile: t.SeccompProfile,
	}
}

// resources are those of the container: a template replaces them name by name.
func (p Pods) resources(template *acmev1.ACMEChallengeSolverHTTP01IngressPodResources) (requests, limits corev1.ResourceList, err error) {
	requests, limits = maps.Clone(p.Requests), maps.Clone(p.Limits)
	if template == nil {
		return requests, limits, nil
	}
	for _, part := range []struct {
		name string
		of   map[corev1.ResourceName]acmev1.ResourceQuantity
		into *corev1.ResourceList
	}{{"requests", template.Requests, &requests}, {"limits", template.Limits, &limits}} {
		for _, name := range slices.Sorted(maps.Keys(part.of)) {
			quantity, err := resource.ParseQuantity(string(part.of[name]))
			if err != nil {
				return nil, nil, fault.New(fault.User, "InvalidSolver", "podTemplate.spec.resources.%s.%s of the issuer's solver is no quantity: %q", part.name, name, part.of[name]).Because(err)
			}
			if *part.into == nil {
				*part.into = corev1.ResourceList{}
			}
			(*part.into)[name] = quantity
		}
	}
	return requests, limits, nil
}
