package keystore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/pki"
)

var formats = map[string]Format{
	"LegacyRC2": PKCS12{LegacyRC2}, "no profile": PKCS12{}, "unknown profile": PKCS12{"Modern1999"},
	"LegacyDES": PKCS12{LegacyDES}, "Modern2023": PKCS12{Modern2023}, "Modern2026": PKCS12{Modern2026},
	"JKS": JKS{Created: born}, "JKS with an alias": JKS{Alias: "Web", Created: born},
}

// TestChecks holds that each store passes the check of what it was made from, and of
// nothing else.
func TestChecks(t *testing.T) {
	c, other := content(t, pki.KeySpec{Algorithm: pki.ECDSA}), content(t, pki.KeySpec{Algorithm: pki.ECDSA})
	password := []byte("pass word")
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			keystore, err := f.Keystore(c, password)
			if err != nil {
				t.Fatal(err)
			}
			truststore, err := f.Truststore(c.CAs, password)
			if err != nil {
				t.Fatal(err)
			}
			without := c
			without.CAs = nil
			shorter := c
			shorter.Chain = c.Chain[:1]
			otherKey := c
			otherKey.Key = other.Key
			wantKey := errKey
			if _, jks := f.(JKS); jks {
				// The key is not decrypted.
				wantKey = nil
			}
			for _, test := range []struct {
				what      string
				got, want error
			}{
				{"keystore", f.CheckKeystore(keystore, c, password), nil},
				{"truststore", f.CheckTruststore(truststore, c.CAs, password), nil},
				{"keystore, password", f.CheckKeystore(keystore, c, []byte("pass word ")), errPassword},
				{"truststore, password", f.CheckTruststore(truststore, c.CAs, nil), errPassword},
				{"key", f.CheckKeystore(keystore, otherKey, password), wantKey},
				{"no CA", f.CheckKeystore(keystore, without, password), errContent},
				{"shorter chain", f.CheckKeystore(keystore, shorter, password), errContent},
				{"other CA", f.CheckTruststore(truststore, other.CAs, password), errContent},
				{"two CAs", f.CheckTruststore(truststore, append(slices.Clone(c.CAs), other.CAs...), password), errContent},
				{"nothing", f.CheckKeystore(nil, c, password), errMalformed},
				{"half", f.CheckKeystore(keystore[:len(keystore)/2], c, password), errMalformed},
				{"more", f.CheckTruststore(append(slices.Clone(truststore), 0), c.CAs, password), errMalformed},
			} {
				if !errors.Is(test.got, test.want) {
					t.Errorf("%s: %v, want %v", test.what, test.got, test.want)
				}
			}
		})
	}
	p12, jks := formats["Modern2023"], formats["JKS"]
	keystore, _ := p12.Keystore(c, password)
	for name, want := range map[string]error{"LegacyRC2": errProfile, "LegacyDES": errProfile, "Modern2023": nil, "Modern2026": errProfile} {
		if err := formats[name].CheckKeystore(keystore, c, password); !errors.Is(err, want) {
			t.Errorf("Modern2023 as %s: %v, want %v", name, err, want)
		}
	}
	legacy, _ := formats["LegacyRC2"].Truststore(c.CAs, password)
	if err := formats["LegacyDES"].CheckTruststore(legacy, c.CAs, password); !errors.Is(err, errProfile) {
		t.Errorf("LegacyRC2 as LegacyDES: %v", err)
	}
	keystore, _ = jks.Keystore(c, password)
	if err := formats["JKS with an alias"].CheckKeystore(keystore, c, password); !errors.Is(err, errAlias) {
		t.Errorf("JKS with another alias: %v", err)
	}
}

// TestPrograms opens each store by keytool and openssl.
func TestPrograms(t *testing.T) {
	for spec, names := range map[pki.KeySpec][]string{
		{Algorithm: pki.RSA, Size: 2048}: {"LegacyRC2", "LegacyDES", "Modern2023", "Modern2026", "JKS"},
		{Algorithm: pki.ECDSA}:           {"no profile", "Modern2023", "JKS with an alias"},
		{Algorithm: pki.Ed25519}:         {"Modern2026", "JKS"},
	} {
		c := content(t, spec)
		for _, name := range names {
			f := formats[name]
			t.Run(fmt.Sprintf("%s %s", spec.Algorithm, name), func(t *testing.T) {
				t.Parallel()
				opens(t, f, c)
			})
		}
	}
}

