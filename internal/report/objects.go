package report

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/pki"
)

func namesOf(crt *cmv1.Certificate) []string {
	names := slices.Concat(crt.Spec.DNSNames, crt.Spec.IPAddresses, crt.Spec.URIs, crt.Spec.EmailAddresses)
	for _, other := range crt.Spec.OtherNames {
		names = append(names, other.UTF8Value)
	}
	if subject := cmp.Or(crt.Spec.CommonName, crt.Spec.LiteralSubject); len(names) == 0 && subject != "" {
		return []string{subject}
	}
	return names
}

// issuerName is an issuer as a reader finds it: with its namespace if it has one.
func issuerName(namespace string, ref cmmeta.IssuerReference) string {
	ref = ref.WithDefaults()
	name := ref.Kind + " " + namespace + "/" + ref.Name
	if ref.Kind == cmv1.ClusterIssuerKind {
		name = ref.Kind + " " + ref.Name
	}
	if ref.Group != cmv1.SchemeGroupVersion.Group {
		name += " (" + ref.Group + ")"
	}
	return name
}

// issued are issued certificates, by namespace/Certificate/revision.
type issued map[string]*x509.Certificate

func issuedBy(requests []cmv1.CertificateRequest) issued {
	found := issued{}
	for i := range requests {
		r := &requests[i]
		if len(r.Status.Certificate) == 0 {
			continue
		}
		if cert, err := pki.ParseCertificate(r.Status.Certificate, pki.Limits{}); err == nil {
			found[r.Namespace+"/"+r.Annotations[cmv1.CertificateNameKey]+"/"+r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey]] = cert
		}
	}
	return found
}

// present is the present certificate of a Certificate, nil if its request is gone.
func (i issued) present(crt *cmv1.Certificate) *x509.Certificate {
	if crt.Status.Revision == nil {
		return nil
	}
	return i[fmt.Sprintf("%s/%s/%d", crt.Namespace, crt.Name, *crt.Status.Revision)]
}

// keyOf is the key of the present certificate if its request is still there, else the one
// that the spec asks for.
func keyOf(crt *cmv1.Certificate, present *x509.Certificate) string {
	if present != nil {
		if spec, ok := pki.SpecOf(present.PublicKey); ok {
			return keyName(spec)
		}
	}
	var spec pki.KeySpec
	if key := crt.Spec.PrivateKey; key != nil {
		spec = pki.KeySpec{Algorithm: pki.Algorithm(key.Algorithm), Size: key.Size}
	}
	return keyName(spec.WithDefaults())
}

func keyName(spec pki.KeySpec) string {
	if spec.Size == 0 {
		return string(spec.Algorithm)
	}
	return fmt.Sprintf("%s %d", spec.Algorithm, spec.Size)
}

func issuersOf(in Input) []Issuer {
	used, notReady := map[string]int{}, map[string]int{}
	for i := range in.Certificates {
		crt := &in.Certificates[i]
		name := issuerName(crt.Namespace, crt.Spec.IssuerRef)
		used[name]++
		if !condition.True(crt.Status.Conditions, cmv1.CertificateConditionReady) {
			notReady[name]++
		}
	}
	all := []Issuer{}
	known := map[string]bool{}
	add := func(kind string, issuer cmv1.GenericIssuer) {
		name := issuerName(issuer.GetNamespace(), cmmeta.IssuerReference{Kind: kind, Name: issuer.GetName()})
		row := Issuer{Name: name, Type: typeOf(&issuer.GetSpec().IssuerConfig), Certificates: used[name], NotReady: notReady[name]}
		ready := condition.Find(issuer.GetStatus().Conditions, cmv1.IssuerConditionReady)
		switch {
		case ready == nil:
			row.Cause = "no controller has seen it yet"
		case ready.Status == cmmeta.ConditionTrue:
			row.Ready = true
		default:
			row.Cause = ready.Message
		}
		known[name] = true
		all = append(all, row)
	}
	for i := range in.Issuers {
		add(cmv1.IssuerKind, &in.Issuers[i])
	}
	for i := range in.ClusterIssuers {
		add(cmv1.ClusterIssuerKind, &in.ClusterIssuers[i])
	}
	for name, n := range used {
		if !known[name] {
			all = append(all, Issuer{Name: name, Type: "unknown", Cause: "it was not found", Certificates: n, NotReady: notReady[name]})
		}
	}
	slices.SortFunc(all, func(a, b Issuer) int {
		return cmp.Or(cmp.Compare(b.Certificates, a.Certificates), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func typeOf(config *cmv1.IssuerConfig) string {
	switch {
	case config.ACME != nil:
		return "ACME"
	case config.CA != nil:
		return "CA"
	case config.SelfSigned != nil:
		return "self-signed"
	case config.Vault != nil:
		return "Vault"
	case config.Venafi != nil:
		return "Venafi"
	default:
		return "unknown"
	}
}
