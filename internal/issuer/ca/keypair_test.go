package ca

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

func TestNoKeyPair(t *testing.T) {
	_, notPEM := ParseKeyPair(nil, nil, pki.Limits{})
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "ca")
	leaf, _ := sign(t, newCA(t, "root", KeyPair{}, pki.SignOptions{}), newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t)))
	for name, tc := range map[string]struct {
		pairs                  pairs
		class                  fault.Class
		reason, message        string
		issuerReason, issuerIs string
	}{
		"missing": {
			pairs{err: notFound},
			fault.User,
			"SecretMissing", "Referenced secret ns/ca not found",
			"ErrGetKeyPair", "Error getting keypair for CA issuer: secret ns/ca not found",
		},
		"bad data": {
			pairs{err: notPEM},
			fault.User,
			"SecretInvalidData", "Failed to parse signing CA keypair from secret ns/ca: no PEM data was found in given input",
			"ErrGetKeyPair", "Error getting keypair for CA issuer: no PEM data was found in given input",
		},
		"not a CA": {
			pairs{pair: NewKeyPair([]*x509.Certificate{leaf}, key(t))},
			fault.User,
			"SecretInvalidData", "Failed to parse signing CA keypair from secret ns/ca: certificate is not a CA",
			"ErrInvalidKeyPair", "Error getting keypair for CA issuer: certificate is not a CA",
		},
		"nothing at all": {
			pairs{},
			fault.User,
			"SecretInvalidData", "Failed to parse signing CA keypair from secret ns/ca: certificate is not a CA",
			"ErrInvalidKeyPair", "Error getting keypair for CA issuer: certificate is not a CA",
		},
		"expired": {
			pairs{pair: newCA(t, "root", KeyPair{}, pki.SignOptions{NotAfter: now.Add(-time.Second)})},
			fault.User,
			"SecretInvalidData", "Failed to parse signing CA keypair from secret ns/ca: the CA certificate has expired on 2026-11-22T05:09:04Z",
			"ErrInvalidKeyPair", "Error getting keypair for CA issuer: the CA certificate has expired on 2026-11-22T05:09:04Z",
		},
		"unreadable": {
			pairs{err: errors.New("read tcp 10.0.0.1:35412: reset")},
			fault.Transient,
			"SecretGetError", "Failed to get certificate key pair from secret ns/ca",
			"ErrGetKeyPair", "Error getting keypair for CA issuer: secret ns/ca cannot be read",
		},
		"classified": {
			pairs{err: fault.New(fault.User, "x", "no permission")},
			fault.User,
			"SecretGetError", "Failed to get certificate key pair from secret ns/ca: no permission",
			"ErrGetKeyPair", "Error getting keypair for CA issuer: no permission",
		},
	} {
		signer := New(tc.pairs, pki.Limits{})
		r := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t))
		_, err := signer.Sign(t.Context(), r)
		checkFault(t, name, err, tc.class, tc.reason, tc.message)
		_, err = signer.Check(t.Context(), issuer.Issuer{Spec: r.Issuer, Namespace: "ns", Now: now})
		checkFault(t, name, err, tc.class, tc.issuerReason, tc.issuerIs)
	}
	begin := now.Add(time.Minute)
	young := New(pairs{pair: newCA(t, "root", KeyPair{}, pki.SignOptions{NotBefore: begin})}, pki.Limits{})
	r := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t))
	_, err := young.Sign(t.Context(), r)
	checkFault(t, "not yet valid", err, fault.User, "SecretInvalidData",
		"Failed to parse signing CA keypair from secret ns/ca: the CA certificate is not valid before 2026-11-22T05:10:05Z")
	_, err = young.Check(t.Context(), issuer.Issuer{Spec: r.Issuer, Namespace: "ns", Now: now})
	checkFault(t, "not yet valid", err, fault.Later, "ErrInvalidKeyPair",
		"Error getting keypair for CA issuer: the CA certificate is not valid before 2026-11-22T05:10:05Z")
	if at := fault.Of(err).At; !at.Equal(begin) {
		t.Errorf("not yet valid: checked again at %s, want %s", at, begin)
	}

	end := now.Add(time.Hour)
	good := newCA(t, "root", KeyPair{}, pki.SignOptions{NotAfter: end})
	spec := &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}}
	got, err := New(pairs{pair: good}, pki.Limits{}).Check(t.Context(), issuer.Issuer{Spec: spec, Namespace: "ns", Now: end})
	if want := (issuer.Status{Reason: "KeyPairVerified", Message: "Signing CA verified", Until: end.Add(time.Second)}); got != want || err != nil {
		t.Errorf("got %+v, want %+v, error %v", got, want, err)
	}
}

func TestParseKeyPair(t *testing.T) {
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{})
	lower := newCA(t, "lower", newCA(t, "middle", root, pki.SignOptions{}), pki.SignOptions{})
	encoded, err := pki.EncodeKey(lower.Key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	shuffled := pki.EncodeChain(lower.Chain[2], lower.Chain[0], lower.Chain[1])
	pair, err := ParseKeyPair(shuffled, encoded, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if string(pki.EncodeChain(pair.Chain...)) != string(pki.EncodeChain(lower.Chain...)) || !pki.PublicKeysEqual(pair.Key.Public(), lower.Key.Public()) {
		t.Error("another chain or key")
	}
	for name, tc := range map[string]struct {
		crt, key []byte
		want     string
	}{
		"key of another": {pki.EncodeChain(root.Chain...), encoded, "private key does not match the certificate"},
		"gap":            {pki.EncodeChain(lower.Chain[0], lower.Chain[2]), encoded, pki.ErrBrokenChain.Error()},
		"no certificate": {encoded, encoded, `PEM block is of type "PRIVATE KEY", not "CERTIFICATE"`},
	} {
		_, err := ParseKeyPair(tc.crt, tc.key, pki.Limits{})
		var data *pki.DataError
		if !errors.As(err, &data) || err.Error() != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
