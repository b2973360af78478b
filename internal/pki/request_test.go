package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents is the content of a request, without its key and raw bytes.
type contents struct {
	Subject    string
	DNS, Email []string
	IPs, URIs  []string
	Critical   map[string]bool
	KeyUsage   string
	ExtKeyOIDs []string
	Algorithm  x509.SignatureAlgorithm
}

func contentsOf(t *testing.T, csr *x509.CertificateRequest) contents {
	t.Helper()
	c := contents{
		Subject: csr.Subject.String(), DNS: csr.DNSNames, Email: csr.EmailAddresses,
		Critical: map[string]bool{}, Algorithm: csr.SignatureAlgorithm,
	}
	for _, ip := range csr.IPAddresses {
		c.IPs = append(c.IPs, ip.String())
	}
	for _, uri := range csr.URIs {
		c.URIs = append(c.URIs, uri.String())
	}
	for _, e := range csr.Extensions {
		c.Critical[e.Id.String()] = e.Critical
		switch {
		case e.Id.Equal(oidKeyUsage):
			var bits asn1.BitString
			unmarshal(t, e.Value, &bits)
			for i := range bits.BitLength {
				c.KeyUsage += string('0' + rune(bits.At(i)))
			}
		case e.Id.Equal(oidExtKeyUsage):
			var oids []asn1.ObjectIdentifier
			unmarshal(t, e.Value, &oids)
			for _, oid := range oids {
				c.ExtKeyOIDs = append(c.ExtKeyOIDs, oid.String())
			}
		}
	}
	return c
}

func unmarshal(t *testing.T, der []byte, into any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		t.Fatalf("%x: %v, %d bytes left", der, err, len(rest))
	}
}

const (
	san = "2.5.29.17"
	ku  = "2.5.29.15"
	eku = "2.5.29.37"
)

