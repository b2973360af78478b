package integration

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/issuer/ca"
	"github.com/everleaf/everleaf/test/harness"
)

// describe says what a certificate is good for, each in a line. Its key identifiers
// are left out.
func describe(t *testing.T, cert *x509.Certificate) []string {
	t.Helper()
	var lines []string
	add := func(kind string, values ...string) {
		for _, value := range values {
			lines = append(lines, kind+" "+value)
		}
	}
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(cert.RawSubject, &subject); err != nil {
		t.Fatal(err)
	}
	add("subject", subject.String())
	add("DNS", cert.DNSNames...)
	add("email", cert.EmailAddresses...)
	for _, ip := range cert.IPAddresses {
		add("IP", ip.String())
	}
	for _, uri := range cert.URIs {
		add("URI", uri.String())
	}
	add("usages", fmt.Sprintf("%b %v", cert.KeyUsage, cert.ExtKeyUsage))
	add("CA", fmt.Sprintf("%t %d", cert.IsCA, cert.MaxPathLen))
	ranges := func(kind string, networks []*net.IPNet) {
		for _, n := range networks {
			add(kind, n.String())
		}
	}
	add("permits DNS", cert.PermittedDNSDomains...)
	ranges("permits IP", cert.PermittedIPRanges)
	add("permits email", cert.PermittedEmailAddresses...)
	add("permits URI", cert.PermittedURIDomains...)
	add("excludes DNS", cert.ExcludedDNSDomains...)
	ranges("excludes IP", cert.ExcludedIPRanges)
	add("excludes email", cert.ExcludedEmailAddresses...)
	add("excludes URI", cert.ExcludedURIDomains...)
	var extensions []string
	for _, e := range cert.Extensions {
		switch id := e.Id.String(); {
		case id == "2.5.29.14" || id == "2.5.29.35":
		case e.Critical:
			extensions = append(extensions, id+"!")
		default:
			extensions = append(extensions, id)
		}
		if e.Id.String() == "2.5.29.17" {
			var names []asn1.RawValue
			if _, err := asn1.Unmarshal(e.Value, &names); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if name.Tag == 0 {
					add("other", fmt.Sprintf("%x", name.FullBytes))
				}
			}
		}
	}
	slices.Sort(extensions)
	add("extensions", strings.Join(extensions, " "))
	return lines
}

