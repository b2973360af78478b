package facts

import (
	"crypto"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/internal/pki"
)

// TestIssuerNotAfter has chains and bundles with certificates that have signed the
// leaf, and with others.
func TestIssuerNotAfter(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := func(years int) time.Time { return start.AddDate(years, 0, 0) }
	must := func(cert *x509.Certificate, err error) *x509.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	newKey := func() crypto.Signer {
		key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	serial := int64(0)
	sign := func(name string, key crypto.Signer, isCA bool, years int, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
		serial++
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), NotBefore: start, NotAfter: end(years), IsCA: isCA, BasicConstraintsValid: true, DNSNames: []string{"a.example.com"},
		}
		template.Subject.CommonName = name
		if parent == nil {
			parent = template
		}
		return must(pki.Sign(template, parent, key.Public(), parentKey))
	}
	rootKey, midKey, leafKey, otherKey := newKey(), newKey(), newKey(), newKey()
	root := sign("root", rootKey, true, 20, nil, rootKey)
	other := sign("other", otherKey, true, 1, nil, otherKey)
	cross := sign("root", rootKey, true, 2, other, otherKey)
	mid := sign("mid", midKey, true, 10, root, rootKey)
	midOld := sign("mid", midKey, true, 3, root, rootKey)
	renamed := sign("root", otherKey, true, 4, nil, otherKey)
	shortRoot := sign("root", rootKey, true, 5, nil, rootKey)
	leaf := sign("", leafKey, false, 8, mid, midKey)
	direct := sign("", leafKey, false, 8, root, rootKey)
	self := sign("self", leafKey, true, 8, nil, leafKey)
	list := func(certs ...*x509.Certificate) []*x509.Certificate { return certs }
	for _, test := range []struct {
		name      string
		chain, ca []*x509.Certificate
		want      int
	}{
		{"leaf alone", list(leaf), nil, 0},
		{"its issuer", list(leaf, mid), nil, 10},
		{"its issuer, in the bundle", list(leaf), list(mid), 10},
		{"up to the root", list(leaf, mid), list(root), 10},
		{"root that ends first", list(leaf, mid), list(shortRoot), 5},
		{"root twice: the later end counts", list(leaf, mid), list(shortRoot, root), 10},
		{"issuer twice: the later end counts", list(leaf, midOld), list(mid, root), 10},
		{"old CA in the bundle", list(leaf, mid), list(root, other), 10},
		{"old CA of the issuer's name in the bundle", list(direct), list(root, renamed), 20},
		{"cross-signed root at the end", list(leaf, mid, cross), nil, 10},
		{"cross-signed root, and who has signed it", list(leaf, mid, cross), list(other), 1},
		{"by the cross-signed root alone", list(direct, cross), nil, 2},
		{"its own issuer", list(self), list(self), 0},
		{"another's", list(leaf), list(other), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := OfSecret(&corev1.Secret{Data: map[string][]byte{"tls.crt": pki.EncodeChain(test.chain...), "ca.crt": pki.EncodeChain(test.ca...)}}, pki.Limits{})
			want := time.Time{}
			if test.want > 0 {
				want = end(test.want)
			}
			if !f.IssuerNotAfter.Equal(want) {
				t.Errorf("until %s, want %s", f.IssuerNotAfter, want)
			}
		})
	}
}
