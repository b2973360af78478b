package venafi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/Venafi/vcert/v5/pkg/certificate"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// origin is what the server notes as the source of a request.
const origin = "cert-manager"

// plain is the one type of a custom field that has a name, besides none.
const plain = "Plain"

// customField is an entry of the annotation.
type customField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Type  string `json:"type"`
}

// The annotations of the two kinds that ask for certificates.
func keysOf(kind string) (fields, pickup string) {
	if kind == signingrequest.Kind {
		return cmv1.CertificateSigningRequestVenafiCustomFieldsAnnotationKey, cmv1.CertificateSigningRequestVenafiPickupIDAnnotationKey
	}
	return cmv1.VenafiCustomFieldsAnnotationKey, cmv1.VenafiPickupIDAnnotationKey
}

// fieldsOf returns the custom fields of a request: those of its issuer, in the place of
// which its own of the same name stand, and then the others of its own. Of a
// CertificateSigningRequest only its own count.
func fieldsOf(r issuer.Request) ([]certificate.CustomField, error) {
	key, _ := keysOf(r.Kind)
	own, err := parseFields(r.Annotations[key])
	if err != nil {
		return nil, unreadableFields(r, r.Name, key, err)
	}
	all := own
	if r.Kind != signingrequest.Kind {
		general, err := parseFields(r.IssuerAnnotations[cmv1.VenafiCustomFieldsAnnotationKey])
		if err != nil {
			return nil, unreadableFields(r, r.IssuerName.Name, cmv1.VenafiCustomFieldsAnnotationKey, err)
		}
		general = slices.DeleteFunc(general, func(g customField) bool {
			return slices.ContainsFunc(own, func(o customField) bool { return o.Name == g.Name })
		})
		all = append(general, own...)
	}
	out := []certificate.CustomField{{Type: certificate.CustomFieldOrigin, Value: origin}}
	for _, f := range all {
		if f.Type != "" && f.Type != plain {
			return nil, fault.New(fault.Permanent, cmv1.EventReasonCustomFieldsError, "certificate request contains an invalid custom fields type: %q", f.Type)
		}
		out = append(out, certificate.CustomField{Type: certificate.CustomFieldPlain, Name: f.Name, Value: f.Value})
	}
	return out, nil
}

// unreadableFields is the error for an annotation of an object that cannot be read.
func unreadableFields(r issuer.Request, object, key string, err error) error {
	subject := object + " "
	if r.Kind == signingrequest.Kind {
		subject = ""
	}
	return fault.New(fault.Permanent, cmv1.EventReasonCustomFieldsError, "Failed to parse %s%q annotation: %s", subject, key, err).Because(err)
}

func parseFields(text string) ([]customField, error) {
	if text == "" {
		return nil, nil
	}
	var list []customField
	err := json.Unmarshal([]byte(text), &list)
	var misplaced *json.UnmarshalTypeError
	if errors.As(err, &misplaced) {
		err = fmt.Errorf("byte %d: a %s is in the wrong place", misplaced.Offset, misplaced.Value)
	}
	if err != nil {
		return nil, fmt.Errorf(`it must be a list in JSON, such as [{"name": "field", "value": "x"}]: %w`, err)
	}
	return list, nil
}
