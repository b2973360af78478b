package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const userPrincipalName = "1.3.6.1.4.1.311.20.2.3"

// TestOtherName holds the encoding: [0] of the OID and a UTF-8 string in an explicit [0].
func TestOtherName(t *testing.T) {
	// Fit for a PrintableString, but not written as one.
	encoded, err := OtherName{userPrincipalName, "ab"}.encode()
	const want = "a0" + "12" + "060a2b060104018237140203" + "a004" + "0c02" + "6162"
	if got := hex.EncodeToString(encoded.FullBytes); err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

func TestOtherNamesOfRequests(t *testing.T) {
	asked := Template{
		DNSNames:   []string{"a.test"},
		OtherNames: []OtherName{{userPrincipalName, "Ä@b"}, {"1.2.3", "x"}, {"1.2.03", "x"}, {"1.2.3", "y"}},
	}
	csr, err := ParseRequest(mustRequest(t, asked, newKey(t)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]OtherName{{userPrincipalName, "Ä@b"}, {"1.2.3", "x"}, {"1.2.3", "x"}, {"1.2.3", "y"}}, otherNamesOf(csr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Others may ask for values of other types.
	foreign := encoded(t, []asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: tagDNS, Bytes: []byte("a.test")},
		{Class: asn1.ClassContextSpecific, Tag: tagOther, IsCompound: true, Bytes: encoded(t, 1)},
	})
	csr = extended(t, newKey(t), pkix.Extension{Id: oidSubjectAltName, Value: foreign})
	if diff := cmp.Diff([]OtherName{{}}, otherNamesOf(csr)); diff != "" {
		t.Errorf("another type (-want +got):\n%s", diff)
	}
}
