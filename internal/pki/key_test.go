package pki

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestKeySpecValidate(t *testing.T) {
	for _, tc := range []struct {
		spec KeySpec
		want string
	}{
		{KeySpec{}, ""},
		{KeySpec{Algorithm: RSA, Size: 2048}, ""},
		{KeySpec{Algorithm: RSA, Size: 3000}, ""},
		{KeySpec{Algorithm: RSA, Size: 8192}, ""},
		{KeySpec{Algorithm: RSA, Size: 2047}, "RSA keys of 2047 bits are not supported: the size must be between 2048 and 8192"},
		{KeySpec{Algorithm: RSA, Size: 8193}, "RSA keys of 8193 bits are not supported: the size must be between 2048 and 8192"},
		{KeySpec{Algorithm: RSA, Size: -1}, ""},
		{KeySpec{Algorithm: ECDSA, Size: -256}, ""},
		{KeySpec{Algorithm: ECDSA}, ""},
		{KeySpec{Algorithm: ECDSA, Size: 521}, ""},
		{KeySpec{Algorithm: ECDSA, Size: 512}, "ECDSA keys of 512 bits are not supported: the size must be 256, 384 or 521"},
		{KeySpec{Algorithm: Ed25519, Size: 17}, ""},
		{KeySpec{Algorithm: "DSA"}, `key algorithm "DSA" is not supported: it must be RSA, ECDSA or Ed25519`},
	} {
		if got := text(tc.spec.Validate()); got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.spec, got, tc.want)
		}
	}
}

func TestKeyRoundTrip(t *testing.T) {
	for _, tc := range []struct {
		spec     KeySpec
		encoding Encoding
		block    string
	}{
		{KeySpec{}, "", "RSA PRIVATE KEY"},
		{KeySpec{Algorithm: RSA, Size: 2056}, PKCS1, "RSA PRIVATE KEY"},
		{KeySpec{Algorithm: RSA}, PKCS8, "PRIVATE KEY"},
		{KeySpec{Algorithm: ECDSA}, "", "EC PRIVATE KEY"},
		{KeySpec{Algorithm: ECDSA, Size: 384}, PKCS1, "EC PRIVATE KEY"},
		{KeySpec{Algorithm: ECDSA, Size: 521}, PKCS8, "PRIVATE KEY"},
		{KeySpec{Algorithm: Ed25519}, PKCS1, "PRIVATE KEY"},
		{KeySpec{Algorithm: Ed25519}, PKCS8, "PRIVATE KEY"},
	} {
		key, err := GenerateKey(tc.spec)
		if err != nil {
			t.Fatalf("%+v: %v", tc.spec, err)
		}
		if got, _ := SpecOf(key.Public()); got != tc.spec.WithDefaults() {
			t.Errorf("%+v: generated %+v", tc.spec, got)
		}
		encoded, err := EncodeKey(key, tc.encoding)
		if err != nil {
			t.Fatalf("%+v: %v", tc.spec, err)
		}
		if block, _ := pem.Decode(encoded); block.Type != tc.block {
			t.Errorf("%+v %s: block %q, want %q", tc.spec, tc.encoding, block.Type, tc.block)
		}
		back, err := ParseKey(encoded, Limits{})
		if err != nil {
			t.Fatalf("%+v: %v", tc.spec, err)
		}
		if !PublicKeysEqual(key.Public(), back.Public()) || DigestOf(key.Public()) != DigestOf(back.Public()) {
			t.Errorf("%+v: decoded to another key", tc.spec)
		}
	}
	if _, err := EncodeKey(newKey(t), "DER"); text(err) != `private key encoding "DER" is not supported: it must be PKCS1 or PKCS8` {
		t.Error(err)
	}
}

func TestParseKey(t *testing.T) {
	key := newKey(t)
	sec1, _ := EncodeKey(key, PKCS1)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agreement, err := x509.MarshalPKCS8PrivateKey(x25519)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte, headers map[string]string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der, Headers: headers})
	}
	params := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, nil)
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"openssl ecparam":  {append(params, sec1...), ""},
		"text around":      {append([]byte("my key:\n"), append(sec1, "\nbye"...)...), ""},
		"empty":            {nil, "no PEM data was found in given input"},
		"no PEM":           {[]byte("hello"), "no PEM data was found in given input"},
		"at the limit":     {append(sec1, strings.Repeat("\n", 13000-len(sec1))...), ""},
		"beyond the limit": {append(sec1, strings.Repeat("\n", 13001-len(sec1))...), "provided PEM data was larger than the maximum 13000B"},
		"a certificate":    {block("CERTIFICATE", []byte{1}, nil), `PEM block is of type "CERTIFICATE", not "PRIVATE KEY"`},
		"a long type":      {block(strings.Repeat("x", 100), []byte{1}, nil), `PEM block is of type "` + strings.Repeat("x", 40) + `...", not "PRIVATE KEY"`},
		"encrypted":        {block("ENCRYPTED PRIVATE KEY", []byte{1}, nil), "private key is encrypted, and no password can be given for it"},
		"encrypted of old": {block("RSA PRIVATE KEY", []byte{1}, map[string]string{"Proc-Type": "4,ENCRYPTED"}), "private key is encrypted, and no password can be given for it"},
		"key agreement":    {block("PRIVATE KEY", agreement, nil), "private key of type *ecdh.PrivateKey cannot sign"},
	} {
		got, err := ParseKey(tc.data, Limits{})
		if text(err) != tc.want {
			t.Errorf("%s: got %q, want %q", name, text(err), tc.want)
		}
		if err == nil && !PublicKeysEqual(got.Public(), key.Public()) {
			t.Errorf("%s: another key", name)
		}
		var data *DataError
		if err != nil && !errors.As(err, &data) {
			t.Errorf("%s: %T is not a DataError", name, err)
		}
	}
	if _, err := ParseKey(sec1, Limits{MaxPrivateKeySize: 10}); text(err) != "provided PEM data was larger than the maximum 10B" {
		t.Error(err)
	}
}

