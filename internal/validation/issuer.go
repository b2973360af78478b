package validation

import (
	"crypto/x509"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// Issuer checks the spec of a new Issuer or ClusterIssuer.
func Issuer(spec *cmv1.IssuerSpec) Result { return issuer(spec).With(templates(spec)) }

// IssuerUpdate checks the spec of an Issuer or a ClusterIssuer that takes the place of
// old. One that stays as it is need not keep the rules that cert-manager does not have:
// it may have been stored before them.
func IssuerUpdate(old, spec *cmv1.IssuerSpec) Result {
	if equality.Semantic.DeepEqual(old, spec) {
		return issuer(spec)
	}
	return Issuer(spec)
}

func issuer(spec *cmv1.IssuerSpec) Result {
	path := field.NewPath("spec")
	var r Result
	var found bool
	for _, kind := range []struct {
		name  string
		there bool
		check func(*field.Path) Result
	}{
		{"acme", spec.ACME != nil, func(path *field.Path) Result { return acmeIssuer(path, spec.ACME) }},
		{"ca", spec.CA != nil, func(path *field.Path) Result { return caIssuer(path, spec.CA) }},
		{"selfSigned", spec.SelfSigned != nil, func(*field.Path) Result { return Result{} }},
		{"vault", spec.Vault != nil, func(path *field.Path) Result { return Result{Errors: Vault(path, spec.Vault)} }},
		{"venafi", spec.Venafi != nil, func(path *field.Path) Result { return Result{Errors: Venafi(path, spec.Venafi)} }},
	} {
		path := path.Child(kind.name)
		switch {
		case !kind.there:
		case found:
			r.add(field.Forbidden(path, "may not specify more than one issuer type"))
		default:
			found = true
			r = r.With(kind.check(path))
		}
	}
	if !found {
		r.add(field.Required(path, "at least one issuer must be configured"))
	}
	return r
}

// selector checks a reference to a key of a Secret.
func selector(path *field.Path, ref cmmeta.SecretKeySelector) field.ErrorList {
	errs := required(path.Child("name"), ref.Name, "secret name is required")
	return append(errs, required(path.Child("key"), ref.Key, "secret key is required")...)
}

// optional checks a reference to a key of a Secret, if there is one.
func optional(path *field.Path, ref *cmmeta.SecretKeySelector) field.ErrorList {
	if ref == nil {
		return nil
	}
	return selector(path, *ref)
}

// bundle checks that a bundle has a certificate that can be read. One that is larger
// than usual is left to the controllers, whose limit is a flag.
func bundle(path *field.Path, pem []byte, shown string) field.ErrorList {
	if len(pem) == 0 || len(pem) > pki.DefaultLimits.MaxBundleSize || x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, shown, "cert bundle didn't contain any valid certificates")}
}

func caIssuer(path *field.Path, spec *cmv1.CAIssuer) Result {
	var r Result
	r.add(required(path.Child("secretName"), spec.SecretName, specified)...)
	for i, url := range spec.OCSPServers {
		if url == "" {
			// cert-manager leaves the s out.
			r.invalid(path.Child("ocspServer"), i, url, "must be a valid URL, e.g., http://ocsp.int-x3.letsencrypt.org")
		}
	}
	for i, url := range spec.IssuingCertificateURLs {
		if url == "" {
			r.invalid(path.Child("issuingCertificateURLs"), i, url, "must be a valid URL")
		}
	}
	return r
}

// snip stands for values that errors do not show.
const snip = "<snip>"

// Vault checks the vault field of an issuer, whose path is given.
func Vault(path *field.Path, spec *cmv1.VaultIssuer) field.ErrorList {
	errs := required(path.Child("server"), spec.Server, specified)
	errs = append(errs, required(path.Child("path"), spec.Path, specified)...)
	errs = append(errs, stays(path.Child("path"), spec.Path)...)
	errs = append(errs, bundle(path.Child("caBundle"), spec.CABundle, snip)...)
	if len(spec.CABundle) > 0 && spec.CABundleSecretRef != nil {
		errs = append(errs,
			field.Invalid(path.Child("caBundle"), snip, "specified caBundle and caBundleSecretRef cannot be used together"),
			field.Invalid(path.Child("caBundleSecretRef"), spec.CABundleSecretRef.Name, "specified caBundleSecretRef and caBundle cannot be used together"))
	}
	switch {
	case spec.ClientCertSecretRef != nil && spec.ClientKeySecretRef == nil:
		errs = append(errs, field.Invalid(path.Child("clientKeySecretRef"), snip, "clientKeySecretRef must be provided when defining the clientCertSecretRef"))
	case spec.ClientCertSecretRef == nil && spec.ClientKeySecretRef != nil:
		errs = append(errs, field.Invalid(path.Child("clientCertSecretRef"), snip, "clientCertSecretRef must be provided when defining the clientKeySecretRef"))
	}
	return append(errs, vaultAuth(path.Child("auth"), &spec.Auth)...)
}