// encoded are the extensions of the last request for a certificate, and what it is
// signed with.
func (l *lab) encoded(t *testing.T, certificate string) string {
	t.Helper()
	requests := l.requests(t, certificate)
	block, _ := pem.Decode(requests[len(requests)-1].Spec.Request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range csr.Extensions {
		ids = append(ids, e.Id.String())
	}
	slices.Sort(ids)
	return csr.SignatureAlgorithm.String() + " " + strings.Join(ids, " ")
}

// contents are specs, and what a certificate for each is good for.
var contents = []struct {
	name, spec string
	want       []string
	encoded    string
}{
	{
		"subject", `subject: {organizations: [o, p], countries: [PT], organizationalUnits: [u], localities: [Lisboa], provinces: [q], streetAddresses: [r], postalCodes: ["1"], serialNumber: "7"},
			commonName: Ex ample, dnsNames: [www.a.example], emailAddresses: [x@a.example], ipAddresses: [192.0.2.1, "2001:db8::1"], uris: ["spiffe://a.example/x", "urn:y"], privateKey: {algorithm: ECDSA}`,
		[]string{
			"subject SERIALNUMBER=7,CN=Ex ample,OU=u,O=o+O=p,POSTALCODE=1,STREET=r,L=Lisboa,ST=q,C=PT",
			"DNS www.a.example", "email x@a.example", "IP 192.0.2.1", "IP 2001:db8::1", "URI spiffe://a.example/x", "URI urn:y",
			"usages 101 []", "CA false -1", "extensions 2.5.29.15! 2.5.29.17 2.5.29.19!",
		},
		"ECDSA-SHA256 2.5.29.15 2.5.29.17",
	},
	{
		"no-subject", `dnsNames: [www.a.example], usages: [server auth, client auth], privateKey: {algorithm: ECDSA, size: 384}`,
		[]string{"subject ", "DNS www.a.example", "usages 0 [serverAuth clientAuth]", "CA false -1", "extensions 2.5.29.17! 2.5.29.19! 2.5.29.37"},
		"ECDSA-SHA384 2.5.29.17 2.5.29.37",
	},
	{
		"address", `commonName: 192.0.2.7, usages: [digital signature, s/mime], encodeUsagesInRequest: false, privateKey: {algorithm: Ed25519}`,
		[]string{"subject CN=192.0.2.7", "usages 1 [emailProtection]", "CA false -1", "extensions 2.5.29.15! 2.5.29.19! 2.5.29.37"},
		"Ed25519 ",
	},
	{
		"literal", `literalSubject: "CN=www+OU=u,O=Ex\\, Inc.,UID=me,DC=a,DC=example", otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3, utf8Value: a@b}], signatureAlgorithm: SHA512WithRSA`,
		[]string{
			`subject OU=u+CN=www,O=Ex\, Inc.,0.9.2342.19200300.100.1.1=#13026d65,0.9.2342.19200300.100.1.25=#130161,0.9.2342.19200300.100.1.25=#13076578616d706c65`,
			"usages 101 []", "CA false -1", "other a013060a2b060104018237140203a0050c03614062", "extensions 2.5.29.15! 2.5.29.17 2.5.29.19!",
		},
		"SHA512-RSA 2.5.29.15 2.5.29.17",
	},
	{
		"other-name", `otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3, utf8Value: a@b}], privateKey: {algorithm: ECDSA}`,
		[]string{"subject ", "usages 101 []", "CA false -1", "other a013060a2b060104018237140203a0050c03614062", "extensions 2.5.29.15! 2.5.29.17! 2.5.29.19!"},
		"ECDSA-SHA256 2.5.29.15 2.5.29.17",
	},
	{
		"constrained", `commonName: team, isCA: true, usages: [crl sign], privateKey: {algorithm: ECDSA, size: 521}, nameConstraints: {critical: true,
			permitted: {dnsDomains: [.corp.example], ipRanges: [10.8.0.0/16, "2001:db8::/32"], uriDomains: [in.example]}, excluded: {dnsDomains: [no.corp.example], emailAddresses: [x.example], uriDomains: [out.example]}}`,
		[]string{
			"subject CN=team", "usages 1100000 []", "CA true -1", "permits DNS .corp.example", "permits IP 10.8.0.0/16", "permits IP 2001:db8::/32", "permits URI in.example",
			"excludes DNS no.corp.example", "excludes email x.example", "excludes URI out.example", "extensions 2.5.29.15! 2.5.29.19! 2.5.29.30!",
		},
		"ECDSA-SHA512 2.5.29.15 2.5.29.30",
	},
	{
		"constraints-not-critical", `commonName: team, isCA: true, privateKey: {algorithm: ECDSA}, nameConstraints: {excluded: {ipRanges: [0.0.0.0/0]}}`,
		[]string{"subject CN=team", "usages 100101 []", "CA true -1", "excludes IP 0.0.0.0/0", "extensions 2.5.29.15! 2.5.29.19! 2.5.29.30"},
		"ECDSA-SHA256 2.5.29.15 2.5.29.30",
	},
}

// TestLifecycleContent compares certificates with what was asked for, whole. Once
// issued, they are left alone, also by controllers that have just begun.
func TestLifecycleContent(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	name := func(i int, issuer string) string { return contents[i].name + "-" + issuer }
	for i, c := range contents {
		for _, issuer := range []string{"ca", "selfsigned"} {
			l.certificate(t, name(i, issuer), fmt.Sprintf(`{secretName: %s, issuerRef: {name: %s}, %s}`, name(i, issuer), issuer, c.spec))
		}
	}
	for i, c := range contents {
		for _, issuer := range []string{"ca", "selfsigned"} {
			l.revision(t, name(i, issuer), 1)
			chain, _ := chainOf(t, l.secret(t, name(i, issuer)))
			if diff := cmp.Diff(c.want, describe(t, chain[0])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name(i, issuer), diff)
			}
			if got := l.encoded(t, name(i, issuer)); got != c.encoded {
				t.Errorf("%s: the request has %s, want %s", name(i, issuer), got, c.encoded)
			}
		}
	}
	l.certificate(t, "last", simple("last", ""))
	l.revision(t, "last", 1)
	l.traffic.Settle(t, l.ns, time.Second)
	l.stop()
	before := len(l.traffic.Writes(l.ns))
	l.start(t)
	l.certificate(t, "last", simple("last", ", secretTemplate: {labels: {a: b}}"))
	harness.Eventually(t, patience, func() error {
		if labels := l.secret(t, "last").Labels; labels["a"] != "b" {
			return fmt.Errorf("the controllers have not begun: %v", labels)
		}
		return nil
	})
	for _, w := range l.traffic.Settle(t, l.ns, 2*time.Second)[before:] {
		if w.Name != "last" {
			t.Errorf("written although nothing has changed: %s", w)
		}
	}
	for i := range contents {
		for _, issuer := range []string{"ca", "selfsigned"} {
			l.revision(t, name(i, issuer), 1)
		}
	}
}

