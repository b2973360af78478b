package keystore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/everleaf/everleaf/internal/pki"
)

// TestHostileStores holds that a store which somebody has made to keep this process
// busy is not opened.
func TestHostileStores(t *testing.T) {
	c, password := content(t, pki.KeySpec{Algorithm: pki.ECDSA}), []byte("changeit")
	for name, encoder := range map[string]*pkcs12.Encoder{"LegacyDES": pkcs12.LegacyDES, "Modern2023": pkcs12.Modern2023, "Modern2026": pkcs12.Modern2026} {
		store, err := encoder.WithIterations(maxIterations+1).Encode(c.Key, c.Chain[0], others(c), string(password))
		if err != nil {
			t.Fatal(err)
		}
		if err := (PKCS12{Profile(name)}).CheckKeystore(store, c, password); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Lengths that would take all memory.
	good, err := JKS{}.Keystore(c, password)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(good) - 24 {
		store := bytes.Clone(good)
		binary.BigEndian.PutUint32(store[at:], 0xfffffff0)
		copy(store[len(store)-20:], digestOf(store[:len(store)-20], password))
		_, _ = readJKS(store, password)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte("\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04X509\x00\x00\x00\x0101234567890123456789"), false)
	f.Add([]byte("\x30\x03\x02\x01\x03"), true)
	f.Fuzz(func(t *testing.T, store []byte, p12 bool) {
		var format Format = JKS{}
		if p12 {
			format = PKCS12{Modern2023}
		}
		if format.CheckTruststore(store, nil, []byte("changeit")) == nil && p12 {
			t.Error("a truststore of nothing")
		}
	})
}
