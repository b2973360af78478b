package report

import (
	"crypto/x509"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// presentCAs are the present certificates of CA issuers, by the issuer's name. Known are
// those that a Certificate has put into the issuer's Secret. The Secrets of ClusterIssuers
// are in a namespace that only the controllers know: it is taken for one of the usual two,
// in which no tenant can make Certificates, if only one has a Certificate for the Secret.
func presentCAs(in Input, certificates issued) map[string]*x509.Certificate {
	bySecret, byName := map[string][]*cmv1.Certificate{}, map[string][]*cmv1.Certificate{}
	for i := range in.Certificates {
		if crt := &in.Certificates[i]; crt.Spec.IsCA {
			bySecret[crt.Namespace+"/"+crt.Spec.SecretName] = append(bySecret[crt.Namespace+"/"+crt.Spec.SecretName], crt)
			if crt.Namespace == "cert-manager" || crt.Namespace == "kube-system" {
				byName[crt.Spec.SecretName] = append(byName[crt.Spec.SecretName], crt)
			}
		}
	}
	found := map[string]*x509.Certificate{}
	note := func(kind, namespace, name string, makers []*cmv1.Certificate) {
		if len(makers) != 1 {
			return
		}
		if ca := certificates.present(makers[0]); ca != nil {
			found[issuerName(namespace, cmmeta.IssuerReference{Kind: kind, Name: name})] = ca
		}
	}
	for i := range in.Issuers {
		if issuer := &in.Issuers[i]; issuer.Spec.CA != nil {
			note(cmv1.IssuerKind, issuer.Namespace, issuer.Name, bySecret[issuer.Namespace+"/"+issuer.Spec.CA.SecretName])
		}
	}
	for i := range in.ClusterIssuers {
		if issuer := &in.ClusterIssuers[i]; issuer.Spec.CA != nil {
			note(cmv1.ClusterIssuerKind, "", issuer.Name, byName[issuer.Spec.CA.SecretName])
		}
	}
	return found
}

// signedBy reports whether the key of a CA has signed a certificate. A CA that was
// renewed with the same key has.
func signedBy(certificate, ca *x509.Certificate) bool {
	return ca.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature) == nil
}