// TestLifecycleContentChanges changes one field of each Certificate. What is
// compared with the request has a certificate issued, what is not shows in the next.
func TestLifecycleContentChanges(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	const request, key = "Fields on existing CertificateRequest resource not up to date: ", "Existing private key is not up to date for spec: "
	tests := []struct {
		// fields are those of the spec beside the issuer and the key, change is a patch.
		name, fields, change string
		// reason is what the new issuance is announced with, empty for none.
		reason string
	}{
		{"ip", `ipAddresses: [192.0.2.1]`, `{"ipAddresses":["192.0.2.2"]}`, request + "[spec.ipAddresses]"},
		{"uri", `uris: [urn:a]`, `{"uris":["urn:b"]}`, request + "[spec.uris]"},
		{"email", `emailAddresses: [a@a.example]`, `{"emailAddresses":["b@a.example"]}`, request + "[spec.emailAddresses]"},
		{"dns", `dnsNames: [a.example]`, `{"dnsNames":["b.example"]}`, request + "[spec.dnsNames]"},
		{"other", `otherNames: [{oid: 1.2.3, utf8Value: a}]`, `{"otherNames":[{"oid":"1.2.3","utf8Value":"b"}]}`, request + "[spec.otherNames]"},
		{"cn", `commonName: a`, `{"commonName":"b"}`, request + "[spec.commonName]"},
		{"serial", `commonName: a`, `{"subject":{"serialNumber":"1"}}`, request + "[spec.subject.serialNumber]"},
		{
			"parts", `commonName: a`, `{"subject":{"organizations":["a"],"countries":["b"],"localities":["c"],"organizationalUnits":["d"],"postalCodes":["e"],"provinces":["f"],"streetAddresses":["g"]}}`,
			request + "[spec.subject.organizations spec.subject.countries spec.subject.localities spec.subject.organizationalUnits spec.subject.postCodes spec.subject.provinces spec.subject.streetAddresses]",
		},
		{"literal", `literalSubject: "CN=a,O=b"`, `{"literalSubject":"O=b,CN=a"}`, request + "[spec.literalSubject]"},
		{"to-literal", `commonName: a`, `{"commonName":null,"literalSubject":"CN=a,O=b"}`, request + "[spec.literalSubject]"},
		{"ca", `commonName: a`, `{"isCA":true}`, request + "[spec.isCA]"},
		{"usages", `commonName: a, usages: [server auth]`, `{"usages":["client auth"]}`, request + "[spec.usages]"},
		{"duration", `commonName: a, duration: 24h`, `{"duration":"48h"}`, request + "[spec.duration]"},
		{"algorithm", `commonName: a`, `{"privateKey":{"algorithm":"Ed25519"}}`, key + "[spec.privateKey.algorithm]"},
		{"size", `commonName: a`, `{"privateKey":{"size":384}}`, key + "[spec.privateKey.size]"},

		{"constraints", `commonName: a, isCA: true, nameConstraints: {permitted: {dnsDomains: [a]}}`, `{"nameConstraints":{"critical":true,"permitted":{"dnsDomains":["b"]}}}`, ""},
		{"signature", `commonName: a`, `{"signatureAlgorithm":"ECDSAWithSHA512"}`, ""},
		{"encode", `commonName: a`, `{"encodeUsagesInRequest":false}`, ""},
		{"encoding", `commonName: a`, `{"privateKey":{"encoding":"PKCS8"}}`, ""},
		{"no-others", `commonName: a, otherNames: [{oid: 1.2.3, utf8Value: a}]`, `{"otherNames":null}`, ""},
		{"add-duration", `commonName: a`, `{"duration":"48h"}`, ""},
		{"no-duration", `commonName: a, duration: 48h`, `{"duration":null}`, ""},
		{
			"order", `dnsNames: [a.example, b.example], otherNames: [{oid: 1.2.3, utf8Value: a}, {oid: 1.2.3, utf8Value: b}], usages: [server auth, client auth], ipAddresses: ["2001:db8::1", 192.0.2.1]`,
			`{"dnsNames":["b.example","a.example"],"otherNames":[{"oid":"1.2.3","utf8Value":"b"},{"oid":"1.2.3","utf8Value":"a"}],"usages":["client auth","server auth"],"ipAddresses":["192.0.2.1","2001:DB8:0::1"]}`, "",
		},
		{"alias", `commonName: a, usages: [signing, s/mime]`, `{"usages":["digital signature","email protection"]}`, ""},
		{"spelling", `literalSubject: "CN=a,O=b"`, `{"literalSubject":"cn=\\61, o=b"}`, ""},
		{"from-parts", `commonName: a, subject: {organizations: [b]}`, `{"commonName":null,"subject":null,"literalSubject":"CN=a,O=b"}`, ""},
		{"renewal", `commonName: a`, `{"renewBefore":"24h","revisionHistoryLimit":3}`, ""},
	}
	for _, tt := range tests {
		l.certificate(t, tt.name, fmt.Sprintf(`{secretName: %s, issuerRef: {name: ca}, privateKey: {algorithm: ECDSA}, %s}`, tt.name, tt.fields))
	}
	before := map[string][]byte{}
	for _, tt := range tests {
		l.revision(t, tt.name, 1)
		before[tt.name] = l.secret(t, tt.name).Data[corev1.TLSCertKey]
	}
	for _, tt := range tests {
		l.patch(t, &cmv1.Certificate{}, tt.name, `{"spec":`+tt.change+`}`)
	}
	for _, tt := range tests {
		if tt.reason != "" {
			l.revision(t, tt.name, 2)
			l.event(t, "Certificate", tt.name, "Issuing", tt.reason)
		}
	}
	l.traffic.Settle(t, l.ns, time.Second)
	for _, tt := range tests {
		revision := 1
		if tt.reason != "" {
			revision = 2
		}
		crt := l.revision(t, tt.name, revision)
		if ready := certificateCondition(crt, cmv1.CertificateConditionReady); ready.ObservedGeneration != crt.Generation {
			t.Errorf("%s: Ready is for generation %d, the spec has %d", tt.name, ready.ObservedGeneration, crt.Generation)
		}
		if same := bytes.Equal(before[tt.name], l.secret(t, tt.name).Data[corev1.TLSCertKey]); same != (tt.reason == "") {
			t.Errorf("%s: the certificate is the same: %t", tt.name, same)
		}
	}
}

