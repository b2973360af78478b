package certificate

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// requested is what is known of a request that a spec's names are asked for with.
func requested(spec *cmv1.CertificateSpec) *facts.Request {
	csr := must(pki.ParseRequest(must(pki.BuildRequest(TemplateOf(spec), key(1), pki.Limits{})), pki.Limits{}))
	return &facts.Request{CSR: pki.FactsOfRequest(csr)}
}

// otherNames are names of pairs, each an OID and a value.
func otherNames(pairs ...string) []cmv1.OtherName {
	var names []cmv1.OtherName
	for pair := range slices.Chunk(pairs, 2) {
		names = append(names, cmv1.OtherName{OID: pair[0], UTF8Value: pair[1]})
	}
	return names
}

func TestRequestMismatches(t *testing.T) {
	base := cmv1.CertificateSpec{
		CommonName: "a.test",
		Subject:    &cmv1.X509Subject{Organizations: []string{"o", "p"}, SerialNumber: "1"},
		DNSNames:   []string{"a.test", "b.test"}, IPAddresses: []string{"2001:db8::1", "10.0.0.1"},
		URIs: []string{"spiffe://a.test/x", "urn:y"}, EmailAddresses: []string{"x@a.test", "y@a.test"},
		OtherNames: otherNames("1.2.3", "a", "1.2.3", "b"),
	}
	have := requested(&base)
	for name, tc := range map[string]struct {
		change func(*cmv1.CertificateSpec)
		want   []string
	}{
		"nothing": {func(*cmv1.CertificateSpec) {}, nil},
		"order and spelling": {func(w *cmv1.CertificateSpec) {
			w.Subject = &cmv1.X509Subject{Organizations: []string{"p", "o"}, SerialNumber: "1"}
			w.DNSNames = []string{"b.test", "a.test"}
			w.IPAddresses = []string{"::ffff:10.0.0.1", "2001:DB8:0::1"}
			w.URIs = []string{"urn:y", "spiffe://a.test/x"}
		}, nil},
		"a name less":    {func(w *cmv1.CertificateSpec) { w.DNSNames = w.DNSNames[:1] }, []string{"spec.dnsNames"}},
		"a name twice":   {func(w *cmv1.CertificateSpec) { w.DNSNames = []string{"a.test", "b.test", "a.test"} }, []string{"spec.dnsNames"}},
		"a bad address":  {func(w *cmv1.CertificateSpec) { w.IPAddresses = []string{"10.0.0.1", "x"} }, []string{"spec.ipAddresses"}},
		"a bad URI":      {func(w *cmv1.CertificateSpec) { w.URIs = []string{"http://[::1"} }, []string{"spec.uris"}},
		"common name":    {func(w *cmv1.CertificateSpec) { w.CommonName = "" }, []string{"spec.commonName"}},
		"everything new": {func(w *cmv1.CertificateSpec) { *w = allFields }, allMismatches},
		"a literal subject": {func(w *cmv1.CertificateSpec) {
			w.CommonName, w.Subject, w.LiteralSubject = "", nil, "CN=a.test,O=o,SERIALNUMBER=1"
		}, []string{"spec.literalSubject"}},
		"the subject as a literal": {func(w *cmv1.CertificateSpec) {
			w.CommonName, w.Subject, w.LiteralSubject = "", nil, `SERIALNUMBER=1,cn=\61.test,O=o+O=p`
		}, nil},
		"no other names":  {func(w *cmv1.CertificateSpec) { w.OtherNames = nil }, nil},
		"none of them":    {func(w *cmv1.CertificateSpec) { w.OtherNames = []cmv1.OtherName{} }, []string{"spec.otherNames"}},
		"other names":     {func(w *cmv1.CertificateSpec) { w.OtherNames = otherNames("1.2.3", "b") }, []string{"spec.otherNames"}},
		"another kind":    {func(w *cmv1.CertificateSpec) { w.OtherNames = otherNames("1.2.4", "a", "1.2.3", "b") }, []string{"spec.otherNames"}},
		"the other order": {func(w *cmv1.CertificateSpec) { w.OtherNames = otherNames("1.2.03", "b", "1.2.3", "a") }, nil},
		"what is not compared": {func(w *cmv1.CertificateSpec) {
			w.NameConstraints, w.SignatureAlgorithm, w.EncodeUsagesInRequest = &cmv1.NameConstraints{Critical: true}, cmv1.ECDSAWithSHA512, ptr.To(false)
		}, nil},
	} {
		want := base
		tc.change(&want)
		if diff := cmp.Diff(tc.want, requestMismatches(&want, have)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRequestMatchesItself holds that what is asked for a spec is what the spec
// wants, however it is spelled.
func TestRequestMatchesItself(t *testing.T) {
	for name, spec := range map[string]cmv1.CertificateSpec{
		"nothing": {}, "all fields": allFields,
		"repetitions":               {DNSNames: []string{"a.test", "a.test"}, IPAddresses: []string{"10.0.0.1", "10.0.0.1"}, URIs: []string{"urn:x", "urn:x"}, EmailAddresses: []string{"x@a.test", "x@a.test"}, OtherNames: otherNames("1.2.3", "a", "1.2.3", "a")},
		"spelling":                  {DNSNames: []string{"a.test"}, IPAddresses: []string{"::ffff:10.0.0.1", "10.0.0.1", "2001:DB8::0:1"}},
		"an address as common name": {CommonName: "10.0.0.1", IPAddresses: []string{"10.0.0.2"}},
		"a literal subject":         {LiteralSubject: `CN=a.test+OU=\C3\84,O=Ex\, Inc.,DC=a,DC=test,1.2.3=#0c0161`},
		"an empty literal subject":  {LiteralSubject: " "},
	} {
		if got := requestMismatches(&spec, requested(&spec)); got != nil {
			t.Errorf("%s: does not match itself: %v", name, got)
		}
	}
}

var allFields = cmv1.CertificateSpec{
	CommonName: "z", DNSNames: []string{"z"}, IPAddresses: []string{"10.9.9.9"}, URIs: []string{"urn:z"},
	EmailAddresses: []string{"z@z"},
	Subject: &cmv1.X509Subject{
		Organizations: []string{"z"}, Countries: []string{"ZZ"}, OrganizationalUnits: []string{"z"},
		Localities: []string{"z"}, Provinces: []string{"z"}, StreetAddresses: []string{"z"},
		PostalCodes: []string{"z"}, SerialNumber: "z",
	},
	OtherNames: otherNames("1.2.9", "z"),
}

var allMismatches = []string{
	"spec.ipAddresses", "spec.uris", "spec.emailAddresses", "spec.dnsNames", "spec.otherNames", "spec.commonName",
	"spec.subject.serialNumber", "spec.subject.organizations", "spec.subject.countries", "spec.subject.localities",
	"spec.subject.organizationalUnits", "spec.subject.postCodes", "spec.subject.provinces", "spec.subject.streetAddresses",
}

// A client that does not repeat an address from the common name must not cause
// a new request.
func TestRequestMismatchesAddressAsCommonName(t *testing.T) {
	want := &cmv1.CertificateSpec{CommonName: "10.0.0.1", IPAddresses: []string{"10.0.0.2"}}
	with := func(ips ...net.IP) *facts.Request {
		csr := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "10.0.0.1"}, IPAddresses: ips}
		return &facts.Request{CSR: pki.FactsOfRequest(csr)}
	}
	for _, ips := range [][]net.IP{{net.IPv4(10, 0, 0, 2)}, {net.IPv4(10, 0, 0, 2), net.IPv4(10, 0, 0, 1)}} {
		if got := requestMismatches(want, with(ips...)); got != nil {
			t.Errorf("%v: %v", ips, got)
		}
	}
	if diff := cmp.Diff([]string{"spec.ipAddresses"}, requestMismatches(want, with(net.IPv4(10, 0, 0, 1)))); diff != "" {
		t.Error(diff)
	}
}

func TestRequestMismatchesBesideNames(t *testing.T) {
	for _, tc := range []struct {
		want cmv1.CertificateSpec
		have facts.Request
		out  []string
	}{
		{cmv1.CertificateSpec{}, facts.Request{}, nil},
		{cmv1.CertificateSpec{}, facts.Request{Usages: pki.DefaultUsages(), Duration: pki.DefaultDuration}, nil},
		{
			cmv1.CertificateSpec{Usages: []cmv1.KeyUsage{"s/mime", "signing"}},
			facts.Request{Usages: []string{"digital signature", "email protection"}},
			nil,
		},
		{
			cmv1.CertificateSpec{Duration: &metav1.Duration{Duration: pki.DefaultDuration}, IssuerRef: cmmeta.IssuerReference{Kind: cmv1.IssuerKind}},
			facts.Request{IsCA: true, Usages: []string{"any"}, Duration: 1},
			[]string{"spec.isCA", "spec.usages", "spec.duration"},
		},
		// Only two durations differ.
		{cmv1.CertificateSpec{Duration: &metav1.Duration{Duration: 1}}, facts.Request{}, nil},
		{cmv1.CertificateSpec{}, facts.Request{Duration: 1}, nil},
		{cmv1.CertificateSpec{IssuerRef: cmmeta.IssuerReference{Name: "other"}}, facts.Request{}, []string{"spec.issuerRef"}},
	} {
		if diff := cmp.Diff(tc.out, requestMismatches(&tc.want, &tc.have)); diff != "" {
			t.Errorf("%+v: %s", tc.want, diff)
		}
	}
}

func TestLeafMismatches(t *testing.T) {
	leaf := &pki.LeafFacts{
		CommonName: "a.test", DNSNames: []string{"b.test", "c.test"}, IPAddresses: []string{"10.0.0.1"},
		URIs: []string{"urn:x"}, EmailAddresses: []string{"x@a.test"},
	}
	base := cmv1.CertificateSpec{
		DNSNames: []string{"a.test", "b.test"}, IPAddresses: []string{"10.0.0.1"}, URIs: []string{"urn:x"},
		EmailAddresses: []string{"x@a.test"},
	}
	for name, tc := range map[string]struct {
		change func(*cmv1.CertificateSpec)
		want   []string
	}{
		"repeated in the spec": {func(w *cmv1.CertificateSpec) {
			w.DNSNames, w.URIs = []string{"a.test", "a.test"}, []string{"urn:x", "urn:x"}
		}, nil},
		"the CA added names":     {func(*cmv1.CertificateSpec) {}, nil},
		"common name among them": {func(w *cmv1.CertificateSpec) { w.CommonName = "b.test" }, nil},
		"capitals":               {func(w *cmv1.CertificateSpec) { w.CommonName, w.DNSNames = "A.test", []string{"B.Test"} }, nil},
		"another subject": {
			func(w *cmv1.CertificateSpec) { w.Subject = &cmv1.X509Subject{Organizations: []string{"o"}} },
			nil,
		},
		"address as common name":   {func(w *cmv1.CertificateSpec) { w.CommonName, w.IPAddresses = "10.0.0.1", nil }, nil},
		"other address as name":    {func(w *cmv1.CertificateSpec) { w.CommonName = "10.0.0.2" }, []string{"spec.commonName"}},
		"common name is missing":   {func(w *cmv1.CertificateSpec) { w.CommonName = "d.test" }, []string{"spec.commonName"}},
		"DNS name is missing":      {func(w *cmv1.CertificateSpec) { w.DNSNames = []string{"d.test"} }, []string{"spec.dnsNames"}},
		"address no longer wanted": {func(w *cmv1.CertificateSpec) { w.IPAddresses = nil }, []string{"spec.ipAddresses"}},
		"literal subject":          {func(w *cmv1.CertificateSpec) { w.LiteralSubject = "CN=b.test,O=o" }, nil},
		"its common name":          {func(w *cmv1.CertificateSpec) { w.LiteralSubject = "CN=d.test,O=o" }, []string{"spec.commonName"}},
		"other names":              {func(w *cmv1.CertificateSpec) { w.OtherNames = otherNames("1.2.3", "a") }, nil},
		"all": {
			func(w *cmv1.CertificateSpec) { *w = allFields },
			[]string{"spec.commonName", "spec.dnsNames", "spec.ipAddresses", "spec.uris", "spec.emailAddresses"},
		},
	} {
		want := base
		tc.change(&want)
		if diff := cmp.Diff(tc.want, leafMismatches(&want, leaf)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestKeyMismatches(t *testing.T) {
	ec := key(1).Public()
	ed := must(pki.GenerateKey(pki.KeySpec{Algorithm: pki.Ed25519})).Public()
	for _, tc := range []struct {
		want cmv1.CertificatePrivateKey
		key  crypto.PublicKey
		out  []string
	}{
		{cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm}, ec, nil},
		{cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256}, ec, nil},
		{cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 384}, ec, []string{"spec.privateKey.size"}},
		{cmv1.CertificatePrivateKey{}, ec, []string{"spec.privateKey.algorithm"}},
		{cmv1.CertificatePrivateKey{Algorithm: cmv1.Ed25519KeyAlgorithm, Size: 4096}, ed, nil},
		{cmv1.CertificatePrivateKey{Algorithm: cmv1.Ed25519KeyAlgorithm}, nil, []string{"spec.privateKey.algorithm"}},
	} {
		have, _ := pki.SpecOf(tc.key)
		if diff := cmp.Diff(tc.out, KeyMismatches(&cmv1.CertificateSpec{PrivateKey: &tc.want}, have)); diff != "" {
			t.Errorf("%+v: %s", tc.want, diff)
		}
	}
}
