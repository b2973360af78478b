package webhook

import (
	"errors"
	"fmt"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// decoder reads the JSON of the kinds that are checked.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(cmv1.AddToScheme(scheme))
	utilruntime.Must(acmev1.AddToScheme(scheme))
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{})
}()

// malformedError is an object in a request that cannot be decoded.
type malformedError struct{ error }

// Unwrap returns the cause.
func (e malformedError) Unwrap() error { return e.error }

// Which object of a request, by the name of its field.
const (
	newObject = "object"
	oldObject = "oldObject"
)

// decode returns an object of a request. Which kind it is says the request's kind;
// the resource of the request says which one is needed.
func decode[T any, P interface {
	*T
	runtime.Object
}](req *admissionv1.AdmissionRequest, which string) (P, error) {
	raw := req.Object.Raw
	if which == oldObject {
		raw = req.OldObject.Raw
	}
	if len(raw) == 0 {
		return nil, malformedError{errors.New(which + ": there is no content to decode")}
	}
	kind := schema.GroupVersionKind(req.Kind)
	object, _, err := decoder.Decode(raw, &kind, nil)
	if err != nil {
		return nil, malformedError{fmt.Errorf("%s: %w", which, err)}
	}
	typed, ok := object.(P)
	if !ok {
		api := "certmanager"
		if req.Resource.Group == acmev1.GroupName {
			api = "acme"
		}
		return nil, fmt.Errorf("internal error: %s in admission request is not of type *%s.%s", which, api, reflect.TypeFor[T]().Name())
	}
	return typed, nil
}

// decodeBoth returns the old and the new object.
func decodeBoth[T any, P interface {
	*T
	runtime.Object
}](req *admissionv1.AdmissionRequest) (old, object P, err error) {
	if object, err = decode[T, P](req, newObject); err != nil {
		return nil, nil, err
	}
	old, err = decode[T, P](req, oldObject)
	return old, object, err
}
