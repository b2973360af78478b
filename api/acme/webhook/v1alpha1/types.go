// Package v1alpha1 is what a DNS-01 solver webhook is asked and answers: the API
// group webhook.acme.cert-manager.io, version v1alpha1. A solver serves a resource of
// its own name in a group of its own, and takes a ChallengePayload as the body of a
// create request.
//
// +kubebuilder:object:generate=true
// +groupName=webhook.acme.cert-manager.io
package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// SchemeGroupVersion is the group and version of ChallengePayload. The resources of
// solvers are in groups of their own, in the same version.
var SchemeGroupVersion = schema.GroupVersion{Group: "webhook.acme.cert-manager.io", Version: "v1alpha1"}

// ChallengePayloadKind is the kind of ChallengePayload.
const ChallengePayloadKind = "ChallengePayload"

// ChallengePayload is a request to a solver, or its answer.
//
// +kubebuilder:object:root=true
type ChallengePayload struct {
	metav1.TypeMeta `json:",inline"`
	// Request is what the solver is to do. It is set in requests.
	// +optional
	Request *ChallengeRequest `json:"request,omitempty"`
	// Response is how that went. It is set in answers.
	// +optional
	Response *ChallengeResponse `json:"response,omitempty"`
}

// ChallengeRequest is what a solver is to do.
type ChallengeRequest struct {
	// UID is repeated in the response.
	UID types.UID `json:"uid"`
	// Action is Present or CleanUp.
	Action ChallengeAction `json:"action"`
	// Type of the challenge: dns-01.
	Type string `json:"type"`
	// DNSName is the identifier, without the wildcard label.
	DNSName string `json:"dnsName"`
	// Key is the value of the TXT record.
	Key string `json:"key"`
	// ResourceNamespace is where Secrets that Config refers to are.
	ResourceNamespace string `json:"resourceNamespace"`
	// ResolvedFQDN is the name of the TXT record, absolute, at the end of CNAME records
	// if the solver follows these.
	// +optional
	ResolvedFQDN string `json:"resolvedFQDN,omitempty"`
	// ResolvedZone is the zone of that name, absolute.
	// +optional
	ResolvedZone string `json:"resolvedZone,omitempty"`
	// AllowAmbientCredentials reports whether the solver may use the credentials of
	// its environment.
	AllowAmbientCredentials bool `json:"allowAmbientCredentials"`
	// Config is webhook.config of the issuer's solver.
	// +optional
	Config *apiextensionsv1.JSON `json:"config,omitempty"`
}

// ChallengeAction is what a solver is to do.
type ChallengeAction string

// The actions.
const (
	// ChallengeActionPresent adds the record. It succeeds if it exists already.
	ChallengeActionPresent ChallengeAction = "Present"
	// ChallengeActionCleanUp removes the record, and no other value at its name. It
	// succeeds if the record does not exist.
	ChallengeActionCleanUp ChallengeAction = "CleanUp"
)

// ChallengeResponse is how an action went.
type ChallengeResponse struct {
	// UID is that of the request.
	UID types.UID `json:"uid"`
	// Success reports whether the action was carried out.
	Success bool `json:"success"`
	// Result says why not: its message is what users see.
	// +optional
	Result *metav1.Status `json:"status,omitempty"`
}
