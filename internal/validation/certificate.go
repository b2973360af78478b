package validation

import (
	"net"
	"net/mail"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// maxCommonName is the upper bound of a common name in bytes (RFC 5280, appendix
// A.1).
const maxCommonName = 64

// Certificate checks a Certificate that is created, or written in place of
// another.
func Certificate(crt *cmv1.Certificate, gates Gates) Result {
	spec, path := &crt.Spec, field.NewPath("spec")
	var r Result
	if name := path.Child("secretName"); spec.SecretName == "" {
		r.add(field.Required(name, specified))
	} else {
		r.add(faulty(name, spec.SecretName, validation.IsDNS1123Subdomain(spec.SecretName), "")...)
	}
	r.add(issuerRef(path.Child("issuerRef"), spec.IssuerRef)...)
	r.add(subject(path, spec, gates)...)
	r.names(path, spec, gates)
	r.keys(path, spec)
	r.renewal(path, spec)
	r.output(path, spec, gates)
	for i, name := range spec.DNSNames {
		if advice := adviceOn(name); advice != "" {
			r.warn(field.Invalid(path.Child("dnsNames").Index(i), name,
				"is not a DNS name, and clients will not accept the certificate for it: "+advice).Error())
		}
	}
	return r
}

// issuerRef checks a reference to an issuer.
func issuerRef(path *field.Path, ref cmmeta.IssuerReference) field.ErrorList {
	errs := required(path.Child("name"), ref.Name, specified)
	if err := IssuerKind(path, ref); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// IssuerKind checks the kind in a reference to an issuer, nil if it is right. The kinds of
// other groups are free.
func IssuerKind(path *field.Path, ref cmmeta.IssuerReference) *field.Error {
	if ref.WithDefaults().Group != cmmeta.DefaultIssuerGroup {
		return nil
	}
	switch ref.WithDefaults().Kind {
	case cmv1.IssuerKind, cmv1.ClusterIssuerKind:
		return nil
	}
	detail := "must be one of Issuer or ClusterIssuer"
	if ref.Group == "" {
		detail += " (did you forget to set spec.issuerRef.kind.group?)"
	}
	return field.Invalid(path.Child("kind"), ref.Kind, detail)
}

// subject checks the subject, and that there is any name at all.
func subject(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) field.ErrorList {
	var errs field.ErrorList
	common := spec.CommonName
	if spec.LiteralSubject != "" {
		literal := path.Child("literalSubject")
		if !gates.LiteralCertificateSubject {
			errs = append(errs, field.Forbidden(literal,
				"Feature gate LiteralCertificateSubject must be enabled on both webhook and controller to use the alpha `literalSubject` field"))
		}
		if common != "" {
			errs = append(errs, field.Invalid(path.Child("commonName"), common, "When providing a `LiteralSubject` no `commonName` may be provided."))
		}
		if hasProperties(spec.Subject) {
			errs = append(errs, field.Invalid(path.Child("subject"), spec.Subject, "When providing a `LiteralSubject` no `Subject` properties may be provided."))
		}
		name, err := pki.ParseLiteralSubject(spec.LiteralSubject)
		if err != nil {
			return append(errs, field.Invalid(literal, spec.LiteralSubject, err.Error()))
		}
		if inLiteral := pki.CommonNameOf(name); inLiteral != "" {
			common = inLiteral
		}
	}
	if common == "" && len(spec.DNSNames) == 0 && len(spec.EmailAddresses) == 0 && len(spec.IPAddresses) == 0 &&
		len(spec.OtherNames) == 0 && len(spec.URIs) == 0 {
		errs = append(errs, field.Invalid(path, "", "at least one of commonName (from the commonName field or from a literalSubject), "+
			"dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set"))
	}
	if len(common) > maxCommonName {
		errs = append(errs, field.TooLong(path.Child("commonName"), common, maxCommonName))
	}
	return errs
}

func hasProperties(s *cmv1.X509Subject) bool {
	return s != nil && (len(s.Organizations) > 0 || len(s.Countries) > 0 || len(s.OrganizationalUnits) > 0 || len(s.Localities) > 0 ||
		len(s.Provinces) > 0 || len(s.StreetAddresses) > 0 || len(s.PostalCodes) > 0 || s.SerialNumber != "")
}

// names checks the subject alternative names. DNS names and URIs are free.
func (r *Result) names(path *field.Path, spec *cmv1.CertificateSpec, gates Gates) {
	addresses, emails := path.Child("ipAddresses"), path.Child("emailAddresses")
	for i, text := range spec.IPAddresses {
		if net.ParseIP(text) == nil {
			r.invalid(addresses, i, text, "invalid IP address")
		}
	}
	for i, text := range spec.EmailAddresses {
		switch address, err := mail.ParseAddress(text); {
		case err != nil:
			r.invalid(emails, i, text, "invalid email address: "+err.Error())
		case address.Address != text:
			r.invalid(emails, i, text, "invalid email address: make sure the supplied value only contains the email address itself")
		}
	}
	if len(spec.OtherNames) > 0 && !gates.OtherNames {
		// cert-manager spells the field so in this error.
		r.add(field.Forbidden(path.Child("OtherNames"),
			"Feature gate OtherNames must be enabled on both webhook and controller to use the alpha `otherNames` field"))
		return
	}
	for i, name := range spec.OtherNames {
		path := path.Child("otherNames").Index(i)
		r.add(required(path.Child("oid"), name.OID, specified)...)
		if _, ok := pki.ParseOID(name.OID); !ok {
			r.add(field.Invalid(path.Child("oid"), name.OID, "invalid oid syntax"))
		}
		r.add(required(path.Child("utf8Value"), name.UTF8Value, "must be set to a valid non-empty UTF8 string")...)
	}
}