func TestBuildRequest(t *testing.T) {
	ec := newKey(t)
	for name, tc := range map[string]struct {
		key  crypto.Signer
		in   Template
		want contents
	}{
		"DNS names alone": {
			ec,
			Template{DNSNames: []string{"b.test", "*.a.test", "b.test"}, EncodeUsages: true},
			contents{
				DNS: []string{"b.test", "*.a.test", "b.test"}, Critical: map[string]bool{san: true, ku: true},
				KeyUsage: "101", Algorithm: x509.ECDSAWithSHA256,
			},
		},
		"everything": {
			ec,
			Template{
				CommonName: "a.test",
				Subject: Subject{
					Organizations: []string{"Ex, Inc."}, Countries: []string{"DE"}, OrganizationalUnits: []string{"Ä"},
					Localities: []string{"L"}, Provinces: []string{"P"}, StreetAddresses: []string{"S 1"},
					PostalCodes: []string{"12345"}, SerialNumber: "7",
				},
				DNSNames: []string{"a.test"}, IPAddresses: []string{"::ffff:10.0.0.1", "10.0.0.1", "2001:DB8::0:1"},
				URIs: []string{"spiffe://a.test/ns/x"}, EmailAddresses: []string{"x@a.test"},
				IsCA: true, Usages: []string{"s/mime", "server auth", "email protection", "decipher only"}, EncodeUsages: true,
			},
			contents{
				Subject: "SERIALNUMBER=7,CN=a.test,OU=Ä,O=Ex\\, Inc.,POSTALCODE=12345,STREET=S 1,L=L,ST=P,C=DE",
				DNS:     []string{"a.test"}, Email: []string{"x@a.test"},
				IPs: []string{"10.0.0.1", "10.0.0.1", "2001:db8::1"}, URIs: []string{"spiffe://a.test/ns/x"},
				Critical: map[string]bool{san: false, ku: true, eku: false}, KeyUsage: "000001001",
				ExtKeyOIDs: []string{"1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.1"}, Algorithm: x509.ECDSAWithSHA256,
			},
		},
		"an address as common name": {
			ec,
			Template{CommonName: "10.0.0.1", IPAddresses: []string{"10.0.0.2"}},
			contents{
				Subject: "CN=10.0.0.1", IPs: []string{"10.0.0.2"}, Critical: map[string]bool{san: false},
				Algorithm: x509.ECDSAWithSHA256,
			},
		},
		"a literal subject": {
			ec,
			Template{LiteralSubject: `CN=a.test,OU=b,O=Ex\, \"Inc\",C=DE`, DNSNames: []string{"a.test"}},
			contents{
				Subject: `CN=a.test,OU=b,O=Ex\, \"Inc\",C=DE`, DNS: []string{"a.test"}, Critical: map[string]bool{san: false},
				Algorithm: x509.ECDSAWithSHA256,
			},
		},
		"an empty literal subject": {
			ec,
			Template{LiteralSubject: " ", DNSNames: []string{"a.test"}},
			contents{DNS: []string{"a.test"}, Critical: map[string]bool{san: true}, Algorithm: x509.ECDSAWithSHA256},
		},
		"no key usage bits": {
			mustKey(t, KeySpec{Algorithm: Ed25519}),
			Template{CommonName: "x", Usages: []string{"any"}, EncodeUsages: true},
			contents{
				Subject: "CN=x", Critical: map[string]bool{eku: false}, ExtKeyOIDs: []string{"2.5.29.37.0"},
				Algorithm: x509.PureEd25519,
			},
		},
		"usages not encoded, hash chosen": {
			mustKey(t, KeySpec{}),
			Template{CommonName: "x", Usages: []string{"any"}, SignatureAlgorithm: "SHA384WithRSA"},
			contents{Subject: "CN=x", Critical: map[string]bool{}, Algorithm: x509.SHA384WithRSA},
		},
	} {
		data, err := BuildRequest(tc.in, tc.key, Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		csr, err := ParseRequest(data, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := VerifyRequest(csr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, contentsOf(t, csr)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBuildRequestErrors(t *testing.T) {
	const (
		commas = `a comma in a value is written as \,, as in O=Example\, Inc.`
		types  = "C, CN, DC, L, O, OU, SERIALNUMBER, ST, STREET, UID, and no OID"
	)
	key := newKey(t)
	for _, tc := range []struct {
		in   Template
		want string
	}{
		{Template{IPAddresses: []string{"10.0.0"}}, `"10.0.0" is not an IP address`},
		{Template{IPAddresses: []string{"fe80::1%eth0"}}, `"fe80::1%eth0" is not an IP address`},
		{Template{URIs: []string{"http://[::1"}}, `"http://[::1" is not a URI`},
		{Template{URIs: []string{"http://a..b/"}}, `create certificate request: x509: cannot parse URI "http://a..b/": invalid domain`},
		{Template{DNSNames: []string{"ok.test", "müller.example.com"}}, `dnsNames[1] is "müller.example.com", which is not plain ASCII: write it as xn--mller-kva.example.com`},
		{Template{DNSNames: []string{"*.Müller.example.com."}}, `dnsNames[0] is "*.Müller.example.com", which is not plain ASCII: write it as *.xn--mller-kva.example.com`},
		{Template{DNSNames: []string{"ä b.test"}}, `dnsNames[0] is "ä b.test", which is not plain ASCII`},
		{Template{DNSNames: []string{""}}, `dnsNames[0] is empty`},
		{Template{DNSNames: []string{"ok.test", "."}}, `dnsNames[1] is empty`},
		{Template{EmailAddresses: []string{"ä@x.test"}}, `emailAddresses[0] is "ä@x.test", which is not plain ASCII`},
		{Template{EmailAddresses: []string{"x@ä.test"}}, `emailAddresses[0] is "x@ä.test", which is not plain ASCII: write it as x@xn--4ca.test`},
		{Template{EmailAddresses: []string{""}}, `emailAddresses[0] is empty`},
		{Template{URIs: []string{"urn:ä"}}, `uris[0] is "urn:ä", which is not plain ASCII`},
		{Template{URIs: []string{"#"}}, `uris[0] is empty`},
		{Template{URIs: []string{""}}, `uris[0] is empty`},
		{Template{URIs: []string{"https://ä.test:8443/ä"}}, `uris[0] is "https://ä.test:8443/ä", which is not plain ASCII: write it as https://xn--4ca.test:8443/%C3%A4`},
		{Template{LiteralSubject: "CN"}, `literalSubject: DN ended with incomplete type, value pair; the part "CN" is not of the form TYPE=value; ` + commas},
		{Template{LiteralSubject: `CN=a\,b, O=Example, Inc.`}, `literalSubject: DN ended with incomplete type, value pair; the part "Inc." is not of the form TYPE=value; ` + commas},
		{Template{LiteralSubject: "CN=a,FOO=b"}, `literalSubject: Literal subject contains unrecognized key with value [b]; the type "FOO" is none of ` + types},
		{Template{LiteralSubject: "EMAILADDRESS=a@b.test"}, `literalSubject: Literal subject contains unrecognized key with value [a@b.test]; the type "EMAILADDRESS" is none of ` + types + `; write it as 1.2.840.113549.1.9.1, or use spec.emailAddresses`},
		{Template{LiteralSubject: "/CN=a/O=b"}, `literalSubject: Literal subject contains unrecognized key with value [a/O=b]; the type "/CN" is none of ` + types + `; separate the parts by commas, not slashes, as in CN=www,O=Example`},
		{Template{LiteralSubject: `CN=\ff`}, `literalSubject: encode the subject: asn1: string not valid UTF-8`},
		{Template{OtherNames: []OtherName{{"1.2.3", "a"}, {"x", "a"}}}, `otherNames[1]: "x" is not an object identifier`},
		{Template{OtherNames: []OtherName{{"9.9", "a"}}}, `otherNames[0]: 9.9 cannot be encoded: asn1: structure error: invalid object identifier`},
		{Template{NameConstraints: &NameConstraints{Permitted: NameSubtrees{DNSDomains: []string{"a", "ä"}}}}, `nameConstraints.permitted.dnsDomains[1] is "ä", which is not plain ASCII`},
		{Template{NameConstraints: &NameConstraints{Excluded: NameSubtrees{IPRanges: []string{"10.0.0.0"}}}}, `nameConstraints.excluded.ipRanges[0]: invalid CIDR address: 10.0.0.0`},
		{Template{NameConstraints: &NameConstraints{Excluded: NameSubtrees{DNSDomains: []string{"a.test."}}}}, `nameConstraints: x509: failed to parse dnsName constraint "a.test."`},
		{Template{NameConstraints: &NameConstraints{Excluded: NameSubtrees{URIDomains: []string{"10.0.0.1"}}}}, `nameConstraints: x509: failed to parse URI constraint "10.0.0.1": cannot be IP address`},
		{Template{NameConstraints: &NameConstraints{}}, `nameConstraints: x509: empty name constraints extension`},
		{Template{CommonName: "x", Usages: []string{"flying"}, EncodeUsages: true}, `unknown key usage "flying"`},
		{Template{CommonName: "x", SignatureAlgorithm: "MD5WithRSA"}, `signature algorithm "MD5WithRSA" is not supported`},
		{Template{CommonName: "x", SignatureAlgorithm: "PureEd25519"}, "create certificate request: x509: requested SignatureAlgorithm does not match private key type"},
	} {
		if _, err := BuildRequest(tc.in, key, Limits{}); text(err) != tc.want {
			t.Errorf("%+v:\n got %q\nwant %q", tc.in, text(err), tc.want)
		}
	}
}

// The extensions encoded here must be those that crypto/x509 encodes.
func TestUsageExtensionsEqualTheLibrarys(t *testing.T) {
	key := newKey(t)
	for _, u := range usages {
		mine, err := usageExtensions([]string{u.word}, false)
		if err != nil {
			t.Fatal(err)
		}
		bits, exts, err := ParseUsages([]string{u.word}, false)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := Sign(&x509.Certificate{SerialNumber: newSerial(), KeyUsage: bits, ExtKeyUsage: exts}, &x509.Certificate{}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		var library []pkix.Extension
		for _, e := range cert.Extensions {
			if e.Id.Equal(oidKeyUsage) || e.Id.Equal(oidExtKeyUsage) {
				library = append(library, e)
			}
		}
		if diff := cmp.Diff(library, mine); diff != "" {
			t.Errorf("%s: %s", u.word, diff)
		}
		if len(cert.UnknownExtKeyUsage) > 0 {
			t.Errorf("%s: the library does not know %v", u.word, cert.UnknownExtKeyUsage)
		}
	}
}

// usageWords converts X.509 values to the API's words, in the order of its
// documentation. It uses "digital signature" and "email protection" for those
// with an alias, and leaves out usages without a word.
func usageWords(bits x509.KeyUsage, exts []x509.ExtKeyUsage) []string {
	var words []string
	for _, u := range usages {
		if u.alias {
			continue
		}
		if (u.oid == nil && bits&u.bit != 0) || (u.oid != nil && slices.Contains(exts, u.ext)) {
			words = append(words, u.word)
		}
	}
	return words
}

func TestUsages(t *testing.T) {
	if len(usages) != 23 {
		t.Errorf("%d words", len(usages))
	}
	bits, exts, err := ParseUsages(nil, true)
	if err != nil || bits != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageCertSign || exts != nil {
		t.Errorf("default: %b %v %v", bits, exts, err)
	}
	want := []string{"digital signature", "key encipherment", "cert sign"}
	if diff := cmp.Diff(want, usageWords(bits, exts)); diff != "" {
		t.Error(diff)
	}
	for _, u := range usages {
		bits, exts, _ := ParseUsages([]string{u.word}, false)
		if diff := cmp.Diff(CanonicalUsages([]string{u.word}), usageWords(bits, exts)); diff != "" {
			t.Errorf("%s: %s", u.word, diff)
		}
	}
}

func TestSignatureAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		spec KeySpec
		want x509.SignatureAlgorithm
	}{
		{KeySpec{}, x509.SHA256WithRSA},
		{KeySpec{Size: 3072}, x509.SHA384WithRSA},
		{KeySpec{Size: 4096}, x509.SHA512WithRSA},
		{KeySpec{Algorithm: ECDSA}, x509.ECDSAWithSHA256},
		{KeySpec{Algorithm: ECDSA, Size: 384}, x509.ECDSAWithSHA384},
		{KeySpec{Algorithm: ECDSA, Size: 521}, x509.ECDSAWithSHA512},
		{KeySpec{Algorithm: Ed25519}, x509.PureEd25519},
	} {
		if got, err := SignatureAlgorithm(mustKey(t, tc.spec).Public()); got != tc.want || err != nil {
			t.Errorf("%+v: got %v %v, want %v", tc.spec, got, err, tc.want)
		}
	}
	if _, err := SignatureAlgorithm(nil); err == nil {
		t.Error("an algorithm for no key")
	}
}

func TestParseRequest(t *testing.T) {
	data := mustRequest(t, Template{CommonName: "x"}, newKey(t))
	block, _ := pem.Decode(data)
	tampered := append([]byte(nil), block.Bytes...)
	tampered[len(tampered)-1] ^= 1
	old := pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Bytes: block.Bytes})
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"old type": {old, ""},
		"raw DER":  {block.Bytes, "no PEM data was found in given input"},
		"a key":    {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), `PEM block is of type "PRIVATE KEY", not "CERTIFICATE REQUEST"`},
		"large":    {append(data, strings.Repeat("\n", 36501-len(data))...), "provided PEM data was larger than the maximum 36500B"},
		"garbage":  {pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: []byte("x")}), "certificate request cannot be decoded: asn1: syntax error: truncated tag or length"},
	} {
		if _, err := ParseRequest(tc.data, Limits{}); text(err) != tc.want {
			t.Errorf("%s: got %q, want %q", name, text(err), tc.want)
		}
	}
	csr, err := ParseRequest(pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: tampered}), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyRequest(csr); !strings.HasPrefix(text(err), "certificate request is not signed by its own key: ") {
		t.Error(err)
	}
}

