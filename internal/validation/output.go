package validation

import (
	"maps"
	"net"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// output checks what the Secret gets, and what a CA may sign.
func (r *Result) output(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) {
	if template := spec.SecretTemplate; template != nil {
		path := path.Child("secretTemplate")
		for _, key := range slices.Sorted(maps.Keys(template.Annotations)) {
			if strings.HasPrefix(key, cmv1.AnnotationPrefix) && key != cmv1.AllowsInjectionFromSecretAnnotation {
				r.add(field.Invalid(path.Child("annotations"), key, "cert-manager.io/* annotations are not allowed"))
			}
		}
		r.annotations(path.Child("annotations"), template.Annotations)
		r.labels(path.Child("labels"), template.Labels)
	}
	if spec.NameConstraints != nil {
		r.nameConstraints(path.Child("nameConstraints"), spec, gates)
	}
	formats := sets.New[cmv1.CertificateAdditionalOutputFormat]()
	for _, format := range spec.AdditionalOutputFormats {
		if formats.Has(format) {
			r.add(field.Duplicate(path.Child("additionalOutputFormats").Key("type"), format.Type))
		}
		formats.Insert(format)
	}
	if stores := spec.Keystores; stores != nil {
		path := path.Child("keystores")
		if s := stores.JKS; s != nil {
			r.add(keystore(path.Child("jks"), "JKS", s.Password, s.PasswordSecretRef)...)
		}
		if s := stores.PKCS12; s != nil {
			r.add(keystore(path.Child("pkcs12"), "PKCS#12", s.Password, s.PasswordSecretRef)...)
		}
	}
}

// annotations checks annotations as the API server does.
func (r *Result) annotations(path *field.Path, all map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		r.add(faulty(path, key, validation.IsQualifiedName(strings.ToLower(key)), "")...)
	}
	if err := apivalidation.ValidateAnnotationsSize(all); err != nil {
		r.add(field.TooLong(path, "", apivalidation.TotalAnnotationSizeLimitB))
	}
}

// labels checks labels as the API server does.
func (r *Result) labels(path *field.Path, all map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		r.add(faulty(path, key, validation.IsQualifiedName(key), "")...)
		r.add(faulty(path, all[key], validation.IsValidLabelValue(all[key]), "")...)
	}
}

func (r *Result) nameConstraints(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) {
	constraints := spec.NameConstraints
	if !gates.NameConstraints {
		r.add(field.Forbidden(path, "feature gate NameConstraints must be enabled"))
		return
	}
	if !spec.IsCA {
		r.add(field.Invalid(path, constraints, "isCA should be true when nameConstraints is set"))
	}
	if constraints.Permitted == nil && constraints.Excluded == nil {
		r.add(field.Invalid(path, constraints, "either permitted or excluded must be set"))
	}
	r.ranges(path.Child("permitted", "ipRanges"), constraints.Permitted)
	r.ranges(path.Child("excluded", "ipRanges"), constraints.Excluded)
}

func (r *Result) ranges(path *field.Path, item *cmv1.NameConstraintItem) {
	if item == nil {
		return
	}
	for i, text := range item.IPRanges {
		if _, _, err := net.ParseCIDR(text); err != nil {
			r.invalid(path, i, text, "invalid CIDR address")
		}
	}
}

// keystore checks the password of a keystore, even of one that is not created.
func keystore(path *field.Path, label string, literal *string, ref cmmeta.SecretKeySelector) field.ErrorList {
	var errs field.ErrorList
	switch {
	case literal != nil && ref.Name != "":
		errs = append(errs, field.Forbidden(path, "exactly one of passwordSecretRef and password must be provided for "+label+" keystores; cannot set both"))
	case literal == nil && ref.Name == "":
		errs = append(errs, field.Forbidden(path, "must set exactly one of passwordSecretRef and password must for "+label+" keystores"))
	}
	if literal != nil && *literal == "" {
		errs = append(errs, field.Forbidden(path.Child("password"), "literal password cannot be empty if set on "+label+" keystores"))
	}
	return errs
}
