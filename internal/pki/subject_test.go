package pki

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestLiteralSubject holds what is encoded, byte for byte: the last RDN comes first,
// and attributes of one RDN are in one set.
func TestLiteralSubject(t *testing.T) {
	attribute := func(oid, tag, value string) string {
		text := hex.EncodeToString([]byte(value))
		inner := "06" + length(oid) + oid + tag + length(text) + text
		return "30" + length(inner) + inner
	}
	set := func(attributes ...string) string {
		inner := strings.Join(attributes, "")
		return "31" + length(inner) + inner
	}
	name := func(sets ...string) string {
		inner := strings.Join(sets, "")
		return "30" + length(inner) + inner
	}
	const (
		printable, utf8   = "13", "0c"
		cn, serial        = "550403", "550405"
		c, l, st, street  = "550406", "550407", "550408", "550409"
		o, ou             = "55040a", "55040b"
		uid, dc, mailAddr = "0992268993f22c640101", "0992268993f22c640119", "2a864886f70d010901"
	)
	for text, want := range map[string]string{
		"":                     name(),
		"CN=a,O=b,C=PT":        name(set(attribute(c, printable, "PT")), set(attribute(o, printable, "b")), set(attribute(cn, printable, "a"))),
		"cn=a":                 name(set(attribute(cn, printable, "a"))),
		"O=b+OU=a":             name(set(attribute(o, printable, "b"), attribute(ou, printable, "a"))),
		"OU=a+O=b":             name(set(attribute(o, printable, "b"), attribute(ou, printable, "a"))),
		"O=b,O=a":              name(set(attribute(o, printable, "a")), set(attribute(o, printable, "b"))),
		"UID=u,DC=corp,DC=org": name(set(attribute(dc, printable, "org")), set(attribute(dc, printable, "corp")), set(attribute(uid, printable, "u"))),
		"SERIALNUMBER=1,L=l,ST=s,STREET=t": name(set(attribute(street, printable, "t")), set(attribute(st, printable, "s")),
			set(attribute(l, printable, "l")), set(attribute(serial, printable, "1"))),
		`O=Ex\, \"Inc\"\+\\`:              name(set(attribute(o, utf8, `Ex, "Inc"+\`))),
		`O=\C3\84`:                        name(set(attribute(o, utf8, "Ä"))),
		"1.2.840.113549.1.9.1=a@b.test":   name(set(attribute(mailAddr, utf8, "a@b.test"))),
		"2.5.4.3=#0c0161":                 name(set(attribute(cn, printable, "a"))),
		`CN=\20 a\20`:                     name(set(attribute(cn, printable, "  a "))),
		`CN=` + strings.Repeat("a", 64):   name(set(attribute(cn, printable, strings.Repeat("a", 64)))),
		"CN=first,CN=second,O=between,C=": name(set(attribute(c, printable, "")), set(attribute(o, printable, "between")), set(attribute(cn, printable, "second")), set(attribute(cn, printable, "first"))),
	} {
		template := Template{LiteralSubject: text, DNSNames: []string{"a.test"}}
		got, err := template.subject()
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%q: %v\n got %x\nwant %s", text, err, got, want)
			continue
		}
		csr, err := ParseRequest(mustRequest(t, template, newKey(t)), Limits{})
		if err != nil || hex.EncodeToString(csr.RawSubject) != want {
			t.Errorf("%q: the request has %x (%v)", text, csr.RawSubject, err)
		}
		if common := template.CanonicalCommonName(); common != csr.Subject.CommonName {
			t.Errorf("%q: the common name is %q, in the request %q", text, common, csr.Subject.CommonName)
		}
	}
}

// length is that of hexadecimal content in DER, below 128.
func length(content string) string { return hex.EncodeToString([]byte{byte(len(content) / 2)}) }