// TestLifecycleKeyEncoding changes how a key is encoded: not before the next issuance,
// and with rotationPolicy Never it is the same key.
func TestLifecycleKeyEncoding(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	const spec = `{secretName: %[1]s, commonName: %[1]s, issuerRef: {name: ca}, privateKey: {algorithm: %[2]s, rotationPolicy: Never}}`
	for name, block := range map[string]string{"RSA": "RSA PRIVATE KEY", "ECDSA": "EC PRIVATE KEY", "Ed25519": "PRIVATE KEY"} {
		name, algorithm := strings.ToLower(name), name
		l.certificate(t, name, fmt.Sprintf(spec, name, algorithm))
		l.revision(t, name, 1)
		before := l.secret(t, name)
		_, key := chainOf(t, before)
		l.patch(t, &cmv1.Certificate{}, name, `{"spec":{"privateKey":{"encoding":"PKCS8"}}}`)
		l.traffic.Settle(t, l.ns, time.Second)
		after := l.secret(t, name)
		if diff := cmp.Diff(before.Data, after.Data); diff != "" {
			t.Errorf("%s: the Secret is written before an issuance (-before +after):\n%s", name, diff)
		}
		if got, _ := pem.Decode(after.Data[corev1.TLSPrivateKeyKey]); got == nil || got.Type != block {
			t.Errorf("%s: the key is %v, want %s", name, got, block)
		}
		l.issueByHand(t, name)
		l.revision(t, name, 2)
		after = l.secret(t, name)
		if got, _ := pem.Decode(after.Data[corev1.TLSPrivateKeyKey]); got == nil || got.Type != "PRIVATE KEY" {
			t.Errorf("%s: the key is %v, want PKCS #8", name, got)
		}
		if _, same := chainOf(t, after); !same.(interface {
			Equal(x crypto.PrivateKey) bool
		}).Equal(key) {
			t.Errorf("%s: another key", name)
		}
	}
}

