package v1

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"
)

// ACMEChallengeSolverHTTP01 serves a token over HTTP. Exactly one of ingress
// and gatewayHTTPRoute must be set.
type ACMEChallengeSolverHTTP01 struct {
	// Ingress sends the CA's request to the solver by an Ingress.
	// +optional
	Ingress *ACMEChallengeSolverHTTP01Ingress `json:"ingress,omitempty"`
	// GatewayHTTPRoute sends the CA's request to the solver by an HTTPRoute of
	// the Gateway API.
	// +optional
	GatewayHTTPRoute *ACMEChallengeSolverHTTP01GatewayHTTPRoute `json:"gatewayHTTPRoute,omitempty"`
}

// ACMEChallengeSolverHTTP01Ingress sends the CA's request to the solver by an
// Ingress. At most one of ingressClassName, class and name may be set.
type ACMEChallengeSolverHTTP01Ingress struct {
	// ServiceType is the type of the Service before the solver: ClusterIP or
	// NodePort. If it is not set, it is NodePort.
	// +optional
	ServiceType corev1.ServiceType `json:"serviceType,omitempty"`
	// IngressClassName is the ingressClassName of the Ingress that is made.
	// +optional
	IngressClassName *string `json:"ingressClassName,omitempty"`
	// Class is the value of the annotation kubernetes.io/ingress.class on the
	// Ingress that is made, for ingress controllers that go by it.
	// +optional
	Class *string `json:"class,omitempty"`
	// Name of an Ingress to which the path of the solver is added, in place of
	// making one, for ingress controllers that give each Ingress an address of
	// its own.
	// +optional
	Name string `json:"name,omitempty"`
	// PodTemplate changes the Pod of the solver.
	// +optional
	PodTemplate *ACMEChallengeSolverHTTP01IngressPodTemplate `json:"podTemplate,omitempty"`
	// IngressTemplate changes the Ingress that is made.
	// +optional
	IngressTemplate *ACMEChallengeSolverHTTP01IngressTemplate `json:"ingressTemplate,omitempty"`
}

// ACMEChallengeSolverHTTP01GatewayHTTPRoute sends the CA's request to the
// solver by an HTTPRoute of the Gateway API.
type ACMEChallengeSolverHTTP01GatewayHTTPRoute struct {
	// ServiceType is the type of the Service before the solver: ClusterIP or
	// NodePort. If it is not set, it is NodePort.
	// +optional
	ServiceType corev1.ServiceType `json:"serviceType,omitempty"`
	// Labels to put on the HTTPRoute.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// ParentRefs are the Gateways or listeners that the HTTPRoute attaches to;
	// they must listen for HTTP on port 80. If there are none, annotations of
	// the Certificate must name them.
	// +optional
	// +listType=atomic
	ParentRefs []gwapi.ParentReference `json:"parentRefs,omitempty"`
	// PodTemplate changes the Pod of the solver.
	// +optional
	PodTemplate *ACMEChallengeSolverHTTP01IngressPodTemplate `json:"podTemplate,omitempty"`
}

// ACMEChallengeSolverHTTP01IngressTemplate changes the Ingress that is made.
type ACMEChallengeSolverHTTP01IngressTemplate struct {
	// ObjectMeta holds metadata to add to the Ingress.
	// +optional
	ACMEChallengeSolverHTTP01IngressObjectMeta `json:"metadata,omitzero"`
}