// stays checks that a path does not leave its place.
func stays(path *field.Path, value string) field.ErrorList {
	if !slices.Contains(strings.Split(value, "/"), "..") {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, "must not contain '..' path segments")}
}

// vaultAuth checks every method that is there. The controllers take only one.
func vaultAuth(path *field.Path, auth *cmv1.VaultAuth) field.ErrorList {
	if *auth == (cmv1.VaultAuth{}) {
		return field.ErrorList{field.Required(path, "please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws")}
	}
	var errs field.ErrorList
	if a := auth.AppRole; a != nil {
		path := path.Child("appRole")
		errs = append(errs, required(path.Child("roleId"), a.RoleId, specified)...)
		errs = append(errs, required(path.Child("secretRef", "name"), a.SecretRef.Name, specified)...)
		errs = append(errs, stays(path.Child("path"), a.Path)...)
	}
	if a := auth.ClientCertificate; a != nil {
		errs = append(errs, stays(path.Child("clientCertificate", "path"), a.Path)...)
	}
	if a := auth.Kubernetes; a != nil {
		errs = append(errs, vaultKubernetes(path.Child("kubernetes"), a)...)
	}
	if a := auth.AWS; a != nil {
		path := path.Child("aws")
		errs = append(errs, required(path.Child("role"), a.Role, specified)...)
		errs = append(errs, stays(path.Child("mountPath"), a.Path)...)
		if a.ServiceAccountRef != nil {
			errs = append(errs, required(path.Child("serviceAccountRef", "name"), a.ServiceAccountRef.Name, specified)...)
			errs = append(errs, required(path.Child("iamRoleArn"), a.IAMRoleARN, "iamRoleArn is required when using serviceAccountRef for IRSA")...)
		}
	}
	return errs
}

func vaultKubernetes(path *field.Path, auth *cmv1.VaultKubernetesAuth) field.ErrorList {
	const oneOf = "please supply one of: secretRef, serviceAccountRef"
	errs := required(path.Child("role"), auth.Role, specified)
	errs = append(errs, stays(path.Child("path"), auth.Path)...)
	switch secret, account := auth.SecretRef.Name != "", auth.ServiceAccountRef != nil; {
	case !secret && !account:
		errs = append(errs, field.Required(path, oneOf))
	case secret && account:
		errs = append(errs, field.Forbidden(path, oneOf))
	}
	if auth.ServiceAccountRef != nil {
		errs = append(errs, required(path.Child("serviceAccountRef", "name"), auth.ServiceAccountRef.Name, specified)...)
	}
	return errs
}

// Venafi checks the venafi field of an issuer, whose path is given.
func Venafi(path *field.Path, spec *cmv1.VenafiIssuer) field.ErrorList {
	const oneOf = "please supply one of: tpp, cloud, ngts"
	errs := required(path.Child("zone"), spec.Zone, specified)
	var backends int
	if tpp := spec.TPP; tpp != nil {
		backends++
		path := path.Child("tpp")
		errs = append(errs, required(path.Child("url"), tpp.URL, specified)...)
		if len(tpp.CABundle) > 0 && tpp.CABundleSecretRef != nil {
			errs = append(errs, field.Forbidden(path, "may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle"))
		}
	}
	if spec.Cloud != nil {
		backends++
	}
	if ngts := spec.NGTS; ngts != nil {
		backends++
		path := path.Child("ngts")
		errs = append(errs, required(path.Child("tsgID"), ngts.TSGID, specified)...)
		errs = append(errs, required(path.Child("credentialsRef", "name"), ngts.CredentialsRef.Name, specified)...)
	}
	switch backends {
	case 0:
		errs = append(errs, field.Required(path, oneOf))
	case 1:
	default:
		errs = append(errs, field.Forbidden(path, oneOf))
	}
	return errs
}
