package certificate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/pki"
)

func TestSecretAnnotations(t *testing.T) {
	leaf := pki.LeafFacts{
		CommonName: "a.test",
		Subject: pki.Subject{
			Organizations: []string{`say "hi"`, "Ex, Inc."}, Countries: []string{"DE"}, OrganizationalUnits: []string{"U"},
			Localities: []string{"L"}, Provinces: []string{"P"}, StreetAddresses: []string{"S 1"}, PostalCodes: []string{"1"},
			SerialNumber: "7,8",
		},
		DNSNames: []string{"a.test", "*.a.test"}, IPAddresses: []string{"10.0.0.1", "2001:db8::1"},
		URIs: []string{"spiffe://a.test/x,y"}, EmailAddresses: []string{"x@a.test"},
	}
	want := map[string]string{
		"cert-manager.io/common-name":                 "a.test",
		"cert-manager.io/alt-names":                   "a.test,*.a.test",
		"cert-manager.io/ip-sans":                     "10.0.0.1,2001:db8::1",
		"cert-manager.io/uri-sans":                    `"spiffe://a.test/x,y"`,
		"cert-manager.io/email-sans":                  "x@a.test",
		"cert-manager.io/subject-organizations":       `"say ""hi""","Ex, Inc."`,
		"cert-manager.io/subject-organizationalunits": "U",
		"cert-manager.io/subject-countries":           "DE",
		"cert-manager.io/subject-provinces":           "P",
		"cert-manager.io/subject-localities":          "L",
		"cert-manager.io/subject-streetaddresses":     "S 1",
		"cert-manager.io/subject-postalcodes":         "1",
		"cert-manager.io/subject-serialnumber":        "7,8",
	}
	if diff := cmp.Diff(want, secretAnnotations(leaf)); diff != "" {
		t.Error(diff)
	}
	want = map[string]string{
		"cert-manager.io/common-name": "", "cert-manager.io/alt-names": "",
		"cert-manager.io/ip-sans": "", "cert-manager.io/uri-sans": "",
	}
	if diff := cmp.Diff(want, secretAnnotations(pki.LeafFacts{})); diff != "" {
		t.Error(diff)
	}
}

// The annotations of Secrets that cert-manager 1.21 wrote, for the certificates
// in them.
func TestSecretAnnotationsRecorded(t *testing.T) {
	leaf := pki.LeafFacts{
		CommonName: "ca-ready.bench.test", DNSNames: []string{"ca-ready.bench.test", "www.ca-ready.bench.test"},
		IPAddresses: []string{"10.0.0.1"}, URIs: []string{"spiffe://bench.test/ns/rec"}, EmailAddresses: []string{"a@bench.test"},
	}
	want := map[string]string{
		"cert-manager.io/alt-names":   "ca-ready.bench.test,www.ca-ready.bench.test",
		"cert-manager.io/common-name": "ca-ready.bench.test",
		"cert-manager.io/email-sans":  "a@bench.test",
		"cert-manager.io/ip-sans":     "10.0.0.1",
		"cert-manager.io/uri-sans":    "spiffe://bench.test/ns/rec",
	}
	if diff := cmp.Diff(want, secretAnnotations(leaf)); diff != "" {
		t.Error(diff)
	}
}