// ACMEChallengeSolverHTTP01IngressObjectMeta holds metadata to add.
type ACMEChallengeSolverHTTP01IngressObjectMeta struct {
	// Annotations to add.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Labels to add. They cannot replace those by which the solver is found.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// ACMEChallengeSolverHTTP01IngressPodTemplate changes the Pod of the solver.
type ACMEChallengeSolverHTTP01IngressPodTemplate struct {
	// ObjectMeta holds metadata to add to the Pod.
	// +optional
	ACMEChallengeSolverHTTP01IngressPodObjectMeta `json:"metadata,omitzero"`
	// Spec changes the Pod's spec.
	// +optional
	Spec ACMEChallengeSolverHTTP01IngressPodSpec `json:"spec,omitzero"`
}

// ACMEChallengeSolverHTTP01IngressPodObjectMeta holds metadata to add.
type ACMEChallengeSolverHTTP01IngressPodObjectMeta struct {
	// Annotations to add.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Labels to add. They cannot replace those by which the solver is found.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// ACMEChallengeSolverHTTP01IngressPodSpec changes the spec of the solver's Pod.
type ACMEChallengeSolverHTTP01IngressPodSpec struct {
	// NodeSelector holds labels that the node must have, beside
	// kubernetes.io/os=linux.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Affinity of the Pod to nodes and other Pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// Tolerations of the Pod for taints of nodes.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// PriorityClassName is the priority class of the Pod.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// ServiceAccountName is the service account of the Pod. No token is
	// mounted.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// ImagePullSecrets are the Secrets with which the image is pulled.
	// +optional
	// +listType=map
	// +listMapKey=name
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	// SecurityContext replaces the security context of the Pod. If it is not
	// set, the Pod runs as a user that is not root and with the default
	// seccomp profile.
	// +optional
	SecurityContext *ACMEChallengeSolverHTTP01IngressPodSecurityContext `json:"securityContext,omitempty"`
	// Resources of the solver's container. What is not set is as the options
	// of the controller say.
	// +optional
	Resources *ACMEChallengeSolverHTTP01IngressPodResources `json:"resources,omitempty"`
}

// ACMEChallengeSolverHTTP01IngressPodResources are the resources of the
// solver's container.
type ACMEChallengeSolverHTTP01IngressPodResources struct {
	// Limits are the most that the container may use.
	// +optional
	Limits map[corev1.ResourceName]ResourceQuantity `json:"limits,omitempty"`
	// Requests are the least that the container needs.
	// +optional
	Requests map[corev1.ResourceName]ResourceQuantity `json:"requests,omitempty"`
}

// The pattern of quantities lets through text that resource.ParseQuantity
// refuses, such as 1e1.5. As text, one such object does not keep a controller
// from decoding all others.

// ResourceQuantity is an amount of a resource as Kubernetes writes it, such as
// 100m or 64Mi.
//
// +kubebuilder:validation:Type=""
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:Pattern=`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`
type ResourceQuantity string

// UnmarshalJSON reads a string or a number.
func (q *ResourceQuantity) UnmarshalJSON(data []byte) error {
	var number json.Number
	if err := json.Unmarshal(data, &number); err == nil {
		*q = ResourceQuantity(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(q))
}

// ACMEChallengeSolverHTTP01IngressPodSecurityContext is the security context of
// the solver's Pod. The fields mean what they mean in a Pod.
type ACMEChallengeSolverHTTP01IngressPodSecurityContext struct {
	// SELinuxOptions is the SELinux context of the containers.
	// +optional
	SELinuxOptions *corev1.SELinuxOptions `json:"seLinuxOptions,omitempty"`
	// RunAsUser is the user id of the processes.
	// +optional
	RunAsUser *int64 `json:"runAsUser,omitempty"`
	// RunAsGroup is the group id of the processes.
	// +optional
	RunAsGroup *int64 `json:"runAsGroup,omitempty"`
	// RunAsNonRoot refuses to start the Pod as root.
	// +optional
	RunAsNonRoot *bool `json:"runAsNonRoot,omitempty"`
	// SupplementalGroups are further group ids of the processes.
	// +optional
	// +listType=atomic
	SupplementalGroups []int64 `json:"supplementalGroups,omitempty"`
	// FSGroup is the group id that owns the volumes.
	// +optional
	FSGroup *int64 `json:"fsGroup,omitempty"`
	// Sysctls are the namespaced kernel parameters of the Pod.
	// +optional
	// +listType=atomic
	Sysctls []corev1.Sysctl `json:"sysctls,omitempty"`
	// FSGroupChangePolicy says when the owner of the volumes is changed:
	// OnRootMismatch or Always.
	// +optional
	FSGroupChangePolicy *corev1.PodFSGroupChangePolicy `json:"fsGroupChangePolicy,omitempty"`
	// SeccompProfile is the seccomp profile of the containers.
	// +optional
	SeccompProfile *corev1.SeccompProfile `json:"seccompProfile,omitempty"`
}
