package certificate

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

func TestKeyOfSpec(t *testing.T) {
	spec := &cmv1.CertificateSpec{}
	samePlan(t, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, KeySpecOf(spec))
	samePlan(t, pki.PKCS1, EncodingOf(spec))
	spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm}
	samePlan(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}, KeySpecOf(spec))
	samePlan(t, pki.PKCS1, EncodingOf(spec))
	// The API takes a negative size, as cert-manager does.
	spec.PrivateKey.Size = -1
	samePlan(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}, KeySpecOf(spec))
	spec.PrivateKey.Encoding = cmv1.PKCS8
	samePlan(t, pki.PKCS8, EncodingOf(spec))
}

func TestRequestName(t *testing.T) {
	long := strings.Repeat("x", 234)
	for crt, want := range map[string]string{
		"web":      "web-7",
		long[:233]: long[:233] + "-7",
		long:       fmt.Sprintf("%s-%x-7", long[:168], sha256.Sum256([]byte(long))),
	} {
		if got := RequestName(crt, 7); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if RequestName(long, 1) == RequestName(long+"x", 1) {
		t.Error("long names collide")
	}
}