func TestPublicKeysEqual(t *testing.T) {
	a, b := newKey(t), newKey(t)
	if !PublicKeysEqual(a.Public(), a.Public()) || PublicKeysEqual(a.Public(), b.Public()) || PublicKeysEqual(nil, nil) {
		t.Error("wrong")
	}
	if DigestOf(nil) != (KeyDigest{}) || !DigestOf(nil).IsZero() || DigestOf(a.Public()).IsZero() {
		t.Error("wrong digest")
	}
}

func TestKeyPool(t *testing.T) {
	pool := NewKeyPool(2)
	key, err := pool.Generate(t.Context(), "app", KeySpec{})
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := key.(*rsa.PrivateKey); !ok || k.N.BitLen() != 2048 {
		t.Errorf("got %T", key)
	}
	if _, err := pool.Generate(t.Context(), "app", KeySpec{Size: 1024}); err == nil {
		t.Error("made a key of 1024 bits")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pool.Generate(ended, "app", KeySpec{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if pool.free != 2 || pool.large != 1 || len(pool.turns)+len(pool.waiting) != 0 {
		t.Error("a slot is lost")
	}
}

// A pool full of large keys still generates small ones. A full pool still
// generates keys other than RSA. A caller that gives up holds no slot.
func TestKeyPoolWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewKeyPool(2)
		acquire := func(large bool) func() {
			if err := pool.acquire(t.Context(), "app", large); err != nil {
				t.Fatal(err)
			}
			return func() { pool.release(large) }
		}
		releaseLarge := acquire(true)

		ctx, cancel := context.WithCancel(t.Context())
		var secondLarge error
		go func() { secondLarge = pool.acquire(ctx, "app", true) }()
		synctest.Wait()
		if pool.free != 1 {
			t.Error("a second large key got a slot")
		}
		releaseSmall := acquire(false)

		var third error
		go func() { third = pool.acquire(ctx, "app", false) }()
		synctest.Wait()
		if _, err := pool.Generate(t.Context(), "app", KeySpec{Algorithm: ECDSA, Size: 256}); err != nil {
			t.Error(err)
		}
		cancel()
		synctest.Wait()
		if !errors.Is(secondLarge, context.Canceled) || !errors.Is(third, context.Canceled) {
			t.Errorf("got %v, %v", secondLarge, third)
		}
		releaseLarge()

		// A caller gives up waiting for a large key while small keys hold all
		// slots.
		otherSmall := acquire(false)
		ctx, cancel = context.WithCancel(t.Context())
		var fourth error
		go func() { fourth = pool.acquire(ctx, "app", true) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(fourth, context.Canceled) {
			t.Errorf("got %v", fourth)
		}
		otherSmall()
		releaseSmall()
		if pool.free != 2 || pool.large != 1 || len(pool.turns)+len(pool.waiting) != 0 {
			t.Error("a slot is lost")
		}
		acquire(true)()
	})
}

// TestKeyPoolTakesTurns holds that a tenant with many keys to make delays the
// first key of another by one key, and that one that has given up delays nobody.
func TestKeyPoolTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewKeyPool(1)
		if err := pool.acquire(t.Context(), "many", false); err != nil {
			t.Fatal(err)
		}
		var order []string
		abandoned, abandon := context.WithCancel(t.Context())
		want := func(ctx context.Context, tenant string, large bool) {
			go func() {
				if pool.acquire(ctx, tenant, large) == nil {
					order = append(order, tenant)
					pool.release(large)
				}
			}()
			synctest.Wait()
		}
		for range 3 {
			want(abandoned, "gone", true)
		}
		for range 3 {
			want(t.Context(), "many", false)
		}
		want(t.Context(), "one", true)
		want(t.Context(), "two", false)
		abandon()
		synctest.Wait()
		pool.release(false)
		synctest.Wait()
		if got := []string{"many", "one", "two", "many", "many"}; !slices.Equal(got, order) {
			t.Errorf("keys are made for %q, want %q", order, got)
		}
		if pool.free != 1 || pool.large != 1 || len(pool.turns)+len(pool.waiting) != 0 {
			t.Errorf("something is lost: %+v", pool)
		}
	})
}

func TestKeyPoolGenerateEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewKeyPool(1)
		finish := make(chan struct{})
		pool.generate = func(KeySpec) (crypto.Signer, error) {
			<-finish
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got error
		go func() { _, got = pool.Generate(ctx, "app", KeySpec{}) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(got, context.Canceled) || pool.free != 0 {
			t.Errorf("got %v with %d slots free", got, pool.free)
		}
		close(finish)
		synctest.Wait()
		if pool.free != 1 {
			t.Error("a slot is lost")
		}
	})
}

// newKey returns a new P-256 key.
func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	return mustKey(t, KeySpec{Algorithm: ECDSA, Size: elliptic.P256().Params().BitSize})
}

func mustKey(t testing.TB, spec KeySpec) crypto.Signer {
	t.Helper()
	key, err := GenerateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
