package validation

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// CertificateRequestCreate checks a CertificateRequest that is created, except
// the identity of the requester: see Requester. limits are for the size of the
// CSR.
func CertificateRequestCreate(cr *cmv1.CertificateRequest, limits pki.Limits) Result {
	spec, path := &cr.Spec, field.NewPath("spec")
	var r Result
	r.add(encodedRequest(path, spec, limits)...)
	r.add(issuerRef(path.Child("issuerRef"), spec.IssuerRef)...)
	r.decisions(nil, cr.Status.Conditions)
	return r
}

// CertificateRequestUpdate checks a CertificateRequest, or its status, that is
// written in place of another, except the identity and the permission to
// decide: see Requester and Decides. What the CSR says is not checked again.
func CertificateRequestUpdate(old, cr *cmv1.CertificateRequest) Result {
	var r Result
	path := field.NewPath("metadata", "annotations")
	for _, key := range changedKeys(old.Annotations, cr.Annotations) {
		if strings.HasPrefix(key, "cert-manager.io") || strings.HasPrefix(key, "acme.cert-manager.io") {
			r.add(field.Forbidden(path.Child(key), "cannot change cert-manager annotation after creation"))
		}
	}
	r.decisions(old.Status.Conditions, cr.Status.Conditions)
	if !equality.Semantic.DeepEqual(old.Spec, cr.Spec) {
		r.add(field.Forbidden(field.NewPath("spec"), "cannot change spec after creation"))
	}
	return r
}

// changedKeys are the keys that are in one of two maps only, or have another
// value in each, sorted.
func changedKeys(old, now map[string]string) []string {
	changed := sets.New[string]()
	for key, value := range old {
		if kept, ok := now[key]; !ok || kept != value {
			changed.Insert(key)
		}
	}
	for key := range now {
		if _, ok := old[key]; !ok {
			changed.Insert(key)
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// Requester checks the fields that identify who made a CertificateRequest. A new
// one, for which old is nil, must name the user; later the fields stay as they
// are.
func Requester(old, cr *cmv1.CertificateRequest, user authenticationv1.UserInfo) field.ErrorList {
	if old != nil {
		was := &old.Spec
		return identity(&cr.Spec, was.UID, was.Username, was.Groups, was.Extra, "cannot be changed once set")
	}
	extra := make(map[string][]string, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = values
	}
	return identity(&cr.Spec, user.UID, user.Username, user.Groups, extra, "must be that of the requester")
}

// identity compares the four fields. The order of groups and of values does not
// matter.
func identity(spec *cmv1.CertificateRequestSpec, uid, username string, groups []string, extra map[string][]string, must string) field.ErrorList {
	sameSet := func(a, b []string) bool { return sets.New(a...).Equal(sets.New(b...)) }
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		same bool
	}{
		{"uid", spec.UID == uid},
		{"username", spec.Username == username},
		{"groups", sameSet(spec.Groups, groups)},
		{"extra", maps.EqualFunc(spec.Extra, extra, sameSet)},
	} {
		if !f.same {
			errs = append(errs, field.Forbidden(field.NewPath("spec", f.name), f.name+" identity "+must))
		}
	}
	return errs
}

// encodedRequest checks that the CSR can be read, is signed by its own key, and
// says what the spec says, which approvers look at.
func encodedRequest(path *field.Path, spec *cmv1.CertificateRequestSpec, limits pki.Limits) field.ErrorList {
	if len(spec.Request) == 0 {
		return field.ErrorList{field.Required(path.Child("request"), specified)}
	}
	var errs field.ErrorList
	words := make([]string, len(spec.Usages))
	var unknown []string
	for i, usage := range spec.Usages {
		words[i] = string(usage)
		if !knownUsage(usage) {
			unknown = append(unknown, words[i])
		}
	}
	if len(unknown) > 0 {
		errs = append(errs, field.Invalid(path.Child("usages"), spec.Usages, fmt.Sprintf("unknown key usages: %v", unknown)))
	}
	csr, err := pki.ParseRequest(spec.Request, limits)
	if err == nil {
		err = pki.VerifyRequest(csr)
	}
	if err == nil && len(unknown) == 0 {
		err = pki.CheckEncoded(csr, words, spec.IsCA)
	}
	if err != nil {
		errs = append(errs, field.Invalid(path.Child("request"), shown(base64.StdEncoding.EncodeToString(spec.Request)), err.Error()))
	}
	return errs
}

// knownUsage reports whether the API has a word for a usage.
func knownUsage(usage cmv1.KeyUsage) bool {
	_, _, err := pki.ParseUsages([]string{string(usage)}, false)
	return err == nil
}
