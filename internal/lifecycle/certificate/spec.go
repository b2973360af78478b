package certificate

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// TemplateOf is the certificate that a spec wants.
func TemplateOf(spec *cmv1.CertificateSpec) pki.Template {
	t := pki.Template{
		CommonName:         spec.CommonName,
		DNSNames:           spec.DNSNames,
		IPAddresses:        spec.IPAddresses,
		URIs:               spec.URIs,
		EmailAddresses:     spec.EmailAddresses,
		LiteralSubject:     spec.LiteralSubject,
		NameConstraints:    constraintsOf(spec.NameConstraints),
		IsCA:               spec.IsCA,
		EncodeUsages:       ptr.Deref(spec.EncodeUsagesInRequest, true),
		SignatureAlgorithm: string(spec.SignatureAlgorithm),
		Usages:             facts.Words(spec.Usages),
	}
	if spec.Duration != nil {
		t.Duration = spec.Duration.Duration
	}
	if s := spec.Subject; s != nil {
		t.Subject = pki.Subject(*s)
	}
	for _, name := range spec.OtherNames {
		t.OtherNames = append(t.OtherNames, pki.OtherName{OID: name.OID, Value: name.UTF8Value})
	}
	return t
}

func constraintsOf(spec *cmv1.NameConstraints) *pki.NameConstraints {
	if spec == nil {
		return nil
	}
	subtrees := func(item *cmv1.NameConstraintItem) pki.NameSubtrees {
		return pki.NameSubtrees(ptr.Deref(item, cmv1.NameConstraintItem{}))
	}
	return &pki.NameConstraints{Critical: spec.Critical, Permitted: subtrees(spec.Permitted), Excluded: subtrees(spec.Excluded)}
}

// KeySpecOf is the private key that a spec wants.
func KeySpecOf(spec *cmv1.CertificateSpec) pki.KeySpec {
	want := ptr.Deref(spec.PrivateKey, cmv1.CertificatePrivateKey{})
	return pki.KeySpec{Algorithm: pki.Algorithm(want.Algorithm), Size: want.Size}.WithDefaults()
}

// EncodingOf is how a spec wants its private key encoded.
func EncodingOf(spec *cmv1.CertificateSpec) pki.Encoding {
	want := ptr.Deref(spec.PrivateKey, cmv1.CertificatePrivateKey{})
	return cmp.Or(pki.Encoding(want.Encoding), pki.PKCS1)
}

// spacedName says which DNS name has a space and what to write, or returns "".
// Issuers may sign such a name as it is, as they do for cert-manager.
func spacedName(spec *cmv1.CertificateSpec) string {
	for i, name := range spec.DNSNames {
		if !strings.ContainsFunc(name, unicode.IsSpace) {
			continue
		}
		remedy := "a DNS name has no spaces"
		if trimmed := strings.TrimSpace(name); !strings.ContainsFunc(trimmed, unicode.IsSpace) {
			remedy = fmt.Sprintf("write it as %q", trimmed)
		}
		return fmt.Sprintf("spec.dnsNames[%d] is %q, with a space that the certificate has too, so that clients do not accept the certificate for it: %s", i, name, remedy)
	}
	return ""
}