// opens opens the stores of a format by other people's programs.
func opens(t *testing.T, f Format, c Content) {
	t.Helper()
	const password = "Zq01$BKr9P"
	keystore, err := f.Keystore(c, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	truststore, err := f.Truststore(c.CAs, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := f.(PKCS12); ok {
		openssl(t, p, keystore, password)
		if p.Profile == Modern2026 {
			// The keytool of Java 17 does not know PBMAC1.
			return
		}
		isList(t, "PKCS12", keystore, password, "PrivateKeyEntry 1, trustedCertEntry 0, Certificate chain length: 3 1")
		isList(t, "PKCS12", truststore, password, "PrivateKeyEntry 0, trustedCertEntry 1, Certificate chain length: 3 0")
		if out, err := list(t, "PKCS12", keystore, password+"x"); err == nil {
			t.Errorf("keytool opens it with another password:\n%s", out)
		}
		return
	}
	out := isList(t, "JKS", keystore, password, "PrivateKeyEntry 1, trustedCertEntry 1, Certificate chain length: 3 0")
	alias := f.(JKS).alias()
	for _, want := range []string{"Alias name: " + alias + "\n", "Alias name: ca\n", "Certificate chain length: 2\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	isList(t, "JKS", truststore, password, "PrivateKeyEntry 0, trustedCertEntry 1, Certificate chain length: 3 0")
	// The key opens with the password, and with no other.
	file := write(t, keystore)
	for _, keyPassword := range []string{password, "another1"} {
		out, err := run(t, "keytool", "-importkeystore", "-noprompt", "-srckeystore", file, "-srcstoretype", "JKS", "-srcalias", alias,
			"-srcstorepass", password, "-srckeypass", keyPassword, "-destkeystore", t.TempDir()+"/copy.p12", "-deststoretype", "PKCS12", "-deststorepass", "copied-1")
		if opened := err == nil; opened != (keyPassword == password) {
			t.Errorf("the key opens with %q: %t\n%s", keyPassword, opened, out)
		}
	}
}

// isList lists a store by keytool and compares the numbers of entries.
func isList(t *testing.T, kind string, store []byte, password, want string) string {
	t.Helper()
	out, err := list(t, kind, store, password)
	if got := counts(out, "PrivateKeyEntry", "trustedCertEntry", "Certificate chain length: 3"); err != nil || got != want {
		t.Errorf("keytool: %v, %s, want %s\n%s", err, got, want, out)
	}
	return out
}

// openssl opens a keystore by openssl, and finds the algorithms of its profile.
func openssl(t *testing.T, f PKCS12, keystore []byte, password string) {
	t.Helper()
	file := write(t, keystore)
	out, err := run(t, "openssl", "pkcs12", "-in", file, "-info", "-nodes", "-legacy", "-passin", "pass:"+password)
	want := map[Profile][]string{
		"":         {"MAC: sha1, Iteration 1\n", "salt length: 8", "pbeWithSHA1And40BitRC2-CBC, Iteration 2048", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048"},
		LegacyDES:  {"MAC: sha1, Iteration 1\n", "salt length: 8", "Certificate bag", "Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048", "Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048"},
		Modern2023: {"MAC: sha256, Iteration 2048\n", "salt length: 16", "Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 2048, PRF hmacWithSHA256", "Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 2048, PRF hmacWithSHA256"},
	}
	want[LegacyRC2], want["Modern1999"] = want[""], want[""]
	if f.Profile == Modern2026 {
		// The openssl of Debian 12 is older than PBMAC1. It shows what it is.
		out, err = run(t, "openssl", "asn1parse", "-inform", "DER", "-in", file, "-i")
		want[Modern2026] = []string{":PBMAC1", "PBKDF2", "hmacWithSHA256"}
	} else {
		want[f.Profile] = append(want[f.Profile], "localKeyID", "PRIVATE KEY")
		if n := strings.Count(out, "BEGIN CERTIFICATE"); n != 3 {
			t.Errorf("%d certificates", n)
		}
		if strings.Contains(out, "friendlyName") {
			t.Error("an entry has a name")
		}
	}
	for _, words := range want[f.Profile] {
		if err != nil || !strings.Contains(out, words) {
			t.Errorf("openssl: %v, no %q in\n%s", err, words, out)
		}
	}
}

// TestPasswords has passwords as people choose them. keytool and openssl open the stores
// with the password as it is typed.
func TestPasswords(t *testing.T) {
	c := content(t, pki.KeySpec{Algorithm: pki.ECDSA})
	notText := []byte{0xa5, 0xab, 0x2c, 0xc2, 0x8a, 0xdd}
	const (
		lineBreak = "it ends in a line break, which is part of the password; to leave it out, write the password with 'echo -n'"
		noText    = "it is not text in UTF-8, so nobody can type it; if it was written under 'data' without base64 encoding, write it under 'stringData'"
		notASCII  = "it has other characters than printable ASCII, with which Java cannot open a PKCS#12 keystore"
		notJava   = "it has characters beyond U+00FF, with which Java cannot open a JKS keystore that everleaf makes; use others, or PKCS#12"
	)
	for _, test := range []struct {
		password string
		// on are the remarks by format.
		on map[string][]string
		// java are the formats in which keytool opens the store.
		java string
	}{
		{"hunter2", nil, "JKS"},
		{"hunter2\n", map[string][]string{"LegacyRC2": {lineBreak}, "Modern2023": {lineBreak}, "JKS": {lineBreak}}, "JKS"},
		{"hunter2\r\n", map[string][]string{"LegacyRC2": {lineBreak}, "Modern2023": {lineBreak}, "JKS": {lineBreak}}, ""},
		{"pässwort", map[string][]string{"LegacyRC2": {notASCII}, "Modern2023": {notASCII}}, "JKS"},
		{"пароль", map[string][]string{"LegacyRC2": {notASCII}, "Modern2023": {notASCII}, "JKS": {notJava}}, ""},
		{"\U0001f511 key", map[string][]string{"LegacyRC2": {notASCII}, "Modern2023": {notASCII}, "JKS": {notJava}}, ""},
		{string(notText), map[string][]string{"LegacyRC2": {noText, notASCII}, "Modern2023": {noText, notASCII}, "JKS": {noText}}, ""},
	} {
		t.Run(fmt.Sprintf("%q", test.password), func(t *testing.T) {
			t.Parallel()
			password := []byte(test.password)
			for _, name := range []string{"LegacyRC2", "Modern2023", "JKS"} {
				f := formats[name]
				if diff := cmp.Diff(test.on[name], f.Remarks(password)); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				store, err := f.Keystore(c, password)
				if _, p12 := f.(PKCS12); p12 && strings.Contains(test.password, "\U0001f511") {
					if err == nil || err.Error() != "pkcs12: string contains characters that cannot be encoded in UCS-2" {
						t.Errorf("%s: error %v", name, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := f.CheckKeystore(store, c, password); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for _, typed := range slices.Compact([]string{test.password, strings.TrimSpace(test.password)}) {
					var out string
					var err error
					program := "openssl"
					if _, p12 := f.(PKCS12); p12 && utf8.ValidString(typed) {
						out, err = run(t, program, "pkcs12", "-in", write(t, store), "-nokeys", "-legacy", "-passin", "pass:"+typed)
					} else if program = "keytool"; strings.Contains(test.java, name) {
						out, err = list(t, "JKS", store, typed)
					} else {
						continue
					}
					if opened := err == nil; opened != (typed == test.password) {
						t.Errorf("%s: %s opens it with %q: %t\n%s", name, program, typed, opened, out)
					}
				}
			}
		})
	}
}

// TestCAsOfOneName holds that keytool finds as many trusted certificates as there
// are, though they share their subject.
func TestCAsOfOneName(t *testing.T) {
	var cas []*x509.Certificate
	for range 3 {
		cas = append(cas, newAuthority(t, "root", nil).cert)
	}
	for kind, f := range map[string]Format{"PKCS12": PKCS12{}, "JKS": JKS{}} {
		store, err := f.Truststore(cas, []byte("changeit"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := list(t, kind, store, "changeit")
		if got := counts(out, "trustedCertEntry"); err != nil || got != "trustedCertEntry 3" {
			t.Errorf("%s: %v, %s\n%s", kind, err, got, out)
		}
		if kind == "PKCS12" && !strings.Contains(out, "Alias name: cn=root,o=test\\, inc. (3)") {
			t.Errorf("names\n%s", out)
		}
		if err := f.CheckTruststore(store, cas, []byte("changeit")); err != nil {
			t.Error(err)
		}
	}
	// The alias of a CA is taken by the key.
	c := content(t, pki.KeySpec{Algorithm: pki.ECDSA})
	c.CAs = cas[:2]
	f := JKS{Alias: "CA-1"}
	store, err := f.Keystore(c, []byte("changeit"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CheckKeystore(store, c, []byte("changeit")); err != nil {
		t.Error(err)
	}
	out, err := list(t, "JKS", store, "changeit")
	if got := counts(out, "PrivateKeyEntry", "trustedCertEntry", "name: ca\n", "name: ca-1\n", "name: ca-2\n"); err != nil || got != "PrivateKeyEntry 1, trustedCertEntry 2, name: ca\n 1, name: ca-1\n 1, name: ca-2\n 1" {
		t.Errorf("%v, %s\n%s", err, got, out)
	}
}
