package selfsigned

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 11, 22, 5, 9, 6, 0, time.UTC)

// keys answers for the Secret apps/key.
type keys struct {
	key  crypto.Signer
	data []byte // instead of the key
	err  error
}

func (k keys) Live(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	if namespace != "apps" || name != "key" {
		panic("asked for " + namespace + "/" + name)
	}
	if k.key != nil {
		var err error
		if k.data, err = pki.EncodeKey(k.key, pki.PKCS8); err != nil {
			panic(err)
		}
	}
	if k.data == nil {
		return nil, k.err
	}
	return &corev1.Secret{Data: map[string][]byte{"tls.key": k.data}}, k.err
}

func newKey(t *testing.T, spec pki.KeySpec) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRequest(t *testing.T, in pki.Template, key crypto.Signer) issuer.Request {
	t.Helper()
	csr, err := pki.BuildRequest(in, key, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return issuer.Request{
		CSR: csr,
		Key: types.NamespacedName{Namespace: "apps", Name: "key"}, KeyAnnotation: "cert-manager.io/private-key-secret-name",
		Issuer: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}},
		// That of a ClusterIssuer's Secrets: not where the key is.
		Namespace: "cert-manager", Now: now,
	}
}

func sign(t *testing.T, r issuer.Request, key crypto.Signer) (*x509.Certificate, request.Outcome) {
	t.Helper()
	o, err := New(keys{key: key}, pki.Limits{}).Sign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.ParseCertificate(o.Chain, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if want := string(pki.EncodeChain(cert)); string(o.Chain) != want || string(o.CA) != want {
		t.Errorf("chain and CA are not the certificate: %s %s", o.Chain, o.CA)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Error(err)
	}
	return cert, o
}

// The certificate equals a recorded one of cert-manager 1.21, except for its key
// and serial number.
func TestSignCA(t *testing.T) {
	for _, spec := range []pki.KeySpec{{Algorithm: pki.Ed25519}, {Algorithm: pki.ECDSA, Size: 256}, {Algorithm: pki.RSA, Size: 2048}} {
		key := newKey(t, spec)
		r := newRequest(t, pki.Template{
			CommonName: "selfsigned-ready", Subject: pki.Subject{Organizations: []string{"bench"}}, IsCA: true, EncodeUsages: true,
		}, key)
		r.IsCA = true
		r.Issuer.SelfSigned.CRLDistributionPoints = []string{"http://crl.test"}
		cert, o := sign(t, r, key)
		want := pki.LeafFacts{
			CommonName: "selfsigned-ready", Subject: pki.Subject{Organizations: []string{"bench"}},
			NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour),
			Key: spec, KeyDigest: pki.DigestOf(key.Public()),
		}
		if diff := cmp.Diff(want, pki.FactsOf(cert), cmpopts.IgnoreFields(pki.LeafFacts{}, "Digest", "CertID")); diff != "" {
			t.Error(diff)
		}
		usage := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign
		if !cert.IsCA || cert.KeyUsage != usage || cert.ExtKeyUsage != nil || cert.Issuer.CommonName != "selfsigned-ready" {
			t.Errorf("CA %t, usages %b %v, issuer %s", cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage, cert.Issuer)
		}
		if len(cert.SubjectKeyId) == 0 || cert.MaxPathLen != -1 {
			t.Error("no subject key id, or a path length")
		}
		if diff := cmp.Diff([]string{"http://crl.test"}, cert.CRLDistributionPoints); diff != "" {
			t.Error(diff)
		}
		if o.Warning != "" || o.WarningReason != "" {
			t.Errorf("warning %q", o.Warning)
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
			t.Error(err)
		}
	}
}

func TestSignEmptySubject(t *testing.T) {
	key := newKey(t, pki.KeySpec{Algorithm: pki.ECDSA})
	r := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key)
	r.Duration = time.Hour
	cert, o := sign(t, r, key)
	if !cert.NotAfter.Equal(now.Add(time.Hour)) || cert.IsCA {
		t.Errorf("valid until %v, CA %v", cert.NotAfter, cert.IsCA)
	}
	const want = "Certificate will be issued with an empty Issuer DN, which contravenes RFC 5280 and could break some strict clients"
	if o.Warning != want || o.WarningReason != "BadConfig" {
		t.Errorf("%s: %q", o.WarningReason, o.Warning)
	}
}

func TestSignFails(t *testing.T) {
	const named = `Failed to get key "key" referenced in annotation "cert-manager.io/private-key-secret-name"`
	at := now.Add(time.Hour)
	for name, tc := range map[string]struct {
		change func(*issuer.Request)
		keys   keys
		want   fault.Error
	}{
		"no annotation": {
			change: func(r *issuer.Request) { r.Key.Name = "" },
			want: fault.Error{
				Class: fault.Permanent, Reason: "MissingAnnotation",
				Message: `Annotation "cert-manager.io/private-key-secret-name" missing or reference empty: secret name missing`,
			},
		},
		"no Secret": {
			want: fault.Error{Class: fault.User, Reason: "MissingSecret", Message: "Referenced secret apps/key not found"},
		},
		"no key in it": {
			keys: keys{data: []byte("x")},
			want: fault.Error{Class: fault.User, Reason: "ErrorParsingKey", Message: named + ": no PEM data was found in given input"},
		},
		"unreadable": {
			keys: keys{err: errors.New("read tcp 10.0.0.1:35412: reset")},
			want: fault.Error{Class: fault.Transient, Reason: "ErrorGettingSecret", Message: named},
		},
		"unreadable until later": {
			keys: keys{err: fault.Until(at, "x", "busy")},
			want: fault.Error{Class: fault.Later, Reason: "ErrorGettingSecret", Message: named, At: at},
		},
		"key of another": {
			keys: keys{key: newKey(t, pki.KeySpec{Algorithm: pki.ECDSA})},
			want: fault.Error{
				Class: fault.Permanent, Reason: "ErrorKeyMatch",
				Message: "Error generating certificate template: CSR not signed by referenced private key",
			},
		},
		"bad request": {
			change: func(r *issuer.Request) { r.CSR = []byte("x") },
			keys:   keys{key: newKey(t, pki.KeySpec{Algorithm: pki.ECDSA})},
			want: fault.Error{
				Class: fault.Permanent, Reason: "ErrorGenerating",
				Message: "Error generating certificate template: no PEM data was found in given input",
			},
		},
		"other issuer": {
			change: func(r *issuer.Request) { r.Issuer.SelfSigned = nil },
			want:   fault.Error{Class: fault.User, Reason: "IssuerTypeMissing", Message: "Missing issuer type: not a self-signed issuer"},
		},
	} {
		r := newRequest(t, pki.Template{CommonName: "x"}, newKey(t, pki.KeySpec{Algorithm: pki.ECDSA}))
		if tc.change != nil {
			tc.change(&r)
		}
		_, err := New(tc.keys, pki.Limits{}).Sign(t.Context(), r)
		if diff := cmp.Diff(&tc.want, fault.Of(err), cmpopts.IgnoreFields(fault.Error{}, "Err")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
