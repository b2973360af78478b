package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func FuzzParseKey(f *testing.F) {
	for _, spec := range []KeySpec{{}, {Algorithm: ECDSA}, {Algorithm: Ed25519}} {
		for _, encoding := range []Encoding{PKCS1, PKCS8} {
			data, err := EncodeKey(mustKey(f, spec), encoding)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			block, _ := pem.Decode(data)
			f.Add(block.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, input := range [][]byte{data, wrap(blockPKCS8, data), wrap(blockPKCS1, data), wrap(blockSEC1, data)} {
			key, err := ParseKey(input, Limits{})
			if err != nil {
				continue
			}
			// A parsed key must survive encoding.
			encoded, err := EncodeKey(key, PKCS8)
			if err != nil {
				continue
			}
			back, err := ParseKey(encoded, Limits{})
			if err != nil || !PublicKeysEqual(key.Public(), back.Public()) {
				t.Errorf("decoded to another key: %v", err)
			}
			SpecOf(key.Public())
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	key := newKey(f)
	for _, in := range []Template{
		{CommonName: "a.test", EncodeUsages: true, IsCA: true},
		{DNSNames: []string{"a.test"}},
		{LiteralSubject: "CN=a+OU=b,O=c", OtherNames: []OtherName{{"1.2.3", "x"}}, IsCA: true, NameConstraints: &corporate},
		{CommonName: "a", URIs: []string{"urn:x"}, IPAddresses: []string{"::1"}, EmailAddresses: []string{"a@b.test"}, Usages: []string{"any"}, EncodeUsages: true},
	} {
		block, _ := pem.Decode(mustRequest(f, in, key))
		f.Add(block.Bytes)
	}
	root := newAuthority(f, "root", nil, KeySpec{Algorithm: ECDSA})
	f.Fuzz(func(t *testing.T, der []byte) {
		csr, err := ParseRequest(wrap(blockRequest, der), Limits{})
		if err != nil {
			return
		}
		FactsOfRequest(csr)
		_ = VerifyRequest(csr)
		// Also without a valid signature: the fuzzer cannot make one.
		template, err := CertificateFromRequest(csr, SignOptions{NotBefore: start, NotAfter: end})
		if err != nil {
			return
		}
		cert, err := Sign(template, root.cert, csr.PublicKey, root.key)
		if err != nil {
			return
		}
		if !bytes.Equal(cert.RawSubject, csr.RawSubject) || cert.IsCA {
			t.Error("not what was requested")
		}
		FactsOf(cert)
	})
}

// FuzzLiteralSubject holds that a request has the subject that it is asked for with,
// whatever that is.
func FuzzLiteralSubject(f *testing.F) {
	for _, text := range []string{
		"CN=www,OU=Web,O=Example\\, Inc.,C=PT", "UID=me+CN=a,DC=corp,DC=example", "1.2.3=#0c0161,2.5.4.97=\\C3\\84", "CN=\\20 a\\20;O=b",
		"=", ",", "CN", "CN=#0484ffffffff", "CN=#", "CN=\\", "CN=\\f", "0=a", "9.9.9=a", "-1.-2=a", "CN=a,,O=b", "CN=a+", " ",
	} {
		f.Add(text)
	}
	key := mustKey(f, KeySpec{Algorithm: Ed25519})
	f.Fuzz(func(t *testing.T, text string) {
		template := Template{LiteralSubject: text, DNSNames: []string{"a.test"}}
		template.CanonicalCommonName()
		want, wantErr := template.SubjectDigest()
		data, err := BuildRequest(template, key, Limits{})
		if err != nil {
			return
		}
		if wantErr != nil {
			t.Fatalf("a request for a subject that cannot be encoded: %v", wantErr)
		}
		csr, err := ParseRequest(data, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if FactsOfRequest(csr).SubjectDigest != want {
			t.Errorf("the request has the subject %x", csr.RawSubject)
		}
	})
}

func FuzzParseChain(f *testing.F) {
	root := newAuthority(f, "root", nil, KeySpec{Algorithm: ECDSA})
	leaf := issue(f, everything, newKey(f), root, SignOptions{NotBefore: start, NotAfter: end})
	f.Add(leaf.Raw, root.cert.Raw)
	f.Add(root.cert.Raw, root.cert.Raw)
	f.Add(EncodeChain(leaf, root.cert), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		_, _ = ParseBundle(a, Limits{})
		certs, err := ParseChain(append(wrap(blockCertificate, a), wrap(blockCertificate, b)...), Limits{})
		if err != nil {
			return
		}
		for _, cert := range certs {
			facts := FactsOf(cert)
			RenewalTime(facts.NotBefore, facts.NotAfter, nil, nil)
		}
		ordered, err := OrderChain(append(certs, root.cert))
		if err != nil {
			return
		}
		back, err := ParseChain(EncodeChain(ordered...), Limits{})
		if err != nil || !equal(back, ordered) {
			t.Errorf("decoded to another chain: %v", err)
		}
	})
}

func equal(a, b []*x509.Certificate) bool {
	return bytes.Equal(EncodeChain(a...), EncodeChain(b...))
}

func wrap(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
