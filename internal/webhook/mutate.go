package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Mutate answers requests to /mutate: a CertificateRequest that is created gets the
// name, UID, groups and extra values of the user, whatever it says. It is an
// admission.HandlerFunc.
func Mutate(_ context.Context, req admission.Request) admission.Response {
	if req.Resource == (metav1.GroupVersionResource{}) {
		return admission.Errored(http.StatusInternalServerError, errResource)
	}
	if req.Resource.Group != cmv1.GroupName || req.Resource.Resource != "certificaterequests" || req.SubResource != "" || req.Operation != admissionv1.Create {
		return admission.Allowed("")
	}
	if _, err := decode[cmv1.CertificateRequest](&req.AdmissionRequest, newObject); err != nil {
		code := int32(http.StatusInternalServerError)
		if errors.As(err, new(malformedError)) {
			code = http.StatusBadRequest
		}
		return admission.Errored(code, err)
	}
	patch, err := identify(req.Object.Raw, req.UserInfo)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	return admission.Patched("", patch...)
}

// identify returns the patch that writes a user into the spec of an object in JSON.
// The rest of the object stays as it is. "add" replaces a value that is there
// (RFC 6902, section 4.1).
func identify(object []byte, user authenticationv1.UserInfo) ([]jsonpatch.Operation, error) {
	// Not into a struct: encoding/json takes Spec for spec.
	var top, spec map[string]json.RawMessage
	if err := json.Unmarshal(object, &top); err != nil {
		return nil, err
	}
	if raw, ok := top["spec"]; ok {
		if err := json.Unmarshal(raw, &spec); err != nil {
			return nil, err
		}
	}
	var patch []jsonpatch.Operation
	if spec == nil {
		patch = append(patch, jsonpatch.NewOperation("add", "/spec", struct{}{}))
	}
	patch = append(patch,
		jsonpatch.NewOperation("add", "/spec/uid", user.UID),
		jsonpatch.NewOperation("add", "/spec/username", user.Username),
		// An empty list, not null, which the schema would refuse.
		jsonpatch.NewOperation("add", "/spec/groups", append([]string{}, slices.Clip(user.Groups)...)),
	)
	if _, ok := spec["extra"]; ok && len(user.Extra) == 0 {
		patch = append(patch, jsonpatch.NewOperation("remove", "/spec/extra", nil))
	}
	if len(user.Extra) > 0 {
		patch = append(patch, jsonpatch.NewOperation("add", "/spec/extra", user.Extra))
	}
	return patch, nil
}
