package oldapi

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return object
}

// TestConvert has the fields that have changed, in each version that had them, and the
// whole result.
func TestConvert(t *testing.T) {
	const oldCertificate = `
kind: Certificate
metadata: {name: www, labels: {app: web}}
spec:
  secretName: www-tls
  organization: [Example]
  keyAlgorithm: ecdsa
  keyEncoding: pkcs8
  keySize: 384
  privateKey: {rotationPolicy: Always}
  emailSANs: [a@example.com]
  uriSANs: ["spiffe://x"]
  issuerRef: {name: ca}
`
	const newCertificate = `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: www, labels: {app: web}}
spec:
  secretName: www-tls
  subject: {organizations: [Example]}
  privateKey: {rotationPolicy: Always, algorithm: ECDSA, encoding: PKCS8, size: 384}
  emailAddresses: [a@example.com]
  uris: ["spiffe://x"]
  issuerRef: {name: ca}
`
	const solvers = `
spec:
  acme:
    server: https://ca
    solvers:
    - selector: {dnsZones: [example.com]}
      dns01: {cnameStrategy: Follow, azuredns: {hostedZoneName: example.com}}
    - dns01: {clouddns: {project: p}}
    - dns01: {acmedns: {host: h}}
    - http01: {ingress: {class: nginx}}
`
	const newSolvers = `
spec:
  acme:
    server: https://ca
    solvers:
    - selector: {dnsZones: [example.com]}
      dns01: {cnameStrategy: Follow, azureDNS: {hostedZoneName: example.com}}
    - dns01: {cloudDNS: {project: p}}
    - dns01: {acmeDNS: {host: h}}
    - http01: {ingress: {class: nginx}}
`
	for name, test := range map[string]struct{ old, want string }{
		"Certificate v1alpha2": {"apiVersion: cert-manager.io/v1alpha2" + oldCertificate, newCertificate},
		"Certificate v1alpha3": {"apiVersion: cert-manager.io/v1alpha3" + oldCertificate, newCertificate},
		"Certificate v1beta1": {
			"apiVersion: cert-manager.io/v1beta1\nkind: Certificate\nspec: {emailSANs: [a], uriSANs: [b], privateKey: {algorithm: RSA}}",
			"apiVersion: cert-manager.io/v1\nkind: Certificate\nspec: {emailAddresses: [a], uris: [b], privateKey: {algorithm: RSA}}",
		},
		"Certificate v1":            {newCertificate, newCertificate},
		"a Certificate of defaults": {"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {keyAlgorithm: '', keySize: 0}", "apiVersion: cert-manager.io/v1\nkind: Certificate\nspec: {}"},
		"CertificateRequest":        {"apiVersion: cert-manager.io/v1alpha2\nkind: CertificateRequest\nspec: {csr: Zm9v}", "apiVersion: cert-manager.io/v1\nkind: CertificateRequest\nspec: {request: Zm9v}"},
		"Order":                     {"apiVersion: acme.cert-manager.io/v1alpha3\nkind: Order\nspec: {csr: Zm9v}", "apiVersion: acme.cert-manager.io/v1\nkind: Order\nspec: {request: Zm9v}"},
		"Challenge": {
			"apiVersion: acme.cert-manager.io/v1alpha2\nkind: Challenge\nspec: {authzURL: u, type: dns-01, solver: {dns01: {azuredns: {}}}}",
			"apiVersion: acme.cert-manager.io/v1\nkind: Challenge\nspec: {authorizationURL: u, type: DNS-01, solver: {dns01: {azureDNS: {}}}}",
		},
		"Issuer":                    {"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer" + solvers, "apiVersion: cert-manager.io/v1\nkind: Issuer" + newSolvers},
		"ClusterIssuer":             {"apiVersion: cert-manager.io/v1alpha3\nkind: ClusterIssuer" + solvers, "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer" + newSolvers},
		"an Issuer of another type": {"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nspec: {ca: {secretName: a}}", "apiVersion: cert-manager.io/v1\nkind: Issuer\nspec: {ca: {secretName: a}}"},
		"no spec":                   {"apiVersion: cert-manager.io/v1beta1\nkind: Issuer", "apiVersion: cert-manager.io/v1\nkind: Issuer"},
		"another API":               {"apiVersion: apps/v1beta1\nkind: Deployment\nspec: {csr: a}", "apiVersion: apps/v1beta1\nkind: Deployment\nspec: {csr: a}"},
		"a List": {
			"apiVersion: v1\nkind: List\nitems: [{apiVersion: cert-manager.io/v1alpha2, kind: Issuer}, {apiVersion: v1, kind: Secret}]",
			"apiVersion: v1\nkind: List\nitems: [{apiVersion: cert-manager.io/v1, kind: Issuer}, {apiVersion: v1, kind: Secret}]",
		},
		"an OrderList": {
			"apiVersion: acme.cert-manager.io/v1alpha2\nkind: OrderList\nitems: [{apiVersion: acme.cert-manager.io/v1alpha2, kind: Order, spec: {csr: a}}]",
			"apiVersion: acme.cert-manager.io/v1\nkind: OrderList\nitems: [{apiVersion: acme.cert-manager.io/v1, kind: Order, spec: {request: a}}]",
		},
	} {
		got := object(t, test.old)
		if err := Convert(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(object(t, test.want), got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: cert-manager.io/v2\nkind: Issuer":                                                                                          "apiVersion: cert-manager.io/v2 is not known: there are v1alpha2, v1alpha3, v1beta1 and v1",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {keyAlgorithm: dsa}":                                                    "spec.keyAlgorithm: dsa is none of ecdsa, rsa",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {keyAlgorithm: 1}":                                                      "spec.keyAlgorithm: 1 is none of ecdsa, rsa",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {uris: [a], uriSANs: [b]}":                                              "spec.uriSANs: uris, its new name, is set too",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {keySize: 1, privateKey: {size: 2}}":                                    "spec.keySize: privateKey.size, its new name, is set too",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {keySize: 1, privateKey: a}":                                            "spec.privateKey: is no object",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: []":                                                                     "spec: is no object",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nspec: {acme: {solvers: {}}}":                                                       "spec.acme.solvers: is no list",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nspec: {acme: {solvers: [1]}}":                                                      "spec.acme.solvers[0]: is no object",
		"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nspec: {acme: {solvers: [{dns01: 1}]}}":                                             "spec.acme.solvers[0].dns01: is no object",
		"apiVersion: acme.cert-manager.io/v1alpha2\nkind: Challenge\nspec: {type: tls-alpn-01}":                                                 "spec.type: tls-alpn-01 is none of dns-01, http-01",
		"apiVersion: v1\nkind: List\nitems: [{}, {apiVersion: cert-manager.io/v1alpha2, kind: CertificateRequest, spec: {csr: a, request: b}}]": "items[1]: spec.csr: request, its new name, is set too",
		"apiVersion: v1\nkind: List\nitems: [1]":                                                                                                "items[0]: is no object",
	} {
		got := "converted"
		if err := Convert(object(t, text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// FuzzConvert holds that whatever a file has, a conversion ends, that its result is of v1,
// that converting again changes nothing, and that what decoded before still decodes.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"cert-manager.io/v1alpha2","kind":"Certificate","spec":{"keyAlgorithm":"rsa","organization":["a"],"uriSANs":["b"]}}`,
		`{"apiVersion":"acme.cert-manager.io/v1alpha3","kind":"Challenge","spec":{"authzURL":"a","type":"dns-01","solver":{"dns01":{"acmedns":{}}}}}`,
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"cert-manager.io/v1beta1","kind":"Issuer","spec":{"acme":{"solvers":[{}]}}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var object map[string]any
		if json.Unmarshal(data, &object) != nil || Convert(object) != nil {
			return
		}
		if _, version, _ := typeOf(object); Known(object) && version != Version {
			t.Errorf("version %q after the conversion", version)
		}
		once, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := Convert(object); err != nil {
			t.Fatalf("again: %v", err)
		}
		if twice, _ := json.Marshal(object); string(once) != string(twice) {
			t.Errorf("converted twice:\n%s\n%s", once, twice)
		}
	})
}

// TestConvertedDecode: what comes out are objects of the API without unknown fields.
func TestConvertedDecode(t *testing.T) {
	for text, into := range map[string]any{
		"apiVersion: cert-manager.io/v1alpha2\nkind: Certificate\nspec: {secretName: a, organization: [b], keyAlgorithm: rsa, keyEncoding: pkcs1, keySize: 2048, emailSANs: [c], uriSANs: [d], issuerRef: {name: e}}": &cmv1.Certificate{},
		"apiVersion: cert-manager.io/v1alpha3\nkind: CertificateRequest\nspec: {csr: Zm9v, issuerRef: {name: e}}":                                                                                                     &cmv1.CertificateRequest{},
		"apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nspec: {acme: {server: a, privateKeySecretRef: {name: b}, solvers: [{dns01: {clouddns: {project: a}}}]}}":                                                 &cmv1.Issuer{},
		"apiVersion: acme.cert-manager.io/v1alpha2\nkind: Order\nspec: {csr: Zm9v, issuerRef: {name: e}}":                                                                                                             &acmev1.Order{},
		"apiVersion: acme.cert-manager.io/v1alpha2\nkind: Challenge\nspec: {authzURL: a, type: http-01, solver: {http01: {ingress: {class: a}}}}":                                                                     &acmev1.Challenge{},
	} {
		converted := object(t, text)
		if err := Convert(converted); err != nil {
			t.Fatal(err)
		}
		encoded, err := yaml.Marshal(converted)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(encoded, into); err != nil {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}