func TestFactsOfRequest(t *testing.T) {
	key := newKey(t)
	for name, tc := range map[string]struct {
		in   Template
		want RequestFacts
	}{
		"nothing": {Template{CommonName: "a"}, RequestFacts{CommonName: "a"}},
		"everything": {allFields, RequestFacts{
			CommonName: "z", Subject: allFields.Subject, DNSNames: []string{"z"}, IPAddresses: []string{"10.9.9.9"},
			URIs: []string{"urn:z"}, EmailAddresses: []string{"z@z"}, OtherNames: []OtherName{{"1.2.9", "z"}},
		}},
		"a literal subject": {
			Template{LiteralSubject: "CN=a,CN=b,OU=c,O=d+O=e,DC=f"},
			RequestFacts{CommonName: "a", Subject: Subject{Organizations: []string{"d", "e"}, OrganizationalUnits: []string{"c"}}},
		},
		"address as common name": {
			Template{CommonName: "2001:DB8:0::1", IPAddresses: []string{"::ffff:10.0.0.1"}},
			RequestFacts{CommonName: "2001:DB8:0::1", IPAddresses: []string{"10.0.0.1"}},
		},
	} {
		csr, err := ParseRequest(mustRequest(t, tc.in, key), Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tc.want.SubjectDigest, err = tc.in.SubjectDigest(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tc.want.KeyDigest, tc.want.Key = DigestOf(key.Public()), KeySpec{Algorithm: ECDSA, Size: 256}
		if diff := cmp.Diff(tc.want, FactsOfRequest(csr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

var allFields = Template{
	CommonName: "z", DNSNames: []string{"z"}, IPAddresses: []string{"10.9.9.9"}, URIs: []string{"urn:z"},
	EmailAddresses: []string{"z@z"}, OtherNames: []OtherName{{"1.2.9", "z"}},
	Subject: Subject{
		Organizations: []string{"z"}, Countries: []string{"ZZ"}, OrganizationalUnits: []string{"z"},
		Localities: []string{"z"}, Provinces: []string{"z"}, StreetAddresses: []string{"z"},
		PostalCodes: []string{"z"}, SerialNumber: "z",
	},
}

func mustRequest(t testing.TB, in Template, key crypto.Signer) []byte {
	t.Helper()
	data, err := BuildRequest(in, key, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBuildRequestReadsBack holds that a request is no larger than what
// ParseRequest takes, at whatever limit.
func TestBuildRequestReadsBack(t *testing.T) {
	key := newKey(t)
	built := 0
	for _, limit := range []int{1, 700, 5000, 0} {
		limits := Limits{MaxCertificateSize: limit}
		for n := 1; n < 3000; n *= 3 {
			var in Template
			for i := range n {
				in.DNSNames = append(in.DNSNames, fmt.Sprintf("name-%04d.example.com", i))
			}
			data, err := BuildRequest(in, key, limits)
			if err != nil {
				if !strings.Contains(err.Error(), "--max-certificate-size") || !strings.Contains(err.Error(), strconv.Itoa(limits.withDefaults().MaxCertificateSize)) {
					t.Errorf("the error does not say what to do: %v", err)
				}
				continue
			}
			built++
			if _, err := ParseRequest(data, limits); err != nil {
				t.Errorf("%d names, limit %d: %v", n, limit, err)
			}
		}
	}
	if built < 5 {
		t.Errorf("only %d requests were built", built)
	}
}

// TestFinalDot holds that a request has no absolute names: no certificate has
// them (RFC 5280, section 4.2.1.6), and ACME servers refuse them.
func TestFinalDot(t *testing.T) {
	in := Template{CommonName: "a.example.com.", DNSNames: []string{"a.example.com.", "b.example.com", "a.example.com"}}
	csr, err := ParseRequest(must(BuildRequest(in, newKey(t), Limits{})), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if csr.Subject.CommonName != "a.example.com" || !slices.Equal(csr.DNSNames, []string{"a.example.com", "b.example.com", "a.example.com"}) {
		t.Errorf("common name %q, DNS names %q", csr.Subject.CommonName, csr.DNSNames)
	}
	in = Template{CommonName: "Example Inc.", DNSNames: []string{"a.example.com"}}
	if csr, _ = ParseRequest(must(BuildRequest(in, newKey(t), Limits{})), Limits{}); csr.Subject.CommonName != "Example Inc." {
		t.Errorf("common name %q", csr.Subject.CommonName)
	}
	if _, err := BuildRequest(Template{DNSNames: []string{"."}}, newKey(t), Limits{}); err == nil {
		t.Error("the root is a name")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestUnsignedRequest has all that a signed request says, and the key.
func TestUnsignedRequest(t *testing.T) {
	key, err := GenerateKey(KeySpec{Algorithm: ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	for _, template := range []Template{
		{URIs: []string{"spiffe://cluster.local/ns/x/sa/y"}},
		{CommonName: "a.test", Subject: Subject{Organizations: []string{"A", "B"}}, DNSNames: []string{"a.test"}, Usages: []string{"server auth"}, EncodeUsages: true},
	} {
		encoded, err := BuildRequest(template, key, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := ParseRequest(encoded, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := UnsignedRequest(template, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		want = &x509.CertificateRequest{PublicKey: want.PublicKey, RawSubject: want.RawSubject, Subject: want.Subject, Extensions: want.Extensions}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", template, diff)
		}
	}
	if _, err := UnsignedRequest(Template{DNSNames: []string{"ä"}}, key.Public()); err == nil {
		t.Error("a name that cannot be encoded is accepted")
	}
}
