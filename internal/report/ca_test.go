package report

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// TestEarlierCA: a certificate that an earlier key of its CA has signed needs attention,
// in the namespace of an Issuer and below a ClusterIssuer, as long as it is known which
// Certificate makes the CA.
func TestEarlierCA(t *testing.T) {
	earlier, present := newKey(t), newKey(t)
	revision := 2
	crt := func(namespace, name, issuerKind string, isCA bool) cmv1.Certificate {
		return cmv1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       cmv1.CertificateSpec{SecretName: name, IsCA: isCA, IssuerRef: cmmeta.IssuerReference{Name: "ca", Kind: issuerKind}},
			Status: cmv1.CertificateStatus{
				Revision: &revision, NotAfter: at(40 * day24), RenewalTime: at(10 * day24), Conditions: []cmv1.CertificateCondition{{Type: "Ready", Status: "True"}},
			},
		}
	}
	request := func(of cmv1.Certificate, revision string, key, by crypto.Signer) cmv1.CertificateRequest {
		return cmv1.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Annotations: map[string]string{cmv1.CertificateNameKey: of.Name, cmv1.CertificateRequestRevisionAnnotationKey: revision}},
			Status:     cmv1.CertificateRequestStatus{Certificate: certificatePEM(t, key, by)},
		}
	}
	ca, old, young, gone := crt("cert-manager", "ca", "", true), crt("shop", "old", "ClusterIssuer", false), crt("shop", "young", "ClusterIssuer", false), crt("shop", "gone", "ClusterIssuer", false)
	local, below := crt("lab", "local", "", true), crt("lab", "below", "Issuer", false)
	ca.Spec.IssuerRef.Name, local.Spec.IssuerRef.Name = "root", "root"
	issuer := cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}}
	issuer.Spec.CA = &cmv1.CAIssuer{SecretName: "ca"}
	inLab := cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "ca"}}
	inLab.Spec.CA = &cmv1.CAIssuer{SecretName: "local"}
	in := Input{
		Certificates: []cmv1.Certificate{ca, old, young, gone, local, below}, ClusterIssuers: []cmv1.ClusterIssuer{issuer}, Issuers: []cmv1.Issuer{inLab},
		Requests: []cmv1.CertificateRequest{
			request(ca, "1", earlier, earlier), request(ca, "2", present, present), request(old, "2", newKey(t), earlier), request(young, "2", newKey(t), present),
			request(gone, "1", newKey(t), earlier), request(local, "2", present, present), request(below, "2", newKey(t), earlier),
		},
	}
	said := func(in Input) map[string]string {
		found := map[string]string{}
		for _, c := range Of(in, now).Certificates {
			if n := c.notice(); n != nil {
				found[c.Namespace+"/"+c.Name] = n.Word + ": " + n.Cause
			}
		}
		return found
	}
	want := map[string]string{
		"shop/old":  "earlier-ca: signed by a key that ClusterIssuer ca no longer has, until it is renewed: everleaf renew -n shop old",
		"lab/below": "earlier-ca: signed by a key that Issuer lab/ca no longer has, until it is renewed: everleaf renew -n lab below",
	}
	if diff := cmp.Diff(want, said(in)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var page strings.Builder
	if err := HTML(&page, Of(in, now)); err != nil || !strings.Contains(page.String(), `<span class="state earlier-ca">earlier-ca</span></td><td>shop/old</td>`) {
		t.Errorf("%v\n%s", err, page.String())
	}
	// A tenant's has nothing to do with a ClusterIssuer.
	in.Certificates = append(in.Certificates, crt("shop", "ca", "", true))
	if diff := cmp.Diff(want, said(in)); diff != "" {
		t.Errorf("a tenant's CA: -want +got:\n%s", diff)
	}
	// With two Secrets of the name, nobody outside can tell which one the ClusterIssuer has.
	in.Certificates = append(in.Certificates, crt("kube-system", "ca", "", true))
	delete(want, "shop/old")
	if diff := cmp.Diff(want, said(in)); diff != "" {
		t.Errorf("two CAs of one name: -want +got:\n%s", diff)
	}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificatePEM is a certificate for a key that another key has signed, as PEM.
func certificatePEM(t *testing.T, key, by crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, NotAfter: now.Add(day24)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
