package validation

import (
	"maps"
	"net"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// output checks what the Secret gets, and what a CA may sign.
func output(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) field.ErrorList {
	var errs field.ErrorList
	if template := spec.SecretTemplate; template != nil {
		path := path.Child("secretTemplate")
		for _, key := range slices.Sorted(maps.Keys(template.Annotations)) {
			if strings.HasPrefix(key, cmv1.AnnotationPrefix) && key != cmv1.AllowsInjectionFromSecretAnnotation {
				errs = append(errs, field.Invalid(path.Child("annotations"), key, "cert-manager.io/* annotations are not allowed"))
			}
		}
		errs = append(errs, annotations(path.Child("annotations"), template.Annotations)...)
		errs = append(errs, labels(path.Child("labels"), template.Labels)...)
	}
	if spec.NameConstraints != nil {
		errs = append(errs, nameConstraints(path.Child("nameConstraints"), spec, gates)...)
	}
	for i, format := range spec.AdditionalOutputFormats {
		if slices.Contains(spec.AdditionalOutputFormats[:i], format) {
			errs = append(errs, field.Duplicate(path.Child("additionalOutputFormats").Key("type"), format.Type))
		}
	}
	if stores := spec.Keystores; stores != nil {
		path := path.Child("keystores")
		if s := stores.JKS; s != nil {
			errs = append(errs, keystore(path.Child("jks"), "JKS", s.Password, s.PasswordSecretRef)...)
		}
		if s := stores.PKCS12; s != nil {
			errs = append(errs, keystore(path.Child("pkcs12"), "PKCS#12", s.Password, s.PasswordSecretRef)...)
		}
	}
	return errs
}

// annotations checks annotations as the API server does.
func annotations(path *field.Path, all map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(all)) {
		errs = append(errs, faulty(path, key, validation.IsQualifiedName(strings.ToLower(key)), "")...)
	}
	if err := apivalidation.ValidateAnnotationsSize(all); err != nil {
		errs = append(errs, field.TooLong(path, "", apivalidation.TotalAnnotationSizeLimitB))
	}
	return errs
}

// labels checks labels as the API server does.
func labels(path *field.Path, all map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(all)) {
		errs = append(errs, faulty(path, key, validation.IsQualifiedName(key), "")...)
		errs = append(errs, faulty(path, all[key], validation.IsValidLabelValue(all[key]), "")...)
	}
	return errs
}

func nameConstraints(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) field.ErrorList {
	constraints := spec.NameConstraints
	if !gates.NameConstraints {
		return field.ErrorList{field.Forbidden(path, "feature gate NameConstraints must be enabled")}
	}
	var errs field.ErrorList
	if !spec.IsCA {
		errs = append(errs, field.Invalid(path, constraints, "isCA should be true when nameConstraints is set"))
	}
	if constraints.Permitted == nil && constraints.Excluded == nil {
		errs = append(errs, field.Invalid(path, constraints, "either permitted or excluded must be set"))
	}
	errs = append(errs, ranges(path.Child("permitted", "ipRanges"), constraints.Permitted)...)
	return append(errs, ranges(path.Child("excluded", "ipRanges"), constraints.Excluded)...)
}

func ranges(path *field.Path, item *cmv1.NameConstraintItem) field.ErrorList {
	if item == nil {
		return nil
	}
	var errs field.ErrorList
	for i, text := range item.IPRanges {
		if _, _, err := net.ParseCIDR(text); err != nil {
			errs = append(errs, field.Invalid(path.Index(i), text, "invalid CIDR address"))
		}
	}
	return errs
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
