package pki

import (
	"crypto/x509"
	"math/big"
	"testing"
)

func TestCertID(t *testing.T) {
	keyID := []byte{
		0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3,
		0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
	}
	for name, test := range map[string]struct {
		cert x509.Certificate
		want string
	}{
		// The example of RFC 9773 section 4.1: the serial number has a leading zero byte.
		"the RFC's example":     {x509.Certificate{AuthorityKeyId: keyID, SerialNumber: big.NewInt(0x87654321)}, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
		"no leading zero":       {x509.Certificate{AuthorityKeyId: keyID, SerialNumber: big.NewInt(0x17654321)}, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.F2VDIQ"},
		"zero":                  {x509.Certificate{AuthorityKeyId: keyID, SerialNumber: big.NewInt(0)}, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA"},
		"without an identifier": {x509.Certificate{SerialNumber: big.NewInt(1)}, ""},
		"without a number":      {x509.Certificate{AuthorityKeyId: keyID}, ""},
	} {
		if got := CertID(&test.cert); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