// TestLifecycleNameConstraints has a CA with name constraints sign for a name outside
// of them, as cert-manager's does: who asked for it is warned.
func TestLifecycleNameConstraints(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "corp", `{secretName: corp, commonName: corp, isCA: true, privateKey: {algorithm: ECDSA}, issuerRef: {name: ca},
		nameConstraints: {critical: true, permitted: {dnsDomains: [corp.example]}}}`)
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: corp}\nspec: {ca: {secretName: corp}}\n")
	l.certificate(t, "inside", `{secretName: inside, dnsNames: [www.corp.example], privateKey: {algorithm: ECDSA}, issuerRef: {name: corp}}`)
	l.certificate(t, "outside", `{secretName: outside, dnsNames: [www.corp.example, other.example], privateKey: {algorithm: ECDSA}, issuerRef: {name: corp}}`)
	l.revision(t, "inside", 1)
	verify(t, l.secret(t, "inside"), "www.corp.example")
	l.revision(t, "outside", 1)
	l.event(t, "CertificateRequest", "outside-1", ca.WarningOutsideConstraints,
		`Clients will not accept the certificate, because the name constraints of its CA do not allow it: DNS name "other.example" is not permitted by any constraint`)

	refused := &cmv1.Certificate{ObjectMeta: metaNamed(l.ns, "leaf")}
	refused.Spec = l.crt(t, "corp").Spec
	refused.Spec.IsCA, refused.Spec.SecretName = false, "leaf"
	if err := l.Create(t.Context(), refused); err == nil || !strings.Contains(err.Error(), "isCA should be true when nameConstraints is set") {
		t.Errorf("constraints of a leaf: %v", err)
	}
}
